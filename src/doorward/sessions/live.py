"""The sessions that run, of a node on which none can: nothing that takes sessions is there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from doorward.sessions.catalogue.port import LiveSession, NotLiveError, Shown


class NoLiveSessions:
    """See `port.LiveSessions`."""

    def all(self) -> Sequence[LiveSession]:
        """None runs."""
        return ()

    def find(self, key: str) -> LiveSession | None:  # noqa: ARG002 - as in the port
        """None runs."""
        return None

    async def end(self, key: str, reason: str, by: str) -> None:  # noqa: ARG002 - as in the port
        """None runs."""
        raise NotLiveError(key)

    async def lock(self, key: str, locked: bool, by: str) -> None:  # noqa: ARG002, FBT001 - as in the port
        """None runs."""
        raise NotLiveError(key)

    def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[Shown]:  # noqa: ARG002 - as in the port
        """None runs."""
        return _Nothing()


class _Nothing:
    def __aiter__(self) -> AsyncIterator[Shown]:
        return self

    async def __anext__(self) -> Shown:
        raise NotLiveError
