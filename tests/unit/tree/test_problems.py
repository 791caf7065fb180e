"""Problems, pointers, and what their exceptions say in a log."""

from __future__ import annotations

import pytest

from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, pointer


@pytest.mark.parametrize(
    ("parts", "text"),
    [([], ""), (["a", 0, "b"], "/a/0/b"), ([""], "/"), (["a/b", "~", "~1"], "/a~1b/~0/~01")],
)
def test_a_pointer_is_written_as_rfc_6901_says(parts: list[str | int], text: str) -> None:
    assert pointer(parts) == text


def test_exceptions_name_every_problem() -> None:
    found = [Problem("type", "Must be a string.", "/a"), Problem("missing", "Required.")]
    assert str(InvalidBody(found)) == "/a: Must be a string.; /: Required."
    refused = SemanticError([Problem("duplicate", "Taken.", "/name", "/api/x")])
    assert str(refused) == "/api/x/name: Taken."
    assert refused.problems == (Problem("duplicate", "Taken.", "/name", "/api/x"),)


def test_a_place_is_addressed_by_its_href() -> None:
    assert Place("/a").href == "/a"
    assert Place("/a", "k").href == "/a/k"
