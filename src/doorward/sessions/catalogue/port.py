"""What control, the API and retention need of the catalogue. Small, so that another database can take its place.

Whatever comes a second time, because a pipe broke and a worker tells again, changes nothing: rows by key, channels by number,
events and lines of text by what they are and when. Times never go back within a session.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final, Protocol

from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow, Facts, IndexLine, SessionEnd, SessionRow

if TYPE_CHECKING:  # who only tells of sessions needs nothing of searches
    from doorward.sessions.catalogue.criteria import Criterion
    from doorward.sessions.catalogue.fields import Field
    from doorward.sessions.catalogue.results import Found, Frequent, Hit, ItemRange, SortOrder, Unarchived

READ_SECONDS: Final = 20.0
"""How long a search may take."""


class CatalogueUnavailableError(Exception):
    """The database can't be written: nothing may begin now. The message says why."""


class Catalogue(Protocol):
    """Keeps the sessions. All methods may be called in any event loop or thread.

    ``number``, ``begin`` and ``end`` return when what they say is on the disk; many at a time are synced together. The others
    return once it is taken, and wait while too much waits to be written. All raise CatalogueUnavailableError.
    """

    async def number(self, policy_key: str) -> int:
        """Return the next number of a connection policy. Never returned again, also after a crash; there may be gaps."""

    async def begin(self, row: SessionRow) -> None:
        """Keep the row of a session. Nothing is changed where there is one with its key."""

    async def update(self, key: str, facts: Facts) -> None:
        """Add to a row."""

    async def channel_opened(self, key: str, channel: ChannelRow) -> None:
        """Keep a channel, opened or refused. Its command, if any, is text as well."""

    async def channel_closed(self, key: str, number: int, at: int, down: int, up: int) -> None:
        """Note the end of a channel; bytes from the server, from the client."""

    async def text(self, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        """Index lines. Those of kind ``command`` and ``title`` become events too."""

    async def event(self, key: str, event: EventRow) -> None:
        """Keep an event."""

    async def alert(self, key: str, alert: AlertRow) -> None:
        """Keep a match of a content policy."""

    async def end(self, key: str, end: SessionEnd) -> None:
        """Close a row. Nothing is changed where it is closed already, unless that was by `recovered`."""

    async def recovered(self, key: str, end: SessionEnd) -> None:
        """Close the row of a session that was cut off, as ``end``; a worker that tells of its end later knows better."""

    async def synced(self) -> None:
        """Return when everything that was taken before is on the disk: only then a worker may forget it."""

    def open_sessions(self) -> list[SessionRow]:
        """Return the rows that are not closed, the oldest first. Reads; blocks for a moment."""

    def session(self, key: str) -> SessionRow | None:
        """Return the row of a session. Reads; blocks for a moment."""


class SessionLook(Protocol):
    """One look through the catalogue, at one state of it. Blocks.

    Everything raises TooSlowError where it takes longer than it may, and CatalogueUnavailableError where nothing can be read.
    """

    def count(self, criterion: Criterion) -> int:
        """Return how many sessions fit."""

    def last(self) -> int:
        """Return the greatest id that there is; 0: none."""

    def ids(self, criterion: Criterion, order: SortOrder, limit: int, offset: int = 0) -> array[int]:
        """Return the ids of sessions that fit, in order."""

    def ordered(self, criterion: Criterion, order: SortOrder, limit: int) -> list[tuple[Any, ...]]:
        """Return the first sessions in an order: the id of each, and the values that it is sorted by."""

    def page(self, criterion: Criterion, order: SortOrder, limit: int, offset: int) -> tuple[array[int], int]:
        """Return the ids of a page of the sessions that fit, and how many fit."""

    def rows(self, numbers: Sequence[int], criterion: Criterion) -> list[Found]:
        """Return sessions by their ids, in that order; those that are gone, or do not fit, are left out."""

    def one(self, key: str, criterion: Criterion) -> Found | None:
        """Return a session by its key, if it fits."""

    def frequent(self, criterion: Criterion, field: Field, size: int, inner: Field | None) -> Frequent:
        """Return the values of a field that most sessions have. Texts that differ in case alone are one value."""

    def times(self, criterion: Criterion, field: Field, width: str, zone: tzinfo) -> list[tuple[datetime, int]]:
        """Return how many sessions have a time in each bin: its begin in a zone, and the count. Empty bins are left out.

        Raises TooManyBinsError.
        """

    def numbers(self, criterion: Criterion, field: Field, width: int) -> list[tuple[int, int]]:
        """Return how many sessions have a number in each bin: its begin, and the count. Raises TooManyBinsError."""

    def channels(self, session: int, part: ItemRange) -> tuple[list[ChannelRow], int]:
        """Return channels of a session by its id, and how many there are."""

    def downloads(self, session: int, part: ItemRange) -> tuple[list[DownloadRow], int]:
        """Return who had the content of a session, and how many did."""

    def events(self, session: int, part: ItemRange) -> tuple[list[tuple[int, EventRow]], int]:
        """Return events of a session with their numbers, and how many there are."""

    def alerts(self, session: int, part: ItemRange) -> tuple[list[tuple[int, AlertRow]], int]:
        """Return matches of content policies with their numbers, and how many there are."""

    def newest(self, node: str) -> int:
        """Return the greatest id of a session that a node recorded; 0: none. What it records later has a greater one."""

    def unarchived(self, node: str, policies: Collection[str], after: int, until: int) -> list[Unarchived]:
        """Return the sessions without an archive in a range of ids, that a node recorded under some connection policies."""

    def unarchived_of(self, ids: Sequence[int]) -> list[Unarchived]:
        """Return how some sessions are by now, those that there are."""

    def hits(self, session: int, text: str, zone: tzinfo = UTC) -> Iterator[Hit]:
        """Yield the lines of a session with words of a query, in places where all of it holds. Raises QueryRefusedError.

        A place is a chunk: some dozens of lines that follow each other.
        """


class SessionCatalogue(Catalogue, Protocol):
    """The whole catalogue: what control tells, what the API looks for, what retention deletes."""

    @property
    def node(self) -> str | None:
        """The id of this node, where several share the database and each changes its own sessions; None: it has its own."""

    @property
    def failing(self) -> str | None:
        """Why nothing can be written now; None: it can."""

    def looking(self, seconds: float = READ_SECONDS) -> AbstractContextManager[SessionLook]:
        """Give a look for the time of a block, which may take so long."""

    async def adopt(
        self, row: SessionRow, channels: Sequence[ChannelRow], events: Sequence[EventRow], alerts: Sequence[AlertRow]
    ) -> bool:
        """Keep a session that has ended, of a node that is gone, whole or not at all; whether there was none with its key."""

    async def downloaded(self, key: str, download: DownloadRow) -> None:
        """Note, durably, that somebody gets the content of a session."""

    def due(self, policy_key: str | None, before: int, limit: int, is_kept: Callable[[SessionRow], bool]) -> list[int]:
        """Return the ids of some sessions that this node recorded, ended before a time, but for those that are kept.

        ``policy_key`` None: of every connection policy.
        """

    def delete(self, ids: Sequence[int]) -> Future[list[str]]:
        """Delete sessions with everything that is known of them. The result are the paths of their trails, noted as doomed."""

    def doomed(self) -> list[str]:
        """Return the trails on this node whose rows are gone."""

    def forget_doomed(self, paths: Sequence[str]) -> None:
        """Forget doomed trails that are deleted. Blocks until that is on the disk."""

    def cleaned(self) -> tuple[datetime | None, datetime | None]:
        """Return when this node deleted old sessions last, and the time before that."""

    def note_cleaned(self, now: datetime) -> None:
        """Note that this node deletes old sessions now. Blocks until that is on the disk."""

    def tidy(self, before: int, now: datetime, *, has_deleted: bool) -> None:
        """Forget what helps against repetition, of sessions that ended before a time, and note when old sessions were deleted.

        ``has_deleted``: words of deleted text are taken out of the index. Blocks until that is on the disk.
        """

    def close(self) -> None:
        """Write what waits, and close the database. What can't be written is given up."""
