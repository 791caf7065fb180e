"""The catalogue as control and the API see it, whatever engine keeps it: what is told is kept once, in order, by one writer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import msgspec
import structlog
from msgspec import UNSET

from doorward.sessions.catalogue import text
from doorward.sessions.catalogue.engine import Engine
from doorward.sessions.catalogue.known import KnownRow, KnownRows
from doorward.sessions.catalogue.looking import Look
from doorward.sessions.catalogue.numbering import SessionNumbers
from doorward.sessions.catalogue.port import READ_SECONDS, CatalogueUnavailableError
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
from doorward.sessions.catalogue.statements import Statements
from doorward.sessions.catalogue.writer import Work, Writer

log = structlog.get_logger()

EVENT_KINDS: Final = frozenset({"command", "title"})
"""Kinds of lines that are events as well."""
_CLEANED, _CLEANED_BEFORE = "cleanup", "cleanup before"
"""When old sessions were deleted last, and the time before that."""


class UnknownSessionError(Exception):
    """There is no row with the key."""


class KeptSessions:
    """See `port.SessionCatalogue`. ``is_readable`` tells whether the text of an encrypted session may be kept in clear here."""

    def __init__(
        self, engine: Engine, is_readable: Callable[[SessionRow], bool], *, node: str | None = None, pulse: float | None = None
    ) -> None:
        self._engine, self._is_readable, self._node = engine, is_readable, node
        self._known = KnownRows()
        """Belongs to the writing thread."""
        self.writer = Writer(engine.writing, self._known.clear, pulse)
        self._numbers = SessionNumbers(self.writer)

    @property
    def node(self) -> str | None:
        """See `port.SessionCatalogue.node`."""
        return self._node

    @property
    def failing(self) -> str | None:
        """See `port.SessionCatalogue.failing`."""
        return self.writer.failing

    def looking(self, seconds: float = READ_SECONDS) -> AbstractContextManager[Look]:
        """See `port.SessionCatalogue.looking`."""
        return self._engine.looking(seconds)

    @contextmanager
    def _reading(self) -> Iterator[Statements]:
        with self.looking() as look:
            yield self._engine.statements(look.connection)

    def close(self) -> None:
        """Write what waits, and close the database."""
        self.writer.close()
        self._engine.close()

    # What control tells

    async def number(self, policy_key: str) -> int:
        """See `port.Catalogue.number`."""
        return await self._numbers.take(policy_key)

    async def begin(self, row: SessionRow) -> None:
        """See `port.Catalogue.begin`."""

        def work(statements: Statements) -> None:
            number = statements.insert(row)
            if number is not None:
                self._remember(row.key, number, row, recovered=False)
            elif statements.find(row.key) is None:
                raise CatalogueUnavailableError("another node has a session with this key")

        await self._durably(work, urgent=True)

    async def update(self, key: str, facts: Facts) -> None:
        """See `port.Catalogue.update`."""
        await self._lazily(key, lambda statements: self._change(statements, key, lambda row: _with(row, facts)), 200)

    async def channel_opened(self, key: str, channel: ChannelRow) -> None:
        """See `port.Catalogue.channel_opened`."""

        def work(statements: Statements) -> None:
            number, row, _ = self._find(statements, key)
            if not statements.add_channel(number, channel):
                return
            if channel.verdict == "accept" and not row.has_accepted_channel:
                self._change(statements, key, lambda row: msgspec.structs.replace(row, has_accepted_channel=True))
            command = channel.facts.get("command")
            if isinstance(command, str) and command:
                self._add_text(statements, key, channel.number, [IndexLine(channel.opened, "command", command)])

        await self._lazily(key, work, 500)

    async def channel_closed(self, key: str, number: int, at: int, down: int, up: int) -> None:
        """See `port.Catalogue.channel_closed`."""

        def work(statements: Statements) -> None:
            statements.close_channel(self._find(statements, key)[0], number, at, (down, up))

        await self._lazily(key, work, 100)

    async def text(self, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        """See `port.Catalogue.text`."""
        size = sum(len(line.text) + 50 for line in lines)
        await self._lazily(key, lambda statements: self._add_text(statements, key, channel, lines), size)

    async def event(self, key: str, event: EventRow) -> None:
        """See `port.Catalogue.event`."""
        await self._lazily(key, lambda statements: statements.add_event(self._find(statements, key)[0], event), 300)

    async def alert(self, key: str, alert: AlertRow) -> None:
        """See `port.Catalogue.alert`."""
        await self._lazily(key, lambda statements: statements.add_alert(self._find(statements, key)[0], alert), 300)

    async def end(self, key: str, end: SessionEnd) -> None:
        """See `port.Catalogue.end`."""
        await self._durably(lambda statements: self._close(statements, key, end, recovered=False))

    async def recovered(self, key: str, end: SessionEnd) -> None:
        """See `port.Catalogue.recovered`."""
        await self._durably(lambda statements: self._close(statements, key, end, recovered=True))

    async def synced(self) -> None:
        """See `port.Catalogue.synced`."""
        await self._durably(lambda _: None)

    def open_sessions(self) -> list[SessionRow]:
        """See `port.Catalogue.open_sessions`."""
        with self._reading() as statements:
            return statements.open_sessions()

    def session(self, key: str) -> SessionRow | None:
        """See `port.Catalogue.session`."""
        with self._reading() as statements:
            found = statements.find(key)
        return None if found is None else found[1]

    # What the API tells

    async def downloaded(self, key: str, download: DownloadRow) -> None:
        """See `port.SessionCatalogue.downloaded`."""

        def work(statements: Statements) -> None:
            number = statements.id_of(key)  # of whatever node: who had a recording was here
            if number is None:
                raise UnknownSessionError(key)
            statements.add_download(number, download)

        await self._durably(work)

    async def adopt(
        self, row: SessionRow, channels: Sequence[ChannelRow], events: Sequence[EventRow], alerts: Sequence[AlertRow]
    ) -> bool:
        """See `port.SessionCatalogue.adopt`."""

        def work(statements: Statements) -> bool:
            number = statements.insert(row)
            if number is None:
                return False
            for channel in channels:
                statements.add_channel(number, channel)
            for event in events:
                statements.add_event(number, event)
            for alert in alerts:
                statements.add_alert(number, alert)
            told = [event for event in events if event.type in EVENT_KINDS]
            for place in dict.fromkeys(event.channel for event in told):
                lines = [IndexLine(event.at, event.type, event.action) for event in told if event.channel == place]
                self._add_text(statements, row.key, place, lines)
            return True

        found: bool = await self._durably(work)
        return found

    # What retention tells

    def due(self, policy_key: str | None, before: int, limit: int, is_kept: Callable[[SessionRow], bool]) -> list[int]:
        """See `port.SessionCatalogue.due`."""
        with self._reading() as statements:
            return statements.due(policy_key, before, limit, is_kept)

    def delete(self, ids: Sequence[int]) -> Future[list[str]]:
        """See `port.SessionCatalogue.delete`."""

        def work(statements: Statements) -> list[str]:
            paths = statements.delete(ids)
            self._known.forget(ids)
            return paths

        return self.writer.durable(work)

    def doomed(self) -> list[str]:
        """See `port.SessionCatalogue.doomed`."""
        with self._reading() as statements:
            return statements.doomed()

    def forget_doomed(self, paths: Sequence[str]) -> None:
        """See `port.SessionCatalogue.forget_doomed`."""
        self.writer.durable(lambda statements: statements.forget_doomed(paths)).result()

    def cleaned(self) -> tuple[datetime | None, datetime | None]:
        """See `port.SessionCatalogue.cleaned`."""
        with self._reading() as statements:
            last, before = statements.remembered(_CLEANED), statements.remembered(_CLEANED_BEFORE)
        return _time(last), _time(before)

    def note_cleaned(self, now: datetime) -> None:
        """See `port.SessionCatalogue.note_cleaned`."""
        self.writer.durable(lambda statements: _note_cleaned(statements, now)).result()

    def tidy(self, before: int, now: datetime, *, has_deleted: bool) -> None:
        """See `port.SessionCatalogue.tidy`."""

        def work(statements: Statements) -> None:
            statements.forget_marks(before)
            if has_deleted:
                statements.tidy_index()
            _note_cleaned(statements, now)

        self.writer.durable(work).result()

    # In the writing thread

    def _find(self, statements: Statements, key: str) -> KnownRow:
        found = self._known.find(key)
        if found is None:
            stored = statements.find(key)
            if stored is None:
                raise UnknownSessionError(key)
            found = self._remember(key, *stored[:2], recovered=stored[2])
        return found

    def _remember(self, key: str, number: int, row: SessionRow, *, recovered: bool) -> KnownRow:
        found = KnownRow(number, row, recovered)
        self._known.remember(key, found)
        return found

    def _change(self, statements: Statements, key: str, changed: Callable[[SessionRow], SessionRow]) -> None:
        number, row, recovered = self._find(statements, key)
        after = changed(row)
        if after != row:
            statements.change(number, row, after)
            self._remember(key, number, after, recovered=recovered)

    def _add_text(self, statements: Statements, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        session, row, _ = self._find(statements, key)
        if not self._has_text(row):
            return
        fresh = statements.add_text(session, channel, text.cleaned(lines))
        for line in fresh:
            if line.kind in EVENT_KINDS:
                statements.add_event(session, EventRow(at=line.at, type=line.kind, channel=channel, action=line.text))
        kinds = {line.kind for line in fresh}
        marks = {name: 1 for kind, name in (("command", "has_commands"), ("title", "has_titles")) if kind in kinds}
        statements.put(session, marks)

    def _has_text(self, row: SessionRow) -> bool:
        return row.text != "none" and (not row.recipients or self._is_readable(row))

    def _close(self, statements: Statements, key: str, end: SessionEnd, *, recovered: bool) -> None:
        number, row, was_recovered = self._find(statements, key)
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
        statements.change(number, row, closed)
        statements.put(number, {"is_recovered": int(recovered)})
        self._remember(key, number, closed, recovered=recovered)

    # Waiting

    async def _durably(self, work: Work[Any], *, urgent: bool = False) -> Any:
        return await asyncio.wrap_future(self.writer.durable(work, urgent=urgent))

    async def _lazily(self, key: str, work: Work[None], size: int) -> None:
        def known(statements: Statements) -> None:
            with suppress(UnknownSessionError):
                work(statements)
                return
            log.warning("a session without a row was told of", session=key)

        room: Future[None] | None = self.writer.lazily(known, size)
        if room is not None:
            await asyncio.wrap_future(room)


def _with(row: SessionRow, facts: Facts) -> SessionRow:
    given = {name: value for name in Facts.__struct_fields__ if (value := getattr(facts, name)) is not UNSET}
    if "extra" in given:
        given["extra"] = {**row.extra, **given["extra"]}
    return msgspec.structs.replace(row, **given)


def _note_cleaned(statements: Statements, now: datetime) -> None:
    if (last := statements.remembered(_CLEANED)) is not None:
        statements.remember(_CLEANED_BEFORE, last)
    statements.remember(_CLEANED, now.isoformat())


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
