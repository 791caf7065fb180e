"""Nodes with bodies of one model."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from msgspec.structs import replace
from typing_extensions import override

from doorward.tree.changes import same
from doorward.tree.jsontext import encode
from doorward.tree.nodes.checks import checked_meaning, not_supported, refuse, unknown_references
from doorward.tree.nodes.node import Modelled, OpenCandidate, Rule, Warnings
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import references
from doorward.tree.shapes import Shape, shape_of
from doorward.tree.snapshot import Document, Snapshot, encode_shown
from doorward.tree.validation import Checked

M = TypeVar("M")
"""The model of a body: what ``Snapshot.read`` returns of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Valued(Modelled, Generic[M]):
    """A node with bodies of one model, ``M``.

    ``model`` is the pydantic model or annotated type that ``M`` stands for. ``step`` maps an old and a new body and the new
    configuration to warnings about going from one to the other, ``probe`` the two bodies (old: None where there was none) to the
    (place in the body, host) pairs whose answer to an NTP query is worth a warning, ``reach`` to the (place in the body, host,
    port) of servers that should take a TCP connection; port 0: whose name should resolve.
    ``adopt`` maps a configuration, and a function from a resource to what the host has of it, to the body that says so; None:
    there is none. ``derived`` names the members that a PUT leaves as they are, ``at_write`` the rules that refuse it at the write
    already.
    ``renewed`` maps configuration, place and machine to the body that the stored one becomes at a start; None: it stays.
    """

    step: Callable[[M, M, Snapshot], Iterable[Problem]] | None = None
    probe: Callable[[M | None, M], Iterable[tuple[str, str]]] | None = None
    reach: Callable[[M | None, M], Iterable[tuple[str, str, int]]] | None = None
    adopt: Callable[[Snapshot, Callable[[Any], object]], Any] | None = None
    derived: tuple[str, ...] = ()
    renewed: Callable[[Snapshot, Place, Any], Any] | None = None
    at_write: tuple[Rule, ...] = ()

    @cached_property
    def shape(self) -> Shape:
        """The places of the bodies, for differences."""
        return shape_of(self.model)

    def document(self, model: Any) -> Document:
        """Return the document of a validated model."""
        dump = self.adapter.dump_python
        stored = encode(dump(model, mode="json", warnings=False))
        found = frozenset(reference for _, reference in references(model))
        shown = encode_shown(stored, dump(model, mode="json", warnings=False, context={"expand": True})) if found else stored
        return Document(stored, shown, found, self.name_of(model))

    def parse(self, value: Any) -> M:
        """Return the model of a stored body."""
        model: M = self.adapter.validate_python(value)
        return model

    @override
    def load(self, value: Any) -> Document:
        return self.document(self.parse(value))

    def name_of(self, _model: Any) -> str | None:
        """Return what must be unique among the siblings of an object."""
        return None

    def checked(self, value: Any, href: str, *, strict: bool) -> Checked:
        """Validate a body for PUT. Raises InvalidBody or SemanticError."""
        return checked_meaning(self.adapter, value, href, strict=strict)

    def forbidden(self, place: Place, old: Document, new: Document) -> list[Problem]:
        """Return what forbids a PUT that takes a body from old to new, besides references and the rules of ``at_write``."""
        raise NotImplementedError

    @override
    def replace(self, draft: OpenCandidate, key: str, value: Any, *, strict: bool) -> Warnings:
        place = Place(self.path, key)
        old = draft.snapshot[place]
        if not self.supported:
            if not same(value, old.value) and not same(value, old.shown_value):
                raise not_supported(place.href)
            return ()
        if isinstance(value, dict) and self.derived:
            value = value | {member: old.value[member] for member in self.derived}
        checked = value if isinstance(value, Checked) else self.checked(value, place.href, strict=strict)
        document = self.document(checked.model)
        problems = unknown_references(draft.snapshot, checked.model, document, place)
        if self.at_write:
            after = draft.snapshot.put(place, document)
            problems += [replace(problem, path=place.href) for rule in self.at_write for problem in rule(after, place)]
        refuse(problems + self.forbidden(place, old, document))
        draft.put(place, document)
        return checked.warnings

    @override
    def released(self, document: Document, target: Place) -> Document | None:
        body = document.value
        for at, reference in references(self.parse(body)):
            if reference.href == target.href:
                if not isinstance(at[-1], int):
                    return None
                body = _without_key(body, at[:-1], target.key)
        return self.load(body)


def _without_key(body: Any, at: tuple[str | int, ...], key: str) -> Any:
    if not at:
        return [element for element in body if element != key]
    if isinstance(body, list):
        return [_without_key(v, at[1:], key) if index == at[0] else v for index, v in enumerate(body)]
    return {**body, at[0]: _without_key(body[at[0]], at[1:], key)}
