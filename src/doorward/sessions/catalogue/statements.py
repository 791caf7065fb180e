"""What is written about sessions, statement by statement, on one connection within somebody's transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.columns import columns_of, decode_row, encode, sum_of
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.dialect import Condition
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow, IndexLine, SessionRow
from doorward.sessions.catalogue.text import MAX_CHUNKS, TextMark, ids_of, pieces, unknown

MAX_CONTENT: Final = 65_536
"""Characters of an event's content that are kept."""

_DUE_AT_ONCE: Final = 100
"""Rows that retention looks at before it asks for more."""
_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM {} WHERE session = ?"


class Statements(ABC):
    """The statements of an engine; what all of them understand stands here."""

    def __init__(self, connection: DatabaseConnection) -> None:
        self.connection = connection
        self.own = Condition("1 = 1")
        """The condition of the sessions that this node recorded."""

    # Sessions

    def insert(self, row: SessionRow) -> int | None:
        """Keep a row; return its id, None where there is one with its key."""
        values = self.columns(row)
        names = ", ".join(f'"{name}"' for name in values)
        sql = f"INSERT INTO sessions ({names}) VALUES ({', '.join('?' * len(values))}) ON CONFLICT DO NOTHING RETURNING id"
        found = self.connection.execute(sql, tuple(values.values())).fetchone()
        if found is None:
            return None
        number, body = int(found[0]), encode(row)
        checksum = sum_of(number, body)
        self.connection.execute("INSERT INTO bodies VALUES (?, ?, ?)", (number, body, checksum))
        self.counted(1, "bodies", number, checksum)
        return number

    def change(self, number: int, before: SessionRow, after: SessionRow) -> None:
        """Put a row in the place of another; only columns that differ are written."""
        old, new = self.columns(before), self.columns(after)
        self.put(number, {name: value for name, value in new.items() if old[name] != value})
        body = encode(after)
        self.put_body(number, body, sum_of(number, body))

    def put(self, number: int, values: Mapping[str, Any]) -> None:
        """Set columns of a row."""
        if values:
            assigned = ", ".join(f'"{name}" = ?' for name in values)
            self.connection.execute(f"UPDATE sessions SET {assigned} WHERE id = ?", (*values.values(), number))

    def find(self, key: str) -> tuple[int, SessionRow, bool] | None:
        """Return id and row of a session of this node, and whether it was closed by a recovery."""
        sql = "SELECT sessions.id, body, is_recovered FROM sessions JOIN bodies USING (id) WHERE key = ?"
        found = self.connection.execute(f"{sql} AND {self.own.sql}", (key, *self.own.values)).fetchone()
        return None if found is None else (found[0], decode_row(found[1]), bool(found[2]))

    def id_of(self, key: str) -> int | None:
        """Return the id of a session of any node."""
        found = self.connection.execute("SELECT id FROM sessions WHERE key = ?", (key,)).fetchone()
        return None if found is None else int(found[0])

    def delete(self, ids: Sequence[int]) -> list[str]:
        """Delete sessions with everything that is known of them; return the paths of their trails, noted as doomed."""
        paths = []
        for number in ids:
            found = self.connection.execute("SELECT body FROM bodies WHERE id = ?", (number,)).fetchone()
            if found is not None and (path := decode_row(found[0]).trail):
                self.doom(path)
                paths.append(path)
            self.remove_text(number)
            self.connection.execute("DELETE FROM sessions WHERE id = ?", (number,))
        return paths

    def numbers_ahead(self, policy_key: str, count: int) -> int:
        """Set numbers of a policy aside; return the last of them."""
        sql = (
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (policy_key)"
            " DO UPDATE SET last = numbers.last + excluded.last RETURNING last"
        )
        (after,) = self.connection.execute(sql, (policy_key, count)).fetchone()
        return int(after)

    # What belongs to one

    def add_channel(self, session: int, channel: ChannelRow) -> bool:
        """Keep a channel; whether there was none of its number."""
        values = (session, channel.number, encode(channel))
        is_new = self.connection.execute("INSERT INTO channels VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values).rowcount > 0
        if is_new:
            self.counted(1, "channels", *values)
        return is_new

    def close_channel(self, session: int, number: int, at: int, moved: tuple[int, int]) -> None:
        """Note the end of a channel, and the bytes from the server and from the client, if there is one."""
        where = (session, number)
        found = self.connection.execute("SELECT body FROM channels WHERE session = ? AND number = ?", where).fetchone()
        if found is not None:
            channel = msgspec.msgpack.decode(found[0], type=ChannelRow)
            closed = encode(msgspec.structs.replace(channel, closed=at, down=moved[0], up=moved[1]))
            self.connection.execute("UPDATE channels SET body = ? WHERE session = ? AND number = ?", (closed, *where))
            self.counted(-1, "channels", *where, found[0])
            self.counted(1, "channels", *where, closed)

    def add_event(self, session: int, event: EventRow) -> None:
        """Keep an event, unless it is there."""
        self._add("events", session, (
            event.at, event.channel, event.type, event.action[:MAX_CONTENT], event.content[:MAX_CONTENT],
        ))  # fmt: skip

    def add_alert(self, session: int, alert: AlertRow) -> None:
        """Keep a match of a content policy, unless it is there."""
        self._add("alerts", session, (
            alert.at, alert.channel, alert.type, alert.rule, alert.regexp, alert.action, alert.content[:MAX_CONTENT],
        ))  # fmt: skip

    def add_download(self, session: int, download: DownloadRow) -> None:
        """Keep that somebody had the content of a session."""
        self._add("downloads", session, (encode(download),))

    def _add(self, table: str, session: int, values: tuple[Any, ...]) -> None:
        sql = f"INSERT INTO {table} VALUES (?, ({_NEXT.format(table)}){', ?' * len(values)}) ON CONFLICT DO NOTHING"
        found = self.connection.execute(f"{sql} RETURNING number", (session, session, *values)).fetchone()
        if found is not None:
            self.counted(1, table, session, found[0], *values)

    # Text

    def add_text(self, session: int, channel: int, lines: Sequence[IndexLine]) -> list[IndexLine]:
        """Keep and index the lines that did not come before; return those. Beyond a million chunks no text is kept any more."""
        fresh = sorted((line for kind in {line.kind for line in lines} for line in self._fresh(session, channel, kind, lines)),
                       key=lambda line: line.at)  # fmt: skip
        first, most = ids_of(session)
        (last,) = self.connection.execute("SELECT max(id) FROM chunks WHERE id BETWEEN ? AND ?", (first, most)).fetchone()
        for number, piece in enumerate(pieces(fresh), first if last is None else last + 1):
            if number > first | MAX_CHUNKS:
                break
            self.add_chunk(number, channel, piece)
        return fresh

    def _fresh(self, session: int, channel: int, kind: str, lines: Sequence[IndexLine]) -> list[IndexLine]:
        where = (session, channel, kind)
        sql = "SELECT at, seen FROM marks WHERE session = ? AND channel = ? AND kind = ?"
        found = self.connection.execute(sql, where).fetchone()
        fresh, mark = unknown(lines, kind, TextMark(*found) if found is not None else TextMark())
        self.connection.execute(
            "INSERT INTO marks VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (session, channel, kind) DO UPDATE SET at = excluded.at, seen = excluded.seen",
            (*where, mark.at, mark.seen),
        )
        return fresh

    # Retention

    def open_sessions(self) -> list[SessionRow]:
        """Return the rows of this node that are not closed, the oldest first."""
        where = f"ended IS NULL AND {self.own.sql}"
        sql = f"SELECT body FROM sessions JOIN bodies USING (id) WHERE {where} ORDER BY sessions.id"
        return [decode_row(body) for (body,) in self.connection.execute(sql, self.own.values)]

    def due(self, policy_key: str | None, before: int, limit: int, is_kept: Callable[[SessionRow], bool]) -> list[int]:
        """Return the ids of some sessions of this node that ended before a time and are not kept; None: of every policy."""
        of_policy = Condition("1 = 1") if policy_key is None else Condition("policy_key = ?", (policy_key,))
        where = f"{of_policy.sql} AND {self.own.sql} AND ended < ? AND sessions.id > ?"
        sql = f"SELECT sessions.id, body FROM sessions JOIN bodies USING (id) WHERE {where} ORDER BY sessions.id LIMIT ?"
        values = (*of_policy.values, *self.own.values, before)
        found: list[int] = []
        last = 0
        while rows := self.connection.execute(sql, (*values, last, _DUE_AT_ONCE)).fetchall():
            last = rows[-1][0]
            found += [number for number, body in rows if not is_kept(decode_row(body))]
            if len(found) >= limit:
                break
        return found[:limit]

    def doomed(self) -> list[str]:
        """Return the trails of this node whose rows are gone."""
        return [path for (path,) in self.connection.execute("SELECT path FROM doomed")]

    def remembered(self, name: str) -> str | None:
        """Return what is kept under a name."""
        found = self.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def doom(self, path: str) -> None:
        """Note that a trail is to be deleted."""
        self.connection.execute("INSERT INTO doomed (path) VALUES (?) ON CONFLICT DO NOTHING", (path,))

    def forget_doomed(self, paths: Sequence[str]) -> None:
        """Forget trails that are deleted."""
        self.connection.executemany("DELETE FROM doomed WHERE path = ?", [(path,) for path in paths])

    def forget_marks(self, before: int) -> None:
        """Forget what helps against repetition, of sessions that ended before a time, of which nothing is repeated any more."""
        sql = f"DELETE FROM marks WHERE session IN (SELECT id FROM sessions WHERE ended < ? AND {self.own.sql})"
        self.connection.execute(sql, (before, *self.own.values))

    def remember(self, name: str, value: str) -> None:
        """Keep a value under a name, in the place of what was there."""
        sql = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self.connection.execute(sql, (name, value))

    # Where engines differ

    @abstractmethod
    def counted(self, sign: int, table: str, *cells: Any) -> None:
        """Hear that a row came (1) or goes (-1), by the values that tell it, for engines that can't see that themselves."""

    def put_body(self, number: int, body: bytes, checksum: str) -> None:
        """Put the body of a row in the place of another."""
        self.connection.execute("UPDATE bodies SET body = ?, checksum = ? WHERE id = ?", (body, checksum, number))

    def columns(self, row: SessionRow) -> dict[str, Any]:
        """Return what the columns of a row hold."""
        return columns_of(row)

    @abstractmethod
    def add_chunk(self, number: int, channel: int, lines: list[IndexLine]) -> None:
        """Keep and index a chunk by its id."""

    @abstractmethod
    def remove_text(self, session: int) -> None:
        """Take the text of a session out of chunks and index."""

    @abstractmethod
    def tidy_index(self) -> None:
        """Take the words of deleted text out of the index, or a part of them."""
