"""Nodes with objects under keys that the server makes."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from typing_extensions import override

from doorward.tree.changes import ORDER, same
from doorward.tree.jsontext import encode
from doorward.tree.nodes.checks import located, not_supported, refuse, unknown_references
from doorward.tree.nodes.declared import declared_document
from doorward.tree.nodes.node import READS, Initial, Node, OpenCandidate, Rule, Warnings, constant
from doorward.tree.nodes.valued import M, Valued
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, pointer
from doorward.tree.references import resolved
from doorward.tree.snapshot import Document
from doorward.tree.validation import check


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection(Valued[M]):
    """Objects with keys made by the server.

    ``default`` holds the built-in objects by key; they can't be deleted, and ``fixed`` names the members of theirs that
    can't be changed; ``refers`` maps members of theirs that are references to the path where these lead. ``unique`` is the member
    that no two objects share (``fold``: without regard to case), ``reserved`` what of it, folded, no write gives to an object.
    ``ordered``: its order counts, is written by PUT of ``{"@order": [all keys]}``, and is a document of its own at the path.
    ``cascade``: on DELETE of an object references to it in lists elsewhere are removed too, instead of refusing. ``removal``
    yields what forbids a DELETE at the write, besides references.
    """

    object_methods = ("DELETE", *READS, "PUT")
    holds_objects = True
    kind = "collection"
    shows_items = True

    default: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    refers: Mapping[str, str] = field(default_factory=dict)
    unique: str = ""
    fold: bool = False
    reserved: frozenset[str] = frozenset()
    most: int = 10_000
    ordered: bool = False
    cascade: bool = False
    removal: tuple[Rule, ...] = ()

    @property
    @override
    def methods(self) -> tuple[str, ...]:
        return (*READS, "POST", "PUT") if self.ordered else (*READS, "POST")

    @property
    @override
    def is_ordered(self) -> bool:
        return self.ordered

    @property
    @override
    def built_in(self) -> Iterable[str]:
        return self.default.keys()

    @property
    @override
    def initial(self) -> Iterable[Initial]:
        order = [Initial("", 0, constant([]))] if self.ordered else []
        objects = (Initial(key, at, constant(body)) for at, (key, body) in enumerate(self.default.items()))
        return (*order, *objects)

    @override
    def load(self, value: Any) -> Document:
        """Return the document of a stored object; a built-in one that nobody has changed takes no validator."""
        if not any(value == body and same(value, body) for body in self.default.values()):
            return super().load(value)
        return declared_document(value, self.refers, self._folded(value[self.unique]) if self.unique else None)

    @override
    def name_of(self, model: Any) -> str | None:
        return self._folded(getattr(model, self.unique)) if self.unique else None

    def _folded(self, name: Any) -> str:
        return str(name).casefold() if self.fold else str(name)

    @override
    def forbidden(self, place: Place, old: Document, new: Document) -> list[Problem]:
        return self._reserved(place, old, new) + (self._changed(place, old, new) if place.key in self.default else [])

    @override
    def replace(self, draft: OpenCandidate, key: str, value: Any, *, strict: bool) -> Warnings:
        """Without a key: write the order of the objects. The order that there is already is no change."""
        return super().replace(draft, key, value, strict=strict) if key else self._arrange(draft, value, strict=strict)

    @override
    def add(self, draft: OpenCandidate, value: Any, *, strict: bool) -> tuple[str, Warnings]:
        above = Place(self.path)
        if not self.supported:
            raise not_supported(self.path)
        checked = check(self.adapter, value, strict=strict)
        document = self.document(checked.model)
        problems = unknown_references(draft.snapshot, checked.model, document, above)
        if len(draft.snapshot.objects(self.path)) >= self.most:
            problems.append(Problem("length", f"At most {self.most} objects.", "", self.path))
        refuse(problems + self._reserved(above, None, document))
        key = secrets.token_hex(11)
        draft.put(Place(self.path, key), document)
        return key, checked.warnings

    @override
    def delete(self, draft: OpenCandidate, key: str, nodes: Callable[[str], Node]) -> None:
        """Refuse for built-in objects and, unless the collection cascades, for those that are referred to."""
        place = Place(self.path, key)
        if key in self.default:
            refuse([Problem("built_in", "A built-in object can't be deleted.", "", place.href)])
        if not self.supported:
            raise not_supported(place.href)
        referrers: list[tuple[Place, Document]] = []
        problems: list[Problem] = []
        for referrer in draft.snapshot.who_refers_to(place.href):
            document = nodes(referrer.path).released(draft.snapshot[referrer], place) if self.cascade else None
            if document is None:
                problems.append(Problem("referenced", f"Still used by {referrer.href}.", "", place.href))
            else:
                referrers.append((referrer, document))
        for rule in self.removal:
            problems += located(rule(draft.snapshot, place), place.href)
        refuse(problems)
        for referrer, document in referrers:
            draft.put(referrer, document)
        draft.remove(place)
        draft.secrets.pop(key, None)

    def _arrange(self, draft: OpenCandidate, value: Any, *, strict: bool) -> Warnings:
        keys = draft.snapshot.keys(self.path)
        if not isinstance(value, dict):
            raise InvalidBody([Problem("type", "Must be an object.")])
        others = [
            Problem("unknown_member", "Not known here; ignored.", pointer([name])) for name in sorted(value.keys() - {ORDER})
        ]
        wanted, at = value.get(ORDER), pointer([ORDER])
        problems = [replace(problem, message="Not known here.") for problem in others] if strict else []
        if ORDER not in value:
            problems.append(Problem("missing", "Required.", at))
        elif not isinstance(wanted, list):
            problems.append(Problem("type", "Must be an array of keys.", at))
        elif odd := [index for index, key in enumerate(wanted) if not isinstance(key, str)]:
            problems += [Problem("type", "Must be a key.", pointer([ORDER, index])) for index in odd]
        elif sorted(map(resolved, wanted)) != sorted(keys):
            problems.append(Problem("order", "Must name every object once and nothing else.", at))
        if problems or not isinstance(wanted, list):
            raise InvalidBody(problems)
        order = [*map(resolved, wanted)]
        if order != [*keys]:
            draft.put(Place(self.path), arrangement(order))
        return tuple(others)

    def _reserved(self, place: Place, old: Document | None, new: Document) -> list[Problem]:
        """Refuse to give an object a reserved name; one that has it already keeps it."""
        if new.name not in self.reserved or (old is not None and old.name == new.name):
            return []
        return [Problem("reserved", f"The name {new.value[self.unique]} is reserved.", pointer([self.unique]), place.href)]

    def _changed(self, place: Place, old: Document, new: Document) -> list[Problem]:
        return [
            Problem("built_in", "Can't be changed in a built-in object.", pointer([member]), place.href)
            for member in self.fixed
            if not same(old.value[member], new.value[member])
        ]


def arranges(node: Node, place: Place) -> bool:
    """Whether what stands at a place of a node is the order of its objects: a list of keys."""
    return isinstance(node, Collection) and not place.key


def arrangement(keys: list[str]) -> Document:
    """Return the document of an order."""
    stored = encode(keys)
    return Document(stored, stored)


def keys_of(value: object) -> list[str]:
    """Return a written order. Raises ValueError for what is none."""
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise ValueError("an order is a list of keys")
    return value
