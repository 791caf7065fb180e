"""Brings a candidate's changes onto what runs now, place by place (protocol, section 8.6, step 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from msgspec import Struct
from pydantic import ValidationError

from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.edits import DocumentEdit
from doorward.tree.changes import MISSING, At, Difference, apply, differences, overlapping, same, value_at
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import pointer
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Snapshot


class Collision(Struct, frozen=True):
    """A place that somebody else changed too. ``path`` is its href with ``#`` and the place in the body."""

    place: Place
    path: str
    running_value: Any


Choice = Literal["mine", "theirs"]
"""Whose change of a place stays, where two people changed it."""
UNDECIDED: Mapping[str, Choice] = {}


class MergeConflict(Exception):
    """Somebody else changed places of this candidate since it was opened. Nothing was changed."""

    def __init__(self, collisions: list[Collision]) -> None:
        self.collisions = collisions
        super().__init__(", ".join(collision.path for collision in collisions))


class Merged(Struct, frozen=True):
    """What would run: the whole configuration, and the documents in which it differs from the running one."""

    snapshot: Snapshot
    edits: tuple[DocumentEdit, ...]


def merge(tree: Tree, candidate: Candidate, running: Running, choices: Mapping[str, Choice] = UNDECIDED) -> Merged:
    """Return the running configuration with the candidate's changes.

    ``choices`` say what becomes of collisions, by their paths. Raises MergeConflict with all others.
    """
    if candidate.base is running and (unmerged := _unmerged(tree, candidate)) is not None:
        return unmerged
    snapshot = running.snapshot
    collisions: list[Collision] = []
    changed: dict[Place, None] = {}
    for place in sorted(candidate.touched, key=candidate.snapshot.rank):  # objects keep their order among each other
        base, mine = candidate.base.snapshot.document(place), candidate.snapshot.document(place)
        theirs = running.snapshot.document(place)
        if mine in (base, theirs):
            continue
        if theirs != base:
            if base is not None and mine is not None and theirs is not None:
                mine = _merged(tree, place, _Three(base, mine, theirs), collisions, choices)
                if mine == theirs:
                    continue
            elif (choice := choices.get(place.href)) != "mine":
                if choice is None:
                    collisions.append(Collision(place, place.href, theirs.shown_value if theirs else None))
                continue
        position = candidate.snapshot.position(place) if mine else 0
        snapshot = snapshot.remove(place) if mine is None else snapshot.put(place, mine, _position(candidate, place, position))
        changed[place] = None
    if collisions:
        raise MergeConflict(collisions)
    edits = [DocumentEdit.between(place, running.snapshot.entry(place), snapshot.entry(place)) for place in changed]
    return _without_abandoned(tree, snapshot, edits)


def _unmerged(tree: Tree, candidate: Candidate) -> Merged | None:
    """Return what a candidate holds, where nobody committed since it began: nothing has to be put in again.

    None where an object is as it was and not where it was, for it was removed and put back.
    """
    edits: list[DocumentEdit] = []
    for place in candidate.touched:
        before, after = candidate.base.snapshot.entry(place), candidate.snapshot.entry(place)
        edit = DocumentEdit.between(place, before, after)
        if edit.old != edit.new:
            edits.append(edit)
        elif before is not None and after is not None and before.position != after.position:
            return None
    edits.sort(key=lambda edit: edit.position if edit.new is not None else 0)  # objects keep their order among each other
    return _without_abandoned(tree, candidate.snapshot, edits)


def rebased(tree: Tree, candidate: Candidate, running: Running, choices: Mapping[str, Choice] = UNDECIDED) -> Candidate:
    """Return a copy of a candidate as if it had been opened just now. ``choices`` and errors: see ``merge``."""
    if candidate.base is running:
        return candidate.copy()
    merged = merge(tree, candidate, running, choices)
    return replace(
        candidate.copy(), base=running, snapshot=merged.snapshot, touched=dict.fromkeys(edit.place for edit in merged.edits)
    )


def _position(candidate: Candidate, place: Place, position: int) -> int | None:
    """A restored object returns to its old position; a new one goes to the end, wherever that is by now."""
    objects = candidate.base.snapshot.objects(place.path)
    return position if place.key and position < objects.next_position else None


class _Three(Struct, frozen=True):
    """One document before, and as two people made it."""

    base: Document
    mine: Document
    theirs: Document


def _merged(tree: Tree, place: Place, three: _Three, collisions: list[Collision], choices: Mapping[str, Choice]) -> Document:
    """Return their document with my changes; adds what collides and was not chosen."""
    base, mine, theirs = three.base.value, three.mine.value, three.theirs
    shape = tree.shape(place.path)
    their_places = [difference.at for difference in differences(base, theirs.value, shape)]
    body = theirs.value
    for difference in differences(base, mine, shape):
        if not any(overlapping(difference.at, at) for at in their_places):
            body = apply(difference, body)
        elif not same(value_at(theirs.value, difference.at), value_at(mine, difference.at)):
            inner = "#" + pointer(difference.at)[1:] if difference.at else ""
            choice = choices.get(place.href + inner)
            if choice == "mine":
                body = apply(_widened(difference, their_places, theirs.value, mine), body)
            elif choice is None:
                shown = value_at(theirs.shown_value, difference.at)
                collisions.append(Collision(place, place.href + inner, None if shown is MISSING else shown))
    try:
        return tree.load(place, body)
    except ValidationError:  # members that exclude each other, changed by two people
        choice = choices.get(place.href)
        if choice is None:
            collisions.append(Collision(place, place.href, theirs.shown_value))
        return three.mine if choice == "mine" else theirs


def _widened(mine: Difference, their_places: list[At], theirs: Any, body: Any) -> Difference:
    """Return a change of mine with as much around it as somebody else changed, so that it fits into what they made."""
    at = min((at for at in their_places if overlapping(at, mine.at)), key=len)
    if len(at) >= len(mine.at):
        return mine
    there = value_at(theirs, at)
    return Difference("create" if there is MISSING else "replace", at, there, value_at(body, at))


def _without_abandoned(tree: Tree, snapshot: Snapshot, edits: Sequence[DocumentEdit]) -> Merged:
    """Return what edits lead to, without the write-once objects whose last owner let go of them in these edits."""
    removed: list[DocumentEdit] = []
    for edit in edits:
        for reference in edit.before.references if edit.before else ():
            target = Place(reference.to, reference.key)
            if not isinstance(tree[reference.to].node, WriteOnce) or snapshot.who_refers_to(reference.href):
                continue
            if (entry := snapshot.entry(target)) is not None:
                snapshot = snapshot.remove(target)
                removed.append(DocumentEdit.between(target, entry, None))
    return Merged(snapshot, (*edits, *removed))
