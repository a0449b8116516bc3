"""Who imports whom: rooms only those below them, and no two modules one another. Imports for types, and inside
functions, count as well."""

import ast

from tests.conftest import REPO

PACKAGE = REPO / "linkmatch_ray"

LAYERS = (
    ("exit_codes", "words", "_version"),
    ("errors",),
    ("arguments",),
    ("native",),
    ("core", "core.layouts"),
    ("io",),  # the names of what a result holds
    ("io.storage",),
    ("io.inputs", "io.inputs.archives"),
    ("io.restrictions",),
    ("io.ledger",),
    ("io.results",),
    ("io.diagnosis",),
    ("runtime.session",),
    ("runtime.cluster",),
    ("runtime.jobs",),
    ("commands",),
    ("",),  # linkmatch_ray itself, which has all public names
    ("cli",),
    ("__main__",),
)
"""From the bottom up. A module is in the room of its folder; one at the top is a room by itself."""

HEIGHT = {room: height for height, rooms in enumerate(LAYERS) for room in rooms}


def modules():
    """All modules by their names below the package, and their paths."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts).removesuffix("__init__").removesuffix(".")] = path
    return found


def imports_of(path, known):
    """The package's modules that one imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _below(name) in known else node.module for name in inner]
        else:
            continue
        found |= {_below(name) for name in names if name.partition(".")[0] == PACKAGE.name}
    return found


def _below(name):
    return name.partition(".")[2]


def room_of(module, known):
    """The folder of a module, or the module itself at the top."""
    if known[module].name == "__init__.py":
        return module
    return module.rpartition(".")[0] or module


def test_imports_name_whole_modules():
    """What is imported by a relative or a computed name would be seen by no test here; the package's own names are."""
    for module, path in modules().items():
        tree = ast.parse(path.read_text())
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level], path
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert module == "" or not named & {"import_module", "__import__", "importlib"}, path


def test_rooms_import_only_those_below_them():
    """By the table above."""
    known = modules()
    wrong = [
        f"{module} -> {imported}"
        for module, path in known.items()
        for imported in imports_of(path, known)
        if HEIGHT[room_of(imported, known)] > HEIGHT[room_of(module, known)]
    ]
    assert not wrong


def test_no_circles():
    """What imports nothing that is left is taken away, until nothing is left."""
    known = modules()
    left = {module: imports_of(path, known) - {module} for module, path in known.items()}
    while free := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in free:
            del left[module]
    assert not left


def test_a_room_imports_nothing_by_itself():
    """The `__init__` of a folder is empty, but for a docstring: who imports a module loads no other by that."""
    for path in PACKAGE.rglob("*/__init__.py"):
        assert all(isinstance(node, ast.Expr) for node in ast.parse(path.read_text()).body), path
