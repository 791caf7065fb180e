"""What control needs of the catalogue, and what the API needs of control. Small, so that another database can take its place.

Whatever comes a second time, because a pipe broke and a worker tells again, changes nothing: rows by key, channels by number,
events and lines of text by what they are and when. Times never go back within a session.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct, field

from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, EventRow, Facts, IndexLine, SessionEnd, SessionRow


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


class LiveSession(Struct, frozen=True):
    """How a session is doing. ``activity``: ms since 1970 of the last byte; ``watchers``: names of who follows it."""

    key: str
    channels: int = 0
    down: int = 0
    up: int = 0
    activity: int = 0
    is_locked: bool = False
    is_followable: bool = True
    """False: its trail is encrypted, and the audit policy does not allow to watch."""
    watchers: tuple[str, ...] = field(default=())


class ShownEvent(Struct, frozen=True):
    """Something a viewer sees: an event of an asciicast. ``at``: ms since the session began.

    ``code``: ``o`` output, ``r`` size (``80x24``), ``m`` marker, ``x`` end. The first of a channel is ``r``, then ``o`` with a
    drawing of the screen as it is.
    """

    channel: int
    at: int
    code: str
    data: bytes


class NotLiveError(Exception):
    """There is no such session, or none any more."""


class FollowingFullError(Exception):
    """So many watch already that there is no room for another."""


class LiveSessions(Protocol):
    """The sessions that run. In the event loop of the API. Rights are the caller's to check."""

    def all(self) -> Sequence[LiveSession]:
        """Return those that run, the oldest first."""

    def find(self, key: str) -> LiveSession | None:
        """Return one that runs."""

    async def end(self, key: str, reason: str, by: str) -> None:
        """End a session, within a second; the user is told the reason. Raises NotLiveError."""

    async def lock(self, key: str, locked: bool, by: str) -> None:  # noqa: FBT001
        """Hold what the client sends, or let it go on. Raises NotLiveError."""

    def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[ShownEvent]:
        """Yield what is shown from now on, of one channel or all; ends with the session. Closing the iterator stops watching.

        Raises NotLiveError or FollowingFullError at its first step. A viewer that is too slow is dropped: it ends early.
        """
