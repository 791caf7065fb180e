"""What of a transaction its owner may write: rights may have been taken away since the writes."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.access.rights import Rights
from doorward.transaction.candidate import Candidate
from doorward.transaction.privileged import holds_secret
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


def not_restorable(tree: Tree, before: Candidate, after: Candidate, rights: Rights) -> list[Place]:
    """Return the places that a restore has put into a candidate and somebody with these rights may not change, sorted.

    A secret that comes back from the history has no owner by then who could be asked for a right to it: it takes every right.
    """
    if rights.everything:
        return []
    known = {edit.place for edit in before.edits()}
    secrets = {
        edit.place.href
        for edit in after.edits()
        if edit.place not in known and edit.new is not None and _brings_secret(tree, after, edit.place)
    }
    forbidden = (set(not_writable(tree, after, rights)) - set(not_writable(tree, before, rights))) | secrets
    return sorted(edit.place for edit in after.edits() if edit.place.href in forbidden)


def _brings_secret(tree: Tree, candidate: Candidate, place: Place) -> bool:
    document = candidate.snapshot.document(place)
    return isinstance(tree[place.path].node, WriteOnce) and document is not None and holds_secret(document)


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
