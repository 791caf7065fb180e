"""Going back to an earlier revision, and going on from the history of another store."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from doorward.membership import ROOT as CLUSTER
from doorward.store.port import Edit, Past, Store
from doorward.transaction.candidate import Candidate
from doorward.transaction.secrets import is_lost
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import Problem, SemanticError
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Snapshot

_LAST = 1 << 62


def restore(tree: Tree, store: Store, candidate: Candidate, number: int, *, membership: bool = False) -> None:
    """Put the difference between the running revision, on which it was opened, and revision ``number`` into a candidate.

    Who belongs to the cluster stays as it is, unless ``membership`` goes back as well: a secret of a pairing is gone by then.

    Raises SemanticError where this release no longer takes what stood there. The candidate is then as before.
    """
    before: dict[Place, Edit] = {}
    for _, edits in store.edits_after(number):
        for edit in edits:
            if membership or not edit.place.path.startswith(f"{CLUSTER}/"):
                before.setdefault(edit.place, edit)
    problems: list[Problem] = []
    documents = []
    for place, edit in before.items():
        try:
            documents.append((place, edit, tree.load(place, decode_own(edit.old)) if edit.old is not None else None))
        except (ValidationError, KeyError):
            problems.append(Problem("unsuitable", "This release does not take what stood here.", "", place.href))
    if problems:
        raise SemanticError(problems)
    for place, edit, document in documents:
        if document is not None:
            candidate.put(place, document, edit.position)
        elif place.key and candidate.snapshot.document(place) is not None and not isinstance(tree[place.path].node, WriteOnce):
            candidate.remove(place)  # endpoints that came with a later release stay, secrets go with their owners
    _without_lost(tree, store, candidate)


def _without_lost(tree: Tree, store: Store, candidate: Candidate) -> None:
    """Leave out objects whose secret is not here, as long as nothing refers to them."""
    for edit in list(candidate.edits()):
        if edit.old is None and not candidate.snapshot.who_refers_to(edit.place.href) and is_lost(tree, store, edit):
            candidate.remove(edit.place)


def continued(tree: Tree, past: Past, snapshot: Snapshot) -> tuple[Snapshot, tuple[Edit, ...]]:
    """Return a configuration with its objects at their positions in a history, and the edits that lead there from its end."""
    rows: list[tuple[Place, int, Document]] = [(Place(path), 0, document) for path, document in snapshot.singletons.items()]
    for path, objects in snapshot.collections.items():
        positions = {key: past.documents[Place(path, key)][0] for key in objects.order if Place(path, key) in past.documents}
        order: Iterable[str] = objects.order
        if isinstance(tree[path].node, WriteOnce):  # archives tell nothing of their order
            order = sorted(order, key=lambda key, positions=positions: positions.get(key, _LAST))  # type: ignore[misc]
        position = -1
        for key in order:
            position = max(position + 1, positions.get(key, 0))
            rows.append((Place(path, key), position, objects.entries[key].document))
    after = {place: (position, document.stored) for place, position, document in rows}
    edits = []
    for place in sorted(past.documents.keys() | after.keys()):
        old, new = past.documents.get(place), after.get(place)
        if old != new:
            position, _ = new or old or (0, b"")
            edits.append(Edit(place, old[1] if old else None, new[1] if new else None, position))
    return Snapshot.of(rows), tuple(edits)
