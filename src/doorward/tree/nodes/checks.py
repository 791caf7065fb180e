"""The checks that writes of several kinds of nodes share (protocol, sections 9.4 to 9.8)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace
from pydantic import TypeAdapter

from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, pointer
from doorward.tree.references import references
from doorward.tree.snapshot import Document, Snapshot
from doorward.tree.validation import Checked, check


def checked_meaning(adapter: TypeAdapter[Any], value: Any, href: str, *, strict: bool) -> Checked:
    """Validate a body. What is only not supported has the right shape: that is a question of meaning. Raises SemanticError."""
    try:
        return check(adapter, value, strict=strict)
    except InvalidBody as refused:
        shape = [problem for problem in refused.problems if problem.code != "not_supported"]
        if shape:
            raise InvalidBody(shape) from None
        raise SemanticError(located(refused.problems, href)) from None


def located(problems: Iterable[Problem], href: str) -> list[Problem]:
    """Return problems that name their resource; those that name one already keep it."""
    return [problem if problem.path else replace(problem, path=href) for problem in problems]


def unknown_references(snapshot: Snapshot, model: Any, document: Document, place: Place) -> list[Problem]:
    """Return a problem for each reference of a model, and of the document made of it, that leads nowhere."""
    if not document.references:
        return []
    return [
        Problem("unknown_reference", f"There is no {reference.href}.", pointer(at), place.href)
        for at, reference in references(model)
        if not snapshot.has(reference)
    ]


def not_supported(href: str) -> SemanticError:
    """Return what is said of a write that this release does not honour."""
    return SemanticError([Problem("not_supported", "Not supported by this release.", "", href)])


def refuse(problems: list[Problem]) -> None:
    """Raise SemanticError if there are problems."""
    if problems:
        raise SemanticError(problems)
