"""What a node wrote into a database that several nodes share, counted: about its own sessions, and about those of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from doorward.sessions.catalogue.postgresql.connection import PostgresConnection, storable
from doorward.store.totals import Total, Totals, add, of_row

COUNTED: Final = {
    "alerts": (
        ("session", "number", "at", "channel", "type", "rule", "regexp", "action", "content", "mark"),
        "alerts of sessions",
    ),
    "bodies": (("id", "checksum"), "sessions"),
    "channels": (("session", "number", "body"), "channels of sessions"),
    "downloads": (("session", "number", "body", "node"), "downloads of sessions"),
    "events": (("session", "number", "at", "channel", "type", "action", "content", "mark"), "events of sessions"),
}
"""Of each table what is counted of a row, and what messages call its rows. The first column says of which session it is."""


class RowCounts(NamedTuple):
    """What a node wrote: rows of its own sessions, by table; rows of other nodes' sessions, by table and session.

    ``numbers``: the last number that it was given of each policy.
    """

    own: Totals
    others: Totals
    numbers: dict[str, int]

    @classmethod
    def of_nothing(cls) -> RowCounts:
        """Return those of nothing."""
        return cls({}, {}, {})

    def copy(self) -> RowCounts:
        """Return some that may be changed."""
        return RowCounts({**self.own}, {**self.others}, {**self.numbers})

    def plus(self, changes: RowCounts) -> RowCounts:
        """Return what it comes to with changes."""
        found = self.copy()
        for into, more in ((found.own, changes.own), (found.others, changes.others)):
            for at, change in more.items():
                add(into, at, change)
        for policy, last in changes.numbers.items():
            found.numbers[policy] = max(found.numbers.get(policy, 0), last)
        return found


def changed(key: bytes, sign: int, table: str, cells: Sequence[Any], sort: str = "") -> tuple[tuple[str, str], Total]:
    """Return where a row is counted that came (1) or goes (-1), and what it counts. ``cells`` as `COUNTED` has them."""
    at, total = of_row(key, table, sort.encode(), [_cell(cell) for cell in cells])
    return at, total if sign > 0 else total.negative


def _cell(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return storable(value).encode() if isinstance(value, str) else b"%d" % value


def counted(connection: PostgresConnection, node: str, key: bytes) -> RowCounts:
    """Count all that a node wrote. Raises psycopg.Error."""
    found = RowCounts.of_nothing()
    for table, (columns, _) in COUNTED.items():
        names = ", ".join(f"{table}.{name}" for name in columns)
        writer = " AND downloads.node = sessions.node" if table == "downloads" else ""
        sql = f"SELECT {names} FROM {table} JOIN sessions ON sessions.id = {table}.{columns[0]} WHERE sessions.node = ?{writer}"
        for cells in connection.stream(sql, (node,)):
            add(found.own, *changed(key, 1, table, cells))
    names = ", ".join(f"downloads.{name}" for name in COUNTED["downloads"][0])
    sql = (
        f"SELECT {names} FROM downloads JOIN sessions ON sessions.id = session"
        " WHERE downloads.node = ? AND sessions.node <> downloads.node"
    )
    for cells in connection.stream(sql, (node,)):
        add(found.others, *changed(key, 1, "downloads", cells, str(cells[0])))
    return found._replace(numbers=dict(connection.execute("SELECT policy_key, last FROM numbers").fetchall()))
