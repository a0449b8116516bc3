"""The tests lie in tiers: what needs nothing first, what needs a cluster last."""

import ast

import pytest

from tests.conftest import REPO
from tests.support.tiers import some

TIERS = {"unit", "properties", "simulation", "durability", "ray", "cluster", "repository"}
NOT_TESTS = {"support", "fuzz", "sample", "json_test_suite"}

TESTS = sorted((REPO / "tests").rglob("test_*.py"))
FIRST = [path for path in TESTS if path.relative_to(REPO).parts[1] in ("unit", "properties")]


def rooms(top):
    """The folders below one that have modules, by their paths from there."""
    return {str(path.parent.relative_to(top)) for path in top.rglob("*.py") if path.name != "__init__.py"}


def test_each_test_lies_in_a_tier():
    """And helpers do not lie among tests."""
    folders = {path.name for path in (REPO / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == TIERS | NOT_TESTS
    assert {path.relative_to(REPO / "tests").parts[0] for path in TESTS} == TIERS


def test_unit_tests_lie_in_the_rooms_of_the_package():
    """Each room has some, `core/layouts` among those of `core`."""
    package, unit = rooms(REPO / "linkmatch_ray"), rooms(REPO / "tests/unit")
    assert unit <= package
    assert package - unit == {"core/layouts"}


@pytest.mark.parametrize("path", FIRST, ids=lambda path: path.stem)
def test_the_first_tiers_start_no_ray(path):
    """They neither ask for the Ray of the session nor start one."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    assert not {"ray.init", "ray.remote"} & {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    assert "ray_session" not in {node.arg for node in nodes if isinstance(node, ast.arg)}


def test_offsets_that_are_tried_differ_within_a_word():
    """A share of them that lies at one place of each eight bytes would cross no border in any other way."""
    assert {offset % 8 for offset in some(range(64))} == set(range(8))
