"""Nodes with one body: a value, or a list that can also be appended to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from typing_extensions import override

from doorward.tree.changes import same
from doorward.tree.nodes.checks import located, not_supported, refuse, unknown_references
from doorward.tree.nodes.declared import declared_document
from doorward.tree.nodes.node import READS, Initial, Maker, OpenCandidate, Warnings, constant
from doorward.tree.nodes.valued import M, Valued
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from doorward.tree.snapshot import Document, Snapshot
from doorward.tree.validation import Checked, check

E = TypeVar("E")
"""The model of one element of a list."""


class Supply(Struct, frozen=True):
    """What a commit makes for an endpoint where the configuration needs it and nobody brought it: secrets of a store.

    ``store`` is the path of the store, ``make`` yields the public body and the text of each secret, ``body`` maps their keys to
    the body that refers to them.
    """

    store: str
    is_needed: Callable[[Snapshot], bool]
    make: Callable[[], Iterable[tuple[dict[str, Any], str]]]
    body: Callable[[list[str]], Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class _OneBody(Valued[M]):
    has_body = True

    default: Any

    @property
    @override
    def initial(self) -> Iterable[Initial]:
        return (Initial("", 0, self.default if callable(self.default) else constant(self.default)),)

    @override
    def load(self, value: Any) -> Document:
        """Return the document of a stored body; the default takes no validator."""
        is_default = not callable(self.default) and same(value, self.default)
        return declared_document(value, {}) if is_default else super().load(value)

    @override
    def forbidden(self, place: Place, old: Document, new: Document) -> list[Problem]:
        return []


@dataclass(frozen=True, kw_only=True, eq=False)
class Singleton(_OneBody[M]):
    """One JSON value, replaced by PUT unless ``read_only``. A ``default`` that is a function gets the machine to ask.

    ``make`` takes a validated model to (the model that is stored, warnings) where that takes its time, such as asking a
    program; it may raise InvalidBody or SemanticError. ``supply`` is what commits make for it.
    """

    kind = "value"

    supply: Supply | None = None
    read_only: bool = False
    make: Callable[[M], tuple[M, Iterable[Problem]]] | None = None

    @property
    @override
    def methods(self) -> tuple[str, ...]:
        return READS if self.read_only else (*READS, "PUT")

    @property
    @override
    def is_only_shown(self) -> bool:
        return self.read_only or not self.supported

    @property
    @override
    def maker(self) -> Maker | None:
        return self._made if self.make is not None else None

    @override
    def checked(self, value: Any, href: str, *, strict: bool) -> Checked:
        checked = super().checked(value, href, strict=strict)
        if self.make is None:
            return checked
        try:
            model, warnings = self.make(checked.model)
        except SemanticError as refused:
            raise SemanticError(located(refused.problems, href)) from None
        return Checked(model, (*checked.warnings, *warnings))

    def _made(self, value: Any, *, strict: bool) -> Checked:
        return self.checked(value, self.path, strict=strict)


@dataclass(frozen=True, kw_only=True, eq=False)
class ListSingleton(_OneBody[list[E]], Generic[E]):
    """A body that is a list of ``E``: PUT replaces it, POST appends. ``accepts_one``: PUT of one object stands for a list."""

    kind = "list"

    accepts_one: bool = False

    @property
    @override
    def methods(self) -> tuple[str, ...]:
        return (*READS, "POST", "PUT")

    @override
    def replace(self, draft: OpenCandidate, key: str, value: Any, *, strict: bool) -> Warnings:
        if not (self.supported and self.accepts_one and isinstance(value, dict)):
            return super().replace(draft, key, value, strict=strict)
        if len(draft.snapshot.value(self.path)) > 1:
            raise InvalidBody([Problem("type", "Must be an array: send the whole list.")])
        return self._set(draft, [value], -1, strict=strict)

    @override
    def add(self, draft: OpenCandidate, value: Any, *, strict: bool) -> tuple[str, Warnings]:
        """Append one element, or all elements of an array. Pointers are those of the written body."""
        if not self.supported:
            raise not_supported(self.path)
        document = draft.snapshot.document(Place(self.path))
        present = document.value if document else []
        added = value if isinstance(value, list) else [value]
        moved = len(present) if isinstance(value, list) else -len(present) - 1
        return "", self._set(draft, present + added, moved, strict=strict)

    def _set(self, draft: OpenCandidate, value: list[Any], moved: int, *, strict: bool) -> Warnings:
        """Set a whole list of which only a part was sent.

        ``moved`` >= 0: the sent array begins at that index; < 0: one element was sent and stands at index ``-moved - 1``.
        """
        place = Place(self.path)
        try:
            checked = check(self.adapter, value, strict=strict)
        except InvalidBody as refused:
            raise InvalidBody(_as_sent(refused.problems, moved)) from None
        document = self.document(checked.model)
        refuse(_as_sent(unknown_references(draft.snapshot, checked.model, document, place), moved))
        draft.put(place, document)
        return tuple(_as_sent(checked.warnings, moved))


def _as_sent(problems: Iterable[Problem], moved: int) -> list[Problem]:
    moved_back = []
    for problem in problems:
        _, *parts = problem.pointer.split("/")
        if parts:
            index = int(parts[0]) - (moved if moved >= 0 else -moved - 1)
            head = [str(index)] if moved >= 0 else []
            moved_back.append(replace(problem, pointer="".join("/" + part for part in head + parts[1:])))
        else:
            moved_back.append(problem)
    return moved_back
