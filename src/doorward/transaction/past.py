"""The configuration as it was, and who set what of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from doorward.store.port import Edit, Revision, Store
from doorward.tree.changes import MISSING, ORDER, At, differences
from doorward.tree.jsontext import decode_own
from doorward.tree.places import Place
from doorward.tree.problems import pointer
from doorward.tree.registry import Tree
from doorward.tree.shapes import Shape
from doorward.tree.snapshot import Document, Snapshot

_CHANGES_AT_ONCE = 100


def as_was(tree: Tree, store: Store, number: int, *paths: str) -> Snapshot:
    """Return a revision: what stood at some paths, or all of it.

    A body that this release would not take any more is shown as it was stored.
    """
    rows = []
    for place, position, body in store.documents_at(number, paths):
        if place.path in tree.endpoints:
            try:
                document = tree.load(place, decode_own(body))
            except ValueError:  # such as pydantic raises
                document = Document(body, body)
            rows.append((place, position, document))
    return Snapshot.of(rows)


def blame(tree: Tree, store: Store, place: Place, document: Document, number: int) -> dict[str, Revision]:
    """Return for every leaf of a body, by JSON pointer, the revision that set it.

    ``number`` is the revision that the body stood in. Leaves are the places that changes name: arrays, references and unions are
    one each. Reads as many of the place's changes as it needs, newest first.
    """
    return blamed(tree.shape(place.href), document.value, _changes(store, place, number))


def _changes(store: Store, place: Place, number: int) -> Iterator[tuple[Revision, Edit]]:
    while page := store.changes_of(place, number, _CHANGES_AT_ONCE):
        yield from page
        number = page[-1][0].number - 1


def blamed(shape: Shape, body: Any, changes: Iterable[tuple[Revision, Edit]]) -> dict[str, Revision]:
    """Return the revision that set each leaf of a body; ``changes`` are those that led to it, newest first. Pure."""
    unknown = dict.fromkeys(leaves(body, shape))
    found: dict[At, Revision] = {}
    for revision, edit in changes:
        if edit.old is None:
            found |= dict.fromkeys(unknown, revision)
            break
        new = MISSING if edit.new is None else decode_own(edit.new)
        for difference in differences(decode_own(edit.old), new, shape):
            whole = difference.kind != "reorder"  # an order says nothing of the values in it
            for at in [at for at in unknown if at == difference.at or (whole and at[: len(difference.at)] == difference.at)]:
                found[at] = revision
                del unknown[at]
        if not unknown:
            break
    return {pointer(at): found[at] for at in sorted(found)}


def leaves(value: Any, shape: Shape, at: At = ()) -> Iterator[At]:
    """Yield the places in a body that changes name and that have no place inside."""
    names = [name for name in value if name != ORDER] if shape.is_followed and isinstance(value, dict) else []
    if not names:
        yield at
    for name in names:
        yield from leaves(value[name], shape.inside(name), (*at, name))
