"""The statements of a node in PostgreSQL, which tell its tally what they write."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.columns import columns_of, encode
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.postgresql import words
from doorward.sessions.catalogue.postgresql.counts import COUNTED
from doorward.sessions.catalogue.postgresql.tally import NodeTally
from doorward.sessions.catalogue.rows import DownloadRow, IndexLine, SessionRow
from doorward.sessions.catalogue.statements import Statements
from doorward.sessions.catalogue.text import SHIFT, indexed_text, packed

_TELLING: Final = {"events": (0, 1, 2, 3, 4), "alerts": (0, 1, 3, 4, 6)}
"""By which of their values rows are told from each other."""


class PostgresStatements(Statements):
    """The statements of a node, which shares the tables with others and touches none of their sessions."""

    def __init__(self, connection: DatabaseConnection, node: str, tally: NodeTally | None = None) -> None:
        super().__init__(connection)
        self._node, self._tally = node, tally
        self.own = Condition("node = ?", (node,))

    # What is counted

    def counted(self, sign: int, table: str, *cells: Any) -> None:
        """See `Statements.counted`."""
        if self._tally is not None:
            is_elsewhere = table == "downloads" and not self._is_own(cells[0])
            (self._tally.note_elsewhere if is_elsewhere else self._tally.note)(sign, table, *cells)

    def _is_own(self, session: int) -> bool:
        sql = "SELECT 1 FROM sessions WHERE id = ? AND node = ?"
        return self.connection.execute(sql, (session, self._node)).fetchone() is not None

    def put_body(self, number: int, body: bytes, checksum: str) -> None:
        """See `Statements.put_body`."""
        sql = (
            "UPDATE bodies SET body = ?, checksum = ? FROM (SELECT id, checksum FROM bodies WHERE id = ?) AS before"
            " WHERE bodies.id = before.id RETURNING before.checksum"
        )
        found = self.connection.execute(sql, (body, checksum, number)).fetchone()
        if found is not None:
            self.counted(-1, "bodies", number, found[0])
            self.counted(1, "bodies", number, checksum)

    def delete(self, ids: Sequence[int]) -> list[str]:
        """See `Statements.delete`."""
        if self._tally is not None:
            for number in dict.fromkeys(ids):
                if self._is_own(number):
                    self._count_out(number)
        return super().delete(ids)

    def _count_out(self, session: int) -> None:
        """Count out what goes with a session. What it is part of is what was asked for, whatever the database says."""
        for table, (columns, _) in COUNTED.items():
            names, of_node = ", ".join(columns[1:]), " AND node = ?" if table == "downloads" else ""
            sql = f"SELECT {names} FROM {table} WHERE {columns[0]} = ?{of_node}"
            for cells in self.connection.execute(sql, (session, self._node) if of_node else (session,)).fetchall():
                self.counted(-1, table, session, *cells)

    def numbers_ahead(self, policy_key: str, count: int) -> int:
        """See `Statements.numbers_ahead`."""
        last = super().numbers_ahead(policy_key, count)
        if self._tally is not None:
            self._tally.note_number(policy_key, last)
        return last

    def add_download(self, session: int, download: DownloadRow) -> None:
        """See `Statements.add_download`: of whatever node the session is."""
        self._add("downloads", session, (encode(download), self._node))

    # What was kept elsewhere, and is moved here

    def copy_channels(self, session: int, rows: Sequence[tuple[int, bytes]]) -> None:
        """Take over channels: numbers and bodies."""
        self._copy("channels", "session, number, body", [(session, *row) for row in rows])

    def copy_downloads(self, session: int, rows: Sequence[tuple[int, bytes]]) -> None:
        """Take over downloads: numbers and bodies."""
        self._copy("downloads", "session, number, body, node", [(session, *row, self._node) for row in rows])

    def copy_numbers(self, rows: Sequence[tuple[str, int]]) -> None:
        """Go on with numbers of policies, where they are behind."""
        sql = (
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (policy_key)"
            " DO UPDATE SET last = greatest(numbers.last, excluded.last)"
        )  # fmt: skip
        self.connection.executemany(sql, rows)
        if self._tally is not None:
            for policy_key, last in rows:
                self._tally.note_number(policy_key, last)

    def _copy(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            places = ", ".join("?" * len(rows[0]))
            self.connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
            for row in rows:
                self.counted(1, table, *row)

    # Where the tables differ

    def columns(self, row: SessionRow) -> dict[str, Any]:
        """See `Statements.columns`."""
        found = columns_of(row)
        return found | {f"{end}_net": _net(found[f"{end}_ip"]) for end in ("client", "target", "server", "local")}

    def _add(self, table: str, session: int, values: tuple[Any, ...]) -> None:
        if table in _TELLING:
            told = msgspec.msgpack.encode([values[place] for place in _TELLING[table]])
            values = (*values, hashlib.blake2b(told, digest_size=16).digest())
        super()._add(table, session, values)

    def add_chunk(self, number: int, channel: int, lines: list[IndexLine]) -> None:
        """See `Statements.add_chunk`."""
        vector, is_crowded = words.indexed(indexed_text(lines))
        sql = "INSERT INTO chunks VALUES (?, ?, ?, ?, ?::tsvector, ?)"
        self.connection.execute(sql, (number, number >> SHIFT, channel, packed(lines), vector, is_crowded))

    def remove_text(self, session: int) -> None:
        """See `Statements.remove_text`: chunks go with their session, and words with their chunks."""

    def tidy_index(self) -> None:
        """See `Statements.tidy_index`: PostgreSQL cleans by itself (autovacuum)."""

    def doom(self, path: str) -> None:
        """See `Statements.doom`."""
        self.connection.execute("INSERT INTO doomed VALUES (?, ?) ON CONFLICT DO NOTHING", (self._node, path))

    def doomed(self) -> list[str]:
        """See `Statements.doomed`."""
        return [path for (path,) in self.connection.execute("SELECT path FROM doomed WHERE node = ?", (self._node,))]

    def forget_doomed(self, paths: Sequence[str]) -> None:
        """See `Statements.forget_doomed`."""
        self.connection.execute("DELETE FROM doomed WHERE node = ? AND path = ANY (?::text[])", (self._node, list(paths)))

    def remembered(self, name: str) -> str | None:
        """See `Statements.remembered`."""
        found = self.connection.execute("SELECT value FROM meta WHERE node = ? AND name = ?", (self._node, name)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """See `Statements.remember`."""
        sql = "INSERT INTO meta VALUES (?, ?, ?) ON CONFLICT (node, name) DO UPDATE SET value = excluded.value"
        self.connection.execute(sql, (self._node, name, value))


def _net(address: str) -> str | None:
    try:
        return str(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return None
