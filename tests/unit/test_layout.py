"""The tree of the unit tests: the folders of the sources, and in each of them tests of what is there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parent
SOURCES = UNIT.parents[1] / "src"
SEVERAL = frozenset({
    "cli/test_serving.py",  # runs the command
    "configuration/policies/test_session_policies.py",  # goes by paths
    "configuration/test_models.py",  # has all endpoints found
    "configuration/test_odd_values.py",  # as above
    "configuration/test_tree.py",  # as above
    "proxy/ssh/test_imports.py",  # imports in a process of its own
})  # fmt: skip
"""Tests about sources of their folder that they do not import themselves."""
FOLDERS = sorted({path.parent for path in UNIT.rglob("test_*.py")} - {UNIT})


def imported(path: Path) -> set[str]:
    """The modules that a test imports from, and what it imports from them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(UNIT).as_posix())
def test_tests_stand_where_their_sources_do(folder: Path) -> None:
    package = "doorward." + ".".join(folder.relative_to(UNIT).parts)
    assert (SOURCES / package.replace(".", "/")).is_dir(), "a folder of tests has the name of a folder of sources"
    strangers = []
    for path in sorted(folder.glob("test_*.py")):
        name = path.stem.removeprefix("test_")
        has_source = any((SOURCES / package.replace(".", "/") / found).exists() for found in (f"{name}.py", f"_{name}.py", name))
        is_about = any(module == package or module.startswith(f"{package}.") for module in imported(path))
        if not has_source and not is_about and path.relative_to(UNIT).as_posix() not in SEVERAL:
            strangers.append(path.name)
    assert strangers == [], "a test has the name of a source of its folder, or is about several of them"
