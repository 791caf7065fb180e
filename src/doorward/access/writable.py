"""What of a transaction its owner may write: rights may have been taken away since the writes."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.access.rights import Rights
from doorward.transaction.candidate import Candidate
from doorward.tree.nodes import Collection, WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Tree


def not_writable(tree: Tree, candidate: Candidate, rights: Rights) -> list[str]:
    """Return the hrefs of what a candidate changes and somebody with these rights may not write, sorted.

    What only follows from an allowed DELETE, such as leaving the groups of a deleted account, needs no right of its own.
    """
    if rights.everything:
        return []
    changed = [edit.place for edit in candidate.edits()]
    forbidden = {place for place in changed if not _may_write(tree, rights, place)}
    deleted = [place for place in changed if place not in forbidden and candidate.snapshot.document(place) is None]
    cascading = [place for place in deleted if isinstance(node := tree[place.path].node, Collection) and node.cascade]
    return sorted(place.href for place in forbidden if not _follows(tree, candidate, place, cascading))


def _may_write(tree: Tree, rights: Rights, place: Place) -> bool:
    endpoint = tree[place.path]
    if isinstance(endpoint.node, WriteOnce):
        return rights.may_write_something and rights.reaches(place.href)
    return rights.may_write(endpoint.privilege, place.href)


def _follows(tree: Tree, candidate: Candidate, place: Place, deleted: list[Place]) -> bool:
    """Whether a change is nothing but the loss of references to what was deleted."""
    document, after = (snapshot.document(place) for snapshot in (candidate.base.snapshot, candidate.snapshot))
    for target in _referred(candidate, place, deleted):
        document = None if document is None else tree.node(place.path).released(document, target)
    return document is not None and document == after


def _referred(candidate: Candidate, place: Place, deleted: list[Place]) -> Iterator[Place]:
    for target in deleted:
        if place in candidate.base.snapshot.who_refers_to(target.href):
            yield target
