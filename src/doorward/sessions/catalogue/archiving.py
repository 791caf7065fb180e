"""What archiving looks for in the catalogue: sessions of some connection policies whose trails are not in an archive."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence
from typing import NamedTuple


class Unarchived(NamedTuple):
    """A session without a proven archive. ``ended``: ms since 1970, None while it runs."""

    id: int
    key: str
    policy_key: str
    ended: int | None
    is_recovered: bool
    """Whether it was closed because nobody knew of it any more: its worker may still tell."""


_COLUMNS = "SELECT id, key, policy_key, ended, is_recovered FROM sessions"
# `+`: the rows of a range of ids are few, those of a policy may be very many.
_LISTED = "IN (SELECT value FROM json_each(?))"
_RANGE = f"{_COLUMNS} WHERE id > ? AND id <= ? AND node = ? AND is_archived = 0 AND +policy_key {_LISTED}"
_SOME = f"{_COLUMNS} WHERE id {_LISTED}"


def newest(connection: sqlite3.Connection) -> int:
    """Return the highest id of a session, 0 where there is none."""
    found = connection.execute("SELECT max(id) FROM sessions").fetchone()[0]
    return int(found or 0)


def unarchived(connection: sqlite3.Connection, node: str, policies: Collection[str], after: int, until: int) -> list[Unarchived]:
    """Return those of a range of ids, in order, that a node recorded under some connection policies."""
    rows = connection.execute(_RANGE, (after, until, node, json.dumps([*policies])))
    return sorted(_made(row) for row in rows)


def by_ids(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Unarchived]:
    """Return how sessions are by now, those that there are."""
    return [_made(row) for row in connection.execute(_SOME, (json.dumps([*ids]),))]


def _made(row: tuple[int, str, str, int | None, int]) -> Unarchived:
    number, key, policy, ended, recovered = row
    return Unarchived(number, key, policy, ended, bool(recovered))
