"""The sessions that run, for the API: list, end, lock, follow. What viewers see passes through and is kept nowhere."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from doorward.proxy import messages
from doorward.proxy.control.rows import moment
from doorward.proxy.control.session import MisbehaviourError, Session, WorkerProxy
from doorward.proxy.control.sessions import Sessions
from doorward.sessions.live import FollowingFullError, LiveSession, NotLiveError, ShownEvent
from doorward.tree.plaintext import plain

MAX_VIEWERS = 20
"""Of one session."""
MAX_QUEUE = 1 << 18
"""Bytes that may wait for a viewer; one that is slower is dropped."""
MAX_REASON = 200
_CODES = frozenset({"o", "r", "m", "x"})
_EVENT_COST = 100
"""Bytes that an event takes beside what it shows."""
END_SECONDS = 1.0
"""How long the end of a session is waited for."""


@dataclass(slots=True, eq=False)
class _ChannelViewer:
    session: Session
    who: str
    queue: deque[ShownEvent] = field(default_factory=deque)
    size: int = 0
    is_over: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, shown: ShownEvent) -> None:
        self.queue.append(shown)
        self.size += _cost(shown)
        self.is_over = self.is_over or self.size > MAX_QUEUE
        self.changed.set()

    def end(self) -> None:
        self.is_over = True
        self.changed.set()


def _cost(shown: ShownEvent) -> int:
    return len(shown.data) + _EVENT_COST


class Live:
    """Implements `sessions.live.LiveSessions`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._viewers: dict[int, _ChannelViewer] = {}
        self._numbers = count(1)

    def all(self) -> Sequence[LiveSession]:
        """Return those that run, the oldest first."""
        return [self._shown(session) for session in self._sessions.live()]

    def find(self, key: str) -> LiveSession | None:
        """Return one that runs."""
        session = self._sessions.find(key)
        return self._shown(session) if session is not None and session.is_kept else None

    def _shown(self, session: Session) -> LiveSession:
        return LiveSession(
            session.key, session.channels, session.down, session.up, session.activity, session.is_locked,
            is_followable(session), tuple(viewer.who for viewer in self._of(session)),
        )  # fmt: skip

    def _of(self, session: Session) -> list[_ChannelViewer]:
        return [viewer for viewer in self._viewers.values() if viewer.session is session]

    async def end(self, key: str, reason: str, by: str) -> None:
        """End a session. Returns when it is over, or after a second. Raises NotLiveError."""
        session, _ = self._reachable(key)
        terminate(session, f"Ended by {plain(by)}: {plain(reason, MAX_REASON)}" if reason else f"Ended by {plain(by)}.")
        try:
            async with asyncio.timeout(END_SECONDS):
                await session.over.wait()
        except TimeoutError:
            return

    async def lock(self, key: str, *, locked: bool) -> None:
        """Hold what the client sends, or let it go on. Raises NotLiveError."""
        session, worker = self._reachable(key)
        session.is_locked = locked
        if not worker.send(messages.Lock(session=key, locked=locked)):
            raise NotLiveError(key)

    async def follow(self, key: str, channel: int | None, who: str) -> AsyncIterator[ShownEvent]:
        """Yield what is shown from now on. Raises NotLiveError or FollowingFullError."""
        session, worker = self._reachable(key)
        if not is_followable(session):
            raise NotLiveError(key)
        if len(self._of(session)) >= MAX_VIEWERS:
            raise FollowingFullError(key)
        number, viewer = next(self._numbers), _ChannelViewer(session, who)
        self._viewers[number] = viewer
        try:
            if not worker.send(messages.Follow(session=key, viewer=number, who=plain(who), channel=channel)):
                raise NotLiveError(key)
            while True:
                while viewer.queue and not viewer.size > MAX_QUEUE:
                    shown = viewer.queue.popleft()
                    viewer.size -= _cost(shown)
                    yield shown
                if viewer.is_over:
                    return
                viewer.changed.clear()
                await viewer.changed.wait()
        finally:
            del self._viewers[number]
            if session.worker is worker:
                worker.send(messages.Unfollow(session=key, viewer=number))

    def shown(self, worker: WorkerProxy, message: messages.Shown) -> None:
        """Take what a viewer is to see. Raises MisbehaviourError where it is of a session that the worker does not have."""
        viewer = self._viewers.get(message.viewer)
        if viewer is None or viewer.is_over:
            return
        if viewer.session.worker is not worker or viewer.session.key != message.session:
            raise MisbehaviourError("showed somebody another session than the one that is followed")
        if message.code:
            if message.code not in _CODES:
                raise MisbehaviourError("showed something that nobody can see")
            viewer.take(ShownEvent(message.channel, moment(message.at), message.code, message.data))
        if message.end:
            viewer.end()

    def over(self, session: Session) -> None:
        """End the watching of a session that is over, or out of reach."""
        for viewer in self._of(session):
            viewer.end()

    def _reachable(self, key: str) -> tuple[Session, WorkerProxy]:
        session = self._sessions.find(key)
        if session is None or not session.is_kept or session.worker is None:
            raise NotLiveError(key)
        return session, session.worker


def is_followable(session: Session) -> bool:
    """Whether what is on the screen may be watched: where the trail is encrypted the audit policy has to say so."""
    return session.connection.rules.audit.live_view


def terminate(session: Session, reason: str, verdict: str = "TERMINATED") -> bool:
    """Have a session end; whether its worker could be told."""
    session.ending = session.ending or reason
    return session.worker is not None and session.worker.send(
        messages.Terminate(session=session.key, reason=reason, verdict=verdict)
    )
