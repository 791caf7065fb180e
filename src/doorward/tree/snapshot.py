"""A whole configuration as a value: immutable, sharing structure with what it was made from.

Adding, replacing or removing a document costs the same in a small tree and in a large one, but for the order of a collection,
a tuple of at most 10,000 keys that is copied as a block (about 20 µs at that size).
"""

from __future__ import annotations

import dataclasses
import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, TypeVar

from msgspec import Struct, field
from rpds import HashTrieMap, HashTrieSet

from doorward.tree.described import Described
from doorward.tree.jsontext import decode_own, encode
from doorward.tree.places import Place
from doorward.tree.references import Reference

M = TypeVar("M")


@dataclasses.dataclass(frozen=True, eq=False)
class Document:
    """One body. Equal bodies have equal ``stored`` bytes.

    ``stored`` is the canonical JSON with bare references, ``shown`` the same as a GET of the resource shows it,
    ``references`` what the body refers to, ``name`` what must be unique among its siblings (None: nothing).
    """

    stored: bytes
    shown: bytes
    references: frozenset[Reference[Any]] = frozenset()
    name: str | None = None

    @cached_property
    def value(self) -> Any:
        """The stored body as a JSON value. Treat it as read-only."""
        return decode_own(self.stored)

    def read(self, node: Described[M]) -> M:
        """Return the body as the model of its node, made at the first time."""
        try:
            return self.__dict__["model"]  # type: ignore[no-any-return]
        except KeyError:
            model = self.__dict__["model"] = node.parse(self.value)
            return model

    @cached_property
    def shown_value(self) -> Any:
        """The shown body as a JSON value. Treat it as read-only."""
        return self.value if self.shown is self.stored else decode_own(self.shown)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Document) and self.stored == other.stored

    def __hash__(self) -> int:
        return hash(self.stored)


def etag(encoded: bytes) -> str:
    """Return the entity tag of an encoded body or list: half of its SHA-256, in quotes (protocol, section 9.9)."""
    return f'"{hashlib.sha256(encoded).hexdigest()[:32]}"'


class Entry(Struct, frozen=True):
    """An object of a collection; ``position`` grows with each creation and never changes."""

    position: int
    document: Document


class Objects(Struct, frozen=True):
    """The objects of one collection in order of creation."""

    entries: HashTrieMap[str, Entry] = field(default_factory=HashTrieMap)
    order: tuple[str, ...] = ()
    named: HashTrieMap[str, tuple[str, ...]] = field(default_factory=HashTrieMap)
    next_position: int = 0
    """Where the next object goes; removing the last one does not free its position."""

    def __len__(self) -> int:
        return len(self.order)

    def document(self, key: str) -> Document | None:
        """Return the object with the key."""
        entry = self.entries.get(key)
        return entry.document if entry else None

    def items(self) -> Iterator[tuple[str, Document]]:
        """Yield keys and objects in order."""
        for key in self.order:
            yield key, self.entries[key].document

    def place_of(self, key: str) -> int:
        """Return where the key stands in the order."""
        return bisect_left(self.order, self._rank(key), key=self._rank)

    def _rank(self, key: str) -> tuple[int, str]:
        return self.entries[key].position, key

    def with_names(self, name: str) -> tuple[str, ...]:
        """Return the keys of all objects with the name."""
        return self.named.get(name, ())

    def put(self, key: str, document: Document, position: int | None = None) -> Objects:
        """Return the collection with the object; a new one goes last, or to its former ``position``."""
        old = self.entries.get(key)
        order = self.order
        if old is None:
            position = self.next_position if position is None else position
            index = len(order) if position >= self.next_position else bisect_left(order, (position, key), key=self._rank)
            order = (*order, key) if index == len(order) else (*order[:index], key, *order[index:])
        else:
            position = old.position
        named = _renamed(self.named, key, old.document.name if old else None, document.name)
        return Objects(self.entries.insert(key, Entry(position, document)), order, named, max(self.next_position, position + 1))

    def remove(self, key: str) -> Objects:
        """Return the collection without the object."""
        index = self.place_of(key)
        order = self.order[:index] + self.order[index + 1 :]
        named = _renamed(self.named, key, self.entries[key].document.name, None)
        return Objects(self.entries.remove(key), order, named, self.next_position)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, int, Document]]) -> Objects:
        """Build a collection from (key, position, document) in one go."""
        entries = {key: Entry(position, document) for key, position, document in rows}
        named: dict[str, tuple[str, ...]] = {}
        for key, entry in entries.items():
            if entry.document.name is not None:
                named[entry.document.name] = (*named.get(entry.document.name, ()), key)
        order = tuple(sorted(entries, key=lambda key: (entries[key].position, key)))
        following = entries[order[-1]].position + 1 if order else 0
        return cls(HashTrieMap(entries), order, HashTrieMap(named), following)


