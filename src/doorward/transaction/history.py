"""Going back to an earlier revision, going on from the history of another store, and what a crash left undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog
from pydantic import ValidationError

from doorward.membership import ROOT as CLUSTER
from doorward.store.port import Edit, Intent, Past, Store
from doorward.transaction.candidate import Candidate
from doorward.transaction.secrets import is_lost
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import Problem, SemanticError
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Snapshot

log = structlog.get_logger()

_LAST = 1 << 62


def restore(
    tree: Tree, store: Store, candidate: Candidate, number: int, paths: Sequence[str] = (), *, membership: bool = False
) -> None:
    """Put the difference between the running revision, on which it was opened, and revision ``number`` into a candidate.

    With ``paths`` only what stands at or below one of them, and the secrets that it refers to. Who belongs to the cluster stays
    as it is, unless ``membership`` goes back as well: a secret of a pairing is gone by then.

    Raises SemanticError where this release no longer takes what stood there. The candidate is then as before.
    """
    edits = {edit.place: edit for edit in store.difference(number, candidate.base.number)}
    places = [
        place
        for place in edits
        if (membership or not place.path.startswith(f"{CLUSTER}/")) and (not paths or _is_below(place.href, paths))
    ]
    loaded, problems = _loaded(tree, [edits[place] for place in places])
    named = {reference.place for document in loaded.values() if document is not None for reference in document.references}
    secrets = [
        place for place in sorted(named & edits.keys() - set(places)) if isinstance(tree[place.path].node, WriteOnce)
    ]  # what is restored can't do without them, wherever they stand
    more, unloadable = _loaded(tree, [edits[place] for place in secrets])
    if problems or unloadable:
        raise SemanticError([*problems, *unloadable])
    for place, document in (more | loaded).items():
        if document is not None:
            candidate.put(place, document, edits[place].position)
        elif place.key and candidate.snapshot.document(place) is not None and not isinstance(tree[place.path].node, WriteOnce):
            candidate.remove(place)  # endpoints that came with a later release stay, secrets go with their owners
    _without_lost(tree, store, candidate)


def _is_below(href: str, paths: Sequence[str]) -> bool:
    return any(href == path or href.startswith(f"{path}/") for path in paths)


def _loaded(tree: Tree, edits: Iterable[Edit]) -> tuple[dict[Place, Document | None], list[Problem]]:
    """Return the documents that stood before some edits, None where there was none, and what this release does not take."""
    found: dict[Place, Document | None] = {}
    problems: list[Problem] = []
    for edit in edits:
        try:
            found[edit.place] = tree.load(edit.place, decode_own(edit.old)) if edit.old is not None else None
        except (ValidationError, KeyError):
            problems.append(Problem("unsuitable", "This release does not take what stood here.", "", edit.place.href))
    return found, problems


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


def unfinished(tree: Tree, running: Snapshot, intent: Intent) -> Snapshot:
    """Return what a commit would have made of the running configuration, as far as this release knows what it wrote."""
    found = running
    for edit in intent.edits:
        try:
            if edit.new is not None:
                found = found.put(edit.place, tree.load(edit.place, decode_own(edit.new)))
            elif found.document(edit.place):
                found = found.remove(edit.place)
        except (KeyError, ValueError):  # such as pydantic and msgspec raise
            log.warning("an edit of an unfinished commit is of another release", path=edit.place.href)
    return found
