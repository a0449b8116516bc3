"""Compiles the kernel where the package is installed or packed: pip calls this through hatchling."""

import runpy
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD = Path(__file__).parents[1] / "linkmatch_ray" / "native" / "build.py"


class CustomBuildHook(BuildHookInterface):
    """The hook that pyproject.toml names."""

    def dependencies(self):
        """The Zig compiler, a package of 100 MB, where there is no C compiler."""
        return [] if self._build_module()["system_compiler"]() else ["ziglang>=0.13"]

    def initialize(self, version, build_data):
        """Puts the library beside its sources. One serves all versions of Python, as it knows none."""
        if self.target_name != "wheel":
            return
        self._build_module()["build"]()
        build_data["artifacts"].append("/linkmatch_ray/native/libkernel.so")
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")

    @staticmethod
    def _build_module():
        return runpy.run_path(str(BUILD))  # importing the package would need what is not installed yet
