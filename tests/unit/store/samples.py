"""A small history for the tests of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.store.port import CommitRecord, Edit, Revision, Secret
from doorward.tree.jsontext import encode
from doorward.tree.places import Place

if TYPE_CHECKING:
    from typing import Any

    from doorward.store.port import Store

ZONE, SERVERS = Place("/zone"), Place("/servers")
JANE, JOE = Place("/users", "jane"), Place("/users", "joe")


def edit(place: Place, old: Any, new: Any, position: int = 0) -> Edit:
    """An edit between JSON values; ``...`` stands for nothing there."""
    return Edit(place, None if old is ... else encode(old), None if new is ... else encode(new), position)


def revision(number: int, changes: int = 1, **others: Any) -> Revision:
    given = {"author": "admin", "address": "192.0.2.9", "time": f"2026-11-21T10:00:{number:02}Z", "message": f"Number {number}"}
    return Revision(number, changes=changes, **{**given, **others})


def commit_record(name: str, **others: Any) -> CommitRecord:
    given = {"user": "admin", "started": "2026-11-21T10:00:00Z", "account": "-1"}
    return CommitRecord(name, **{**given, **others})


HISTORY = [
    [edit(SERVERS, ..., ["a"]), edit(ZONE, ..., "Etc/UTC"), edit(JANE, ..., {"name": "jane"}, 0), edit(JOE, ..., {"n": 1}, 1)],
    [edit(ZONE, "Etc/UTC", "Europe/Budapest")],
    [edit(JANE, {"name": "jane"}, ...), edit(SERVERS, ["a"], ["a", "b"]), edit(JOE, {"n": 1}, {"n": 2}, 1)],
    [edit(ZONE, "Europe/Budapest", "Etc/UTC"), edit(JANE, ..., {"name": "jane"}, 2)],
]
RUNNING = {
    SERVERS: (0, encode(["a", "b"])),
    ZONE: (0, encode("Etc/UTC")),
    JANE: (2, encode({"name": "jane"})),
    JOE: (1, encode({"n": 2})),
}


def fill(store: Store) -> list[Revision]:
    """Publish the whole history."""
    secrets = [Secret("key", "hash", b"sealed")]
    return [
        store.publish(revision(number, len(edits), message=None if number == 2 else f"Number {number}"), edits, secrets=secrets)
        for number, edits in enumerate(HISTORY, 1)
    ]
