"""Who changed meanwhile what a transaction changes as well: what its owner is told of a conflict."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from doorward.store.port import Store
from doorward.transaction.candidate import Running
from doorward.transaction.merge import MergeConflict


class ConflictingChange(Struct, frozen=True):
    """A change by somebody else. ``author`` is "" and ``revision`` the running one where history does not tell."""

    author: str
    path: str
    revision: int
    running_value: Any


class ConflictingChangesError(Exception):
    """Somebody else committed changes of the same places since the transaction began."""

    def __init__(self, conflicts: list[ConflictingChange]) -> None:
        self.conflicts = conflicts
        places = "1 place was" if len(conflicts) == 1 else f"{len(conflicts)} places were"
        super().__init__(f"{places} changed by somebody else meanwhile.")


def explained(store: Store, since: int, running: Running, collided: MergeConflict) -> ConflictingChangesError:
    """Return a conflict with the authors of the changes since a revision, sorted by path. Blocks: the store is asked."""
    conflicts = []
    for one in sorted(collided.collisions, key=lambda found: found.path):
        changed = store.changes_of(one.place, running.number, 1)
        revision = next((found for found, _ in changed if found.number > since), None)
        author, number = (revision.author, revision.number) if revision else ("", running.number)
        conflicts.append(ConflictingChange(author, one.path, number, one.running_value))
    return ConflictingChangesError(conflicts)
