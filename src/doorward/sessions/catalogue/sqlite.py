"""The catalogue in a SQLite file of its own, beside the configuration: one writer, WAL, many readers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET

from doorward.sessions.catalogue import tables, text
from doorward.sessions.catalogue.readers import Readers
from doorward.sessions.catalogue.rows import (
    INDEXED,
    NOT_INDEXED,
    AlertRow,
    ChannelRow,
    DownloadRow,
    EventRow,
    Facts,
    IndexLine,
    SessionEnd,
    SessionRow,
)
from doorward.sessions.catalogue.writer import Work, Writer
from doorward.store.tally import Tally

log = structlog.get_logger()

NUMBERS_AHEAD: Final = 64
"""Numbers of a policy that are set aside at a time: a sync for so many sessions, and as many may be left out by a crash."""
MAX_CONTENT: Final = 65_536
"""Characters of an event's content that are kept."""
EVENT_KINDS: Final = frozenset({"command", "title"})
"""Kinds of lines that are events as well."""
_CLOSED_KEPT: Final = 256
"""Rows that are remembered though they are closed."""


class UnknownSessionError(Exception):
    """There is no row with the key."""


class SqliteCatalogue:
    """See `port.Catalogue`. ``is_readable`` tells whether the text of an encrypted session may be kept in clear here.

    With ``key`` a tally of the rows is kept under it. Raises CatalogueDamagedError where the file can't be used.
    """

    def __init__(
        self, path: Path, is_readable: Callable[[SessionRow], bool] = lambda _: False, *, key: bytes | None = None
    ) -> None:
        self.path, self._is_readable = path, is_readable
        self._known: dict[str, tuple[int, SessionRow, bool]] = {}
        """Rows that are open, and some others: id, row, whether a recovery closed it. Belongs to the writing thread."""
        connection = tables.open_for_writing(path)
        try:
            tally = Tally(connection, tables.COUNTED, key, follows_key=True) if key is not None else None
        except sqlite3.Error as error:
            connection.close()
            raise tables.CatalogueDamagedError(f"{path} can't be used: {error}.") from error
        self.writer = Writer(connection, self._known.clear, tally)
        self._numbers: dict[str, tuple[int, int]] = {}
        """Of each policy the last number given away, and the last that is set aside."""
        self._setting: dict[str, Future[tuple[int, int]]] = {}
        """Of each policy what sets more of them aside."""
        self._numbering = threading.Lock()
        self.readers = Readers(path)

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.writer.close()
        self.readers.close()

    # What control tells

    async def number(self, policy_key: str) -> int:
        """See `port.Catalogue.number`."""
        while True:
            with self._numbering:
                last, ahead = self._numbers.get(policy_key, (0, 0))
                if last < ahead:
                    self._numbers[policy_key] = last + 1, ahead
                    return last + 1
                setting = self._setting.get(policy_key)
                if setting is not None and setting.done():  # what counts is told when it is on the disk
                    del self._setting[policy_key]
                    if setting.exception() is None:
                        self._numbers[policy_key] = setting.result()
                        continue
                    setting = None
                if setting is None:
                    work = partial(self._set_aside, policy_key)
                    setting = self._setting[policy_key] = self.writer.durable(work, urgent=True)
            await asyncio.wrap_future(setting)  # whoever comes meanwhile waits for the same

    async def begin(self, row: SessionRow) -> None:
        """See `port.Catalogue.begin`."""

        def work(connection: sqlite3.Connection) -> None:
            number = tables.insert(connection, row)
            if number is not None:
                self._remember(row.key, number, row, recovered=False)

        await self._durably(work, urgent=True)

    async def update(self, key: str, facts: Facts) -> None:
        """See `port.Catalogue.update`."""
        await self._lazily(key, lambda connection: self._change(connection, key, lambda row: _with(row, facts)), 200)

    async def channel_opened(self, key: str, channel: ChannelRow) -> None:
        """See `port.Catalogue.channel_opened`."""

        def work(connection: sqlite3.Connection) -> None:
            number, row, _ = self._find(connection, key)
            values = (number, channel.number, tables.encode(channel))
            if not connection.execute("INSERT OR IGNORE INTO channels VALUES (?, ?, ?)", values).rowcount:
                return
            if channel.verdict == "accept" and not row.has_accepted_channel:
                self._change(connection, key, lambda row: msgspec.structs.replace(row, has_accepted_channel=True))
            command = channel.facts.get("command")
            if isinstance(command, str) and command:
                self._add_text(connection, key, channel.number, [IndexLine(channel.opened, "command", command)])

        await self._lazily(key, work, 500)

    async def channel_closed(self, key: str, number: int, at: int, down: int, up: int) -> None:
        """See `port.Catalogue.channel_closed`."""

        def work(connection: sqlite3.Connection) -> None:
            session, _, _ = self._find(connection, key)
            where = (session, number)
            found = connection.execute("SELECT body FROM channels WHERE session = ? AND number = ?", where).fetchone()
            if found is not None:
                channel = msgspec.msgpack.decode(found[0], type=ChannelRow)
                closed = msgspec.structs.replace(channel, closed=at, down=down, up=up)
                sql = "UPDATE channels SET body = ? WHERE session = ? AND number = ?"
                connection.execute(sql, (tables.encode(closed), *where))

        await self._lazily(key, work, 100)

    async def text(self, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        """See `port.Catalogue.text`."""
        size = sum(len(line.text) + 50 for line in lines)
        await self._lazily(key, lambda connection: self._add_text(connection, key, channel, lines), size)

    async def event(self, key: str, event: EventRow) -> None:
        """See `port.Catalogue.event`."""
        await self._lazily(key, lambda connection: _add_event(connection, self._find(connection, key)[0], event), 300)

    async def alert(self, key: str, alert: AlertRow) -> None:
        """See `port.Catalogue.alert`."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._find(connection, key)[0]
            values = (alert.at, alert.channel, alert.type, alert.rule, alert.regexp, alert.action, alert.content[:MAX_CONTENT])
            connection.execute(
                f"INSERT OR IGNORE INTO alerts VALUES (?, ({_NEXT.format('alerts')}), ?, ?, ?, ?, ?, ?, ?)",
                (session, session, *values),
            )

        await self._lazily(key, work, 300)

    async def end(self, key: str, end: SessionEnd) -> None:
        """See `port.Catalogue.end`."""
        await self._durably(lambda connection: self._close(connection, key, end, recovered=False))

    async def recovered(self, key: str, end: SessionEnd) -> None:
        """See `port.Catalogue.recovered`."""
        await self._durably(lambda connection: self._close(connection, key, end, recovered=True))

    async def synced(self) -> None:
        """See `port.Catalogue.synced`."""
        await self._durably(lambda _: None)

    def open_sessions(self) -> list[SessionRow]:
        """See `port.Catalogue.open_sessions`."""
        sql = "SELECT body FROM sessions JOIN bodies USING (id) WHERE ended IS NULL ORDER BY sessions.id"
        with self.readers.reading() as connection:
            return [tables.decode_row(body) for (body,) in connection.execute(sql)]

    def session(self, key: str) -> SessionRow | None:
        """See `port.Catalogue.session`."""
        with self.readers.reading() as connection:
            found = tables.find(connection, key)
        return None if found is None else found[1]

    @staticmethod
    def channels_of(connection: sqlite3.Connection, session: int) -> list[ChannelRow]:
        """Return the channels of a session by its id, in order."""
        sql = "SELECT body FROM channels WHERE session = ? ORDER BY number"
        return [msgspec.msgpack.decode(body, type=ChannelRow) for (body,) in connection.execute(sql, (session,))]

    # What the API tells

    async def downloaded(self, key: str, download: DownloadRow) -> None:
        """Note, durably, that somebody gets the content of a session."""

        def work(connection: sqlite3.Connection) -> None:
            session = self._find(connection, key)[0]
            sql = f"INSERT INTO downloads VALUES (?, ({_NEXT.format('downloads')}), ?)"
            connection.execute(sql, (session, session, tables.encode(download)))

        await self._durably(work)

    def delete(self, ids: Sequence[int]) -> Future[list[str]]:
        """Delete sessions with everything that is known of them. The result are the paths of their trails, noted as doomed."""

        def work(connection: sqlite3.Connection) -> list[str]:
            paths = _delete(connection, ids)
            for key in [key for key, (number, _, _) in self._known.items() if number in ids]:
                del self._known[key]
            return paths

        return self.writer.durable(work)

    # In the writing thread

    @staticmethod
    def _set_aside(policy_key: str, connection: sqlite3.Connection) -> tuple[int, int]:
        sql = (
            "INSERT INTO numbers VALUES (?, ?) ON CONFLICT (policy_key) DO UPDATE SET last = last + excluded.last RETURNING last"
        )
        (after,) = connection.execute(sql, (policy_key, NUMBERS_AHEAD)).fetchone()
        return after - NUMBERS_AHEAD, after

    def _find(self, connection: sqlite3.Connection, key: str) -> tuple[int, SessionRow, bool]:
        found = self._known.get(key)
        if found is None:
            stored = tables.find(connection, key)
            if stored is None:
                raise UnknownSessionError(key)
            found = self._remember(key, *stored[:2], recovered=stored[2])
        return found

    def _remember(self, key: str, number: int, row: SessionRow, *, recovered: bool) -> tuple[int, SessionRow, bool]:
        if row.ended is not None and key not in self._known:
            closed = [other for other, (_, kept, _) in self._known.items() if kept.ended is not None]
            for other in closed[: max(0, len(closed) - _CLOSED_KEPT)]:
                del self._known[other]
        found = self._known[key] = number, row, recovered
        return found

    def _change(self, connection: sqlite3.Connection, key: str, changed: Callable[[SessionRow], SessionRow]) -> None:
        number, row, recovered = self._find(connection, key)
        after = changed(row)
        if after != row:
            tables.change(connection, number, row, after)
            self._remember(key, number, after, recovered=recovered)

    def _add_text(self, connection: sqlite3.Connection, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        session, row, _ = self._find(connection, key)
        if not self._has_text(row):
            return
        fresh = text.unknown(connection, session, channel, text.cleaned(lines))
        text.add(connection, session, channel, fresh)
        kinds = {line.kind for line in fresh}
        for line in fresh:
            if line.kind in EVENT_KINDS:
                _add_event(connection, session, EventRow(at=line.at, type=line.kind, channel=channel, action=line.text))
        marks = {name: 1 for kind, name in (("command", "has_commands"), ("title", "has_titles")) if kind in kinds}
        tables.put(connection, session, marks)

    def _has_text(self, row: SessionRow) -> bool:
        return row.text != "none" and (not row.recipients or self._is_readable(row))

    def _close(self, connection: sqlite3.Connection, key: str, end: SessionEnd, *, recovered: bool) -> None:
        number, row, was_recovered = self._find(connection, key)
        if row.ended is not None and (recovered or not was_recovered):
            return
        closed = msgspec.structs.replace(
            row,
            ended=row.began + max(0, end.at),
            verdict=end.verdict,
            reason=end.reason,
            down=end.down,
            up=end.up,
            trail_bytes=end.trail_bytes,
            trail=row.trail if end.is_recorded else "",
            index_status=INDEXED if self._has_text(row) else NOT_INDEXED,
        )
        tables.change(connection, number, row, closed)
        tables.put(connection, number, {"is_recovered": int(recovered)})
        self._remember(key, number, closed, recovered=recovered)

    # Waiting

    async def _durably(self, work: Work[Any], *, urgent: bool = False) -> Any:
        return await asyncio.wrap_future(self.writer.durable(work, urgent=urgent))

    async def _lazily(self, key: str, work: Work[None], size: int) -> None:
        def known(connection: sqlite3.Connection) -> None:
            with suppress(UnknownSessionError):
                work(connection)
                return
            log.warning("a session without a row was told of", session=key)

        room: Future[None] | None = self.writer.lazily(known, size)
        if room is not None:
            await asyncio.wrap_future(room)


_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM {} WHERE session = ?"


def _with(row: SessionRow, facts: Facts) -> SessionRow:
    given = {name: value for name in Facts.__struct_fields__ if (value := getattr(facts, name)) is not UNSET}
    if "extra" in given:
        given["extra"] = {**row.extra, **given["extra"]}
    return msgspec.structs.replace(row, **given)


def _add_event(connection: sqlite3.Connection, session: int, event: EventRow) -> None:
    connection.execute(
        f"INSERT OR IGNORE INTO events VALUES (?, ({_NEXT.format('events')}), ?, ?, ?, ?, ?)",
        (session, session, event.at, event.channel, event.type, event.action[:MAX_CONTENT], event.content[:MAX_CONTENT]),
    )


def _delete(connection: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    paths = []
    for number in ids:
        found = connection.execute("SELECT body FROM bodies WHERE id = ?", (number,)).fetchone()
        if found is not None and (path := tables.decode_row(found[0]).trail):
            connection.execute("INSERT OR IGNORE INTO doomed VALUES (?)", (path,))
            paths.append(path)
        text.remove(connection, number)
        connection.execute("DELETE FROM sessions WHERE id = ?", (number,))
    return paths
