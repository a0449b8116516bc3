"""What importing the package loads, what it exports, and that its errors travel between processes."""

import inspect
import pickle
import subprocess
import sys

import pytest

from tests.conftest import REPO


def python(code):
    """The standard output of a fresh interpreter that runs `code` in the repository."""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


RAY_LOADED = "import sys; print([name for name in sys.modules if name.split('.')[0] == 'ray'])"


def modules_of(package):
    listing = (
        f"import pkgutil, {package} as package\n"
        f"print('{package}', *(m.name for m in pkgutil.walk_packages(package.__path__, '{package}.')))"
    )
    return python(listing)


def test_the_package_loads_no_ray():
    """`import linkmatch_ray` is cheap: Ray comes with the first job."""
    assert python(f"import linkmatch_ray; {RAY_LOADED}") == ["[]"]


@pytest.mark.parametrize("room", ["core", "io"])
def test_core_and_io_never_import_ray(room):
    """No module of core or io loads Ray, directly or through another."""
    modules = modules_of(f"linkmatch_ray.{room}")
    assert len(modules) > 1
    assert python(f"import {', '.join(modules)}; {RAY_LOADED}") == ["[]"]


@pytest.mark.slow
@pytest.mark.parametrize("room", ["core", "io"])
def test_each_module_imports_alone(room):
    """Every module can be the first one imported: there are no import cycles to trip over."""
    for module in modules_of(f"linkmatch_ray.{room}"):
        python(f"import {module}")


def test_all_is_sorted_and_real():
    """`__all__` is sorted, has no repeats, and every name in it exists."""
    import linkmatch_ray

    assert list(linkmatch_ray.__all__) == sorted(set(linkmatch_ray.__all__))
    assert [name for name in linkmatch_ray.__all__ if not hasattr(linkmatch_ray, name)] == []


def errors():
    try:
        from linkmatch_ray import errors as module
    except ImportError:
        return []
    found = vars(module).values()
    return [one for one in found if isinstance(one, type) and issubclass(one, BaseException)]


def example(kind):
    """An instance made with a plausible value for every required parameter."""
    if "__init__" not in {name for one in kind.__mro__[: -len(Exception.__mro__)] for name in vars(one)}:
        return kind("restrictions.json: entry 41 has no key")
    positional, named = [], {}
    for one in inspect.signature(kind).parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one.default is not one.empty:
            continue
        value = 3 if "int" in str(one.annotation) else f"some {one.name}"
        if one.kind is one.KEYWORD_ONLY:
            named[one.name] = value
        else:
            positional.append(value)
    return kind(*positional, **named)


@pytest.mark.parametrize("kind", errors(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling(kind):
    """Ray carries errors between processes: type, message, arguments and attributes arrive."""
    error = example(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_there_are_errors_to_pickle():
    """The test above is about something."""
    assert errors()
