"""The sessions that run, of a node on which none can: nothing that takes sessions is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from typing_extensions import override

from doorward.sessions.catalogue.port import LiveSession, LiveSessions, NotLiveError, ShownEvent


class NoLiveSessions(LiveSessions):
    """See `port.LiveSessions`."""

    @override
    def all(self) -> Sequence[LiveSession]:
        """None runs."""
        return ()

    @override
    def find(self, key: str) -> LiveSession | None:
        """None runs."""
        return None

    @override
    async def end(self, key: str, reason: str, by: str) -> None:
        """None runs."""
        raise NotLiveError(key)

    @override
    async def lock(self, key: str, locked: bool, by: str) -> None:
        """None runs."""
        raise NotLiveError(key)

    @override
    def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[ShownEvent]:
        """None runs."""
        return _NothingShown()


class _NothingShown:
    def __aiter__(self) -> AsyncIterator[ShownEvent]:
        return self

    async def __anext__(self) -> ShownEvent:
        raise NotLiveError
