"""What the API needs of control: the sessions that run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct, field


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

    async def lock(self, key: str, *, locked: bool) -> None:
        """Hold what the client sends, or let it go on. Raises NotLiveError."""

    def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[ShownEvent]:
        """Yield what is shown from now on, of one channel or all; ends with the session. Closing the iterator stops watching.

        Raises NotLiveError or FollowingFullError at its first step. A viewer that is too slow is dropped: it ends early.
        """