def _renamed(
    named: HashTrieMap[str, tuple[str, ...]], key: str, old: str | None, new: str | None
) -> HashTrieMap[str, tuple[str, ...]]:
    if old == new:
        return named
    if old is not None:
        rest = tuple(other for other in named[old] if other != key)
        named = named.insert(old, rest) if rest else named.remove(old)
    if new is not None:
        named = named.insert(new, (*named.get(new, ()), key))
    return named


_NOTHING = Objects()


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A configuration. ``referrers`` maps the href of an object to the places whose bodies refer to it."""

    singletons: HashTrieMap[str, Document] = dataclasses.field(default_factory=HashTrieMap)
    collections: HashTrieMap[str, Objects] = dataclasses.field(default_factory=HashTrieMap)
    referrers: HashTrieMap[str, HashTrieSet[Place]] = dataclasses.field(default_factory=HashTrieMap)
    memo: dict[Any, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Encoded answers of this very snapshot; filled by whoever reads, thrown away with it."""

    def document(self, place: Place) -> Document | None:
        """Return the body at a place."""
        if place.key:
            objects = self.collections.get(place.path)
            entry = None if objects is None else objects.entries.get(place.key)
            return None if entry is None else entry.document
        return self.singletons.get(place.path)

    def __getitem__(self, place: Place) -> Document:
        """Return the body at a place where one stands. Raises KeyError."""
        document = self.document(place)
        if document is None:
            raise KeyError(place.href)
        return document

    def entry(self, place: Place) -> Entry | None:
        """Return the body at a place with its position, 0 for a singleton; None where there is none."""
        if place.key:
            return self.objects(place.path).entries.get(place.key)
        document = self.singletons.get(place.path)
        return Entry(0, document) if document is not None else None

    def objects(self, path: str) -> Objects:
        """Return the collection at a path; an empty one where nothing was made yet."""
        return self.collections.get(path, _NOTHING)

    def keys(self, path: str) -> tuple[str, ...]:
        """Return the keys of a collection in the order in which it is shown.

        That of creation, but for a collection whose order was written: its objects stand as written, newer ones after them.
        """
        objects, written = self.objects(path), self.singletons.get(path)
        if written is None or not written.value:
            return objects.order
        kept: tuple[str, ...] | None = self.memo.get(("keys", path))
        if kept is None:
            first = [key for key in written.value if key in objects.entries]
            known = set(first)
            kept = self.memo["keys", path] = (*first, *(key for key in objects.order if key not in known))
        return kept

    def position(self, place: Place) -> int:
        """Return the position of an existing object in its collection; 0 for a singleton."""
        return self.objects(place.path).entries[place.key].position if place.key else 0

    def rank(self, place: Place) -> int:
        """Return the position of an object; 0 for a singleton and for what is not there."""
        return self.position(place) if self.document(place) else 0

    def at(self, place: Place) -> Document:
        """Return the body at a place that has one. KeyError: it has none."""
        return self.collections[place.path].entries[place.key].document if place.key else self.singletons[place.path]

    def read(self, node: Described[M], key: str = "") -> M:
        """Return the model at a node: the body of a singleton, or the object with the key. KeyError: there is none."""
        if key:
            return self.objects(node.path).entries[key].document.read(node)
        return self.singletons[node.path].read(node)

    def find(self, node: Described[M], key: str = "") -> M | None:
        """Return the model at a node; None where there is none."""
        document = self.document(Place(node.path, key))
        return document.read(node) if document is not None else None

    def follow(self, reference: Reference[M]) -> M | None:
        """Return the model that a typed reference leads to; None where it leads nowhere. Raises TypeError."""
        if reference.node is None:
            raise TypeError(f"a reference to {reference.to} that is followed has to declare the node")
        return self.find(reference.node, reference.key)

    def each(self, node: Described[M]) -> Iterator[tuple[str, M]]:
        """Yield keys and models of a collection, in order."""
        objects = self.objects(node.path)
        for key in self.keys(node.path):
            yield key, objects.entries[key].document.read(node)

    def value(self, path: str) -> Any:
        """Return the stored body of a singleton that exists, as JSON."""
        return self.singletons[path].value

    def who_refers_to(self, href: str) -> list[Place]:
        """Return the places that refer to an object, sorted."""
        return sorted(self.referrers.get(href, ()))

    def has(self, reference: Reference[Any]) -> bool:
        """Whether what a reference leads to exists."""
        document = self.document(reference.place)
        return document is not None and (not reference.inside or reference.found_in(document.value))

    def put(self, place: Place, document: Document, position: int | None = None) -> Snapshot:
        """Return the configuration with the body at the place; this one where an equal body is there."""
        objects = self.objects(place.path) if place.key else _NOTHING
        old = objects.document(place.key) if place.key else self.singletons.get(place.path)
        if old is not None and old == document:
            return self
        referrers = self._relinked(place, old.references if old is not None else frozenset(), document.references)
        if place.key:
            objects = objects.put(place.key, document, position)
            return Snapshot(self.singletons, self.collections.insert(place.path, objects), referrers)
        return Snapshot(self.singletons.insert(place.path, document), self.collections, referrers)

    def remove(self, place: Place) -> Snapshot:
        """Return the configuration without the object at the place."""
        objects = self.objects(place.path)
        old = objects.entries[place.key].document
        referrers = self._relinked(place, old.references, frozenset())
        collections = self.collections.insert(place.path, objects.remove(place.key))
        return Snapshot(self.singletons, collections, referrers)

    def _relinked(
        self, place: Place, old: frozenset[Reference[Any]], new: frozenset[Reference[Any]]
    ) -> HashTrieMap[str, HashTrieSet[Place]]:
        referrers = self.referrers
        if not old and not new:
            return referrers
        for gone in {reference.href for reference in old} - {reference.href for reference in new}:
            rest = referrers[gone].discard(place)
            referrers = referrers.insert(gone, rest) if rest else referrers.remove(gone)
        for added in {reference.href for reference in new} - {reference.href for reference in old}:
            referrers = referrers.insert(added, referrers.get(added, HashTrieSet()).insert(place))
        return referrers

    @classmethod
    def of(cls, rows: Iterable[tuple[Place, int, Document]]) -> Snapshot:
        """Build a configuration from (place, position, document) in one go."""
        singletons: dict[str, Document] = {}
        collections: dict[str, list[tuple[str, int, Document]]] = {}
        referrers: dict[str, set[Place]] = {}
        for place, position, document in rows:
            if place.key:
                collections.setdefault(place.path, []).append((place.key, position, document))
            else:
                singletons[place.path] = document
            for reference in document.references:
                referrers.setdefault(reference.href, set()).add(place)
        return cls(
            HashTrieMap(singletons),
            HashTrieMap({path: Objects.of(objects) for path, objects in collections.items()}),
            HashTrieMap({href: HashTrieSet(places) for href, places in referrers.items()}),
        )


def encode_shown(stored: bytes, shown: Any) -> bytes:
    """Encode a shown body, reusing the stored bytes when they are the same."""
    encoded = encode(shown)
    return stored if encoded == stored else encoded
