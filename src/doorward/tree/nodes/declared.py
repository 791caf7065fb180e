"""Documents of bodies that declarations hold. No validator is built for them: a test shows what one makes of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.tree.jsontext import encode
from doorward.tree.references import Reference
from doorward.tree.snapshot import Document


def declared_document(value: Any, refers: Mapping[str, str], name: str | None = None) -> Document:
    """Return the document of a default. ``refers``: members whose text is a key, and the collection where that leads."""
    stored = encode(value)
    found: set[Reference[Any]] = set()
    shown = _expanded(value, refers, found) if refers else value
    return Document(stored, encode(shown) if found else stored, frozenset(found), name)


def _expanded(value: Any, refers: Mapping[str, str], found: set[Reference[Any]]) -> Any:
    if isinstance(value, list):
        return [_expanded(element, refers, found) for element in value]
    if not isinstance(value, dict):
        return value
    expanded = {}
    for member, inner in value.items():
        if member in refers and isinstance(inner, str):
            reference: Reference[Any] = Reference(refers[member], inner)
            found.add(reference)
            expanded[member] = {"key": inner, "meta": {"href": reference.href}}
        else:
            expanded[member] = _expanded(inner, refers, found)
    return expanded
