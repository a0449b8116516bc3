"""Compiles the kernel where the package is installed or packed: pip calls this through hatchling."""

import os
import runpy
import sys
import sysconfig
import tempfile
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD = Path(__file__).parents[1] / "linkmatch_ray" / "native" / "build.py"
IS_FOR_ALL = os.environ.get("LINKMATCH_WHEEL") == "all"  # said by scripts/build-wheel
TAGS = {"linux": "manylinux_2_17", "darwin": "macosx_11_0"}


class CustomBuildHook(BuildHookInterface):
    """The hook that pyproject.toml names."""

    def dependencies(self):
        """The Zig compiler, a package of 100 MB, where there is no C compiler, and for other platforms."""
        if self.target_name != "wheel" or (self._build_module()["system_compiler"]() and not IS_FOR_ALL):
            return []
        return ["ziglang>=0.13"]

    def initialize(self, version, build_data):
        """Adds the library, for an editable installation beside its sources. One serves all versions of Python."""
        if self.target_name != "wheel":
            return
        try:
            self._add(self._build_module(), version, build_data)
        except OSError as error:
            sys.exit(str(error))  # pip shows this, without the hooks that called us

    def _add(self, module, version, build_data):
        if version == "editable":
            module["build"]()
            return
        self._folder = tempfile.TemporaryDirectory()  # which goes with this object
        folder = Path(self._folder.name)
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        if IS_FOR_ALL:
            built = [module["build"](folder, name=name, cc=module["zig"](name)) for name in module["ZIG_TARGETS"]]
            systems = [name.split("-") for name in module["ZIG_TARGETS"]]
            tag = ".".join(sorted(f"{TAGS[system]}_{machine}" for system, machine in systems))
        else:
            built = [module["build"](folder)]
        build_data["force_include"] |= {str(path): f"linkmatch_ray/native/{path.name}" for path in built}
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{tag}"

    @staticmethod
    def _build_module():
        return runpy.run_path(str(BUILD))  # importing the package would need what is not installed yet
