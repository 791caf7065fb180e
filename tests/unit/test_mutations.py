"""What `make mutants` changes: small things that tests should notice, in a text that still is a module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mutants.covering import Covering
from tests.mutants.mutations import mutations

STORE = Path(__file__).parents[2] / "src" / "doorward" / "store"


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("a == b", {"(a != b)"}),
        ("a < 1", {"(a <= 1)", "a < (2)"}),
        ("a is not None and b", {"(a is None) and b", "(a is not None or b)"}),
        ("c(not a)", {"c((a))", "pass"}),
        ("c(True)", {"c((False))", "pass"}),
        ("if a: pass", {"if (not a): pass"}),
        ("def f(): return a + 'é'", {"def f(): return None", "def f(): return (a - 'é')"}),
        ("raise E", {"pass"}),
        ("a.b = c", {"pass"}),
        ("a: int | None = None", set[str]()),
        ("log.error('x', count=1)", set[str]()),
        ("'''A text.'''", set[str]()),
    ],
)
def test_what_is_changed(line: str, changed: set[str]) -> None:
    assert {mutation.apply(line) for mutation in mutations(line)} == changed


def statements(source: str) -> Iterator[str]:
    """The text of each statement of a module, which is a module as well."""
    lines = source.splitlines(keepends=True)
    for node in ast.parse(source).body:
        decorators = getattr(node, "decorator_list", [])
        yield "".join(lines[min(part.lineno for part in (node, *decorators)) - 1 : node.end_lineno])


@pytest.mark.parametrize("path", sorted(STORE.glob("*.py")), ids=lambda path: path.stem)
def test_every_mutant_is_a_module_and_another_one(path: Path) -> None:
    whole = path.read_text(encoding="utf-8")
    tried = 0
    # Statement by statement: to parse the whole module for each of its mutants takes ten times as long.
    for source in statements(whole):
        meaning = ast.dump(ast.parse(source))
        for mutation in mutations(source):
            mutant = mutation.apply(source)
            assert ast.dump(ast.parse(mutant)) != meaning
            assert mutant.splitlines()[mutation.line - 1] != source.splitlines()[mutation.line - 1]
            tried += 1
    assert tried == len(mutations(whole))


def test_tests_of_the_package_come_first_then_the_quickest_and_what_only_an_import_runs_is_for_all() -> None:
    own = "tests/unit/store/f.py::own"
    covering = Covering(seconds={own: 9.0, "f.py::slow": 2.0, "f.py::quick": 1.0, "f.py": 3.0})
    covering.lines["store/m.py"][7] = {"f.py::slow", "f.py::quick", own}
    covering.lines["store/m.py"][8] = {"f.py"}
    assert covering.tests("store/m.py", 7) == ([own, "f.py::quick", "f.py::slow"], [])
    assert covering.tests("store/m.py", 1) == ([own, "f.py::quick", "f.py::slow"], ["f.py"])
