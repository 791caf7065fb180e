"""The thread that records all sessions of a worker: it takes what they saw, has it decoded, and makes it safe.

The event loop only puts things into queues. The thread is woken when there is much to do, else a quarter of a second after
something came: one frame and one sync for all that happened in between. Each session gets a slice of its time in turn. A session
whose queue is long is held (`Flow.hold`) until the thread has caught up; so nothing is lost and nothing grows.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog
from msgspec import Struct

from doorward.recording.journal import RESERVE_BYTES, SEGMENT_BYTES, Journal, RecordingFailedError

FLUSH_SECONDS: Final = 0.25
"""How long what happened may wait to become safe."""
VIEW_SECONDS: Final = 0.05
"""How long a viewer waits for what happened."""
MAX_QUEUE: Final = 8 << 20
"""Bytes that may wait in the queue of one session."""
MAX_QUEUES: Final = 64 << 20
"""Bytes that may wait in all queues together; beyond it the limit of each is `SMALL_QUEUE`."""
SMALL_QUEUE: Final = 64 << 10
_WAKE_BYTES: Final = 256 << 10
_SLICE: Final = 1 << 20
_MAX_UNSYNCED: Final = 4 << 20

log = structlog.get_logger()
Result = TypeVar("Result")


class Room(Struct, frozen=True):
    """What a journal takes of the disk beforehand, in bytes: each of its two segments, and what is kept back."""

    segment: int = SEGMENT_BYTES
    reserve: int = RESERVE_BYTES


class Recorded(Protocol):
    """A session, as the thread sees it. ``taken``, ``done``: bytes that were put into its queue, and taken from it."""

    taken: int
    done: int

    def work(self, journal: Journal, amount: int) -> bool:
        """Take about so many bytes from the queue; whether more waits. Frames go to the journal, which is not synced."""

    def flush(self, journal: Journal) -> bool:
        """Make frames of everything; whether something has to be looked at again soon."""

    def rest(self) -> None:
        """Give up memory, if nothing has happened for a while."""

    def broken(self, reason: str) -> None:
        """Take that nothing can be recorded any more."""

    def strained(self) -> None:
        """Take that the disk is full: there is room for the end only."""


class Recorder:
    """The thread and its journal. Its methods are for the event loop."""

    def __init__(self, directory: Path, name: str, room: Room) -> None:
        self._journal = Journal(directory, name, segment=room.segment, reserve=room.reserve)
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Event()
        self._jobs: deque[Callable[[], None]] = deque()
        self._dirty: dict[Recorded, None] = {}
        self._unflushed: dict[Recorded, None] = {}
        self._sessions: dict[Recorded, None] = {}
        self._flush_due = self._stopping = False
        self._timer: asyncio.TimerHandle | None = None
        self._view_timer: asyncio.TimerHandle | None = None
        self._since: float | None = None
        self._tidying: asyncio.Future[None] | None = None
        self.failure: str | None = None
        """Why nothing can be recorded any more."""
        self.taken = self.done = 0
        """Bytes that were put into queues, and taken from them."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    @property
    def limit(self) -> int:
        """Bytes that may wait in one queue now."""
        return MAX_QUEUE if self.taken - self.done < MAX_QUEUES else SMALL_QUEUE

    @property
    def lag(self) -> int:
        """Milliseconds by which recording is behind."""
        return round((self._loop.time() - self._since) * 1000) if self._since is not None else 0

    @property
    def is_able(self) -> bool:
        """Whether a session may begin."""
        return self.failure is None and not self._journal.is_strained

    def add(self, session: Recorded) -> None:
        """Take a session that begins."""
        self._sessions[session] = None

    def remove(self, session: Recorded) -> None:
        """Forget a session, and what it still has in its queue."""
        self.done += session.taken - session.done
        for known in (self._sessions, self._dirty, self._unflushed):
            known.pop(session, None)

    def notice(self, session: Recorded, waiting: int, *, viewed: bool = False) -> None:
        """Take that something is in the queue of a session, so many bytes now."""
        self._dirty[session] = None
        if waiting >= min(_WAKE_BYTES, self.limit):
            self._wake.set()
        if viewed and self._view_timer is None:
            self._view_timer = self._loop.call_later(VIEW_SECONDS, self._view)
        self._arm()

    def consumed(self, amount: int) -> None:
        """Take that so many bytes left a queue. For the thread."""
        self.done += amount

    def _arm(self) -> None:
        if self._timer is None:
            self._since = self._loop.time()
            self._timer = self._loop.call_later(FLUSH_SECONDS, self._due)

    def _due(self) -> None:
        self._timer = None
        self._flush_due = True
        self._wake.set()

    def _view(self) -> None:
        self._view_timer = None
        self._wake.set()

    def submit(self, job: Callable[[Journal], Result]) -> asyncio.Future[Result]:
        """Run something in the thread, at once, and sync what it appended. The future fails with RecordingFailedError."""
        future: asyncio.Future[Result] = self._loop.create_future()

        def run() -> None:
            try:
                if self.failure is not None:
                    raise RecordingFailedError(self.failure)
                result = job(self._journal)
                self._journal.sync()
            except BaseException as error:  # noqa: BLE001 - whoever waits has to learn of it
                if isinstance(error, RecordingFailedError | OSError):
                    self._fail(error)
                self._loop.call_soon_threadsafe(_settle, future, None, error)
            else:
                self._loop.call_soon_threadsafe(_settle, future, result, None)

        self._jobs.append(run)
        self._wake.set()
        return future

    def tidy(self) -> None:
        """Give up the memory of idle sessions; keep room for ends again, where it was spent and the disk has some by now."""
        if self.failure is None:
            self._tidying = self.submit(self._tidy)

    def _tidy(self, journal: Journal) -> None:
        for session in list(self._sessions):
            session.rest()
        journal.recover_reserve()

    async def stop(self) -> None:
        """End: all that was taken is safe, and the journal is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)

    # What follows runs in the thread.

    def _run(self) -> None:
        while not self._stopping or self._jobs:
            self._wake.wait()
            self._wake.clear()
            try:
                self._round()
            except (RecordingFailedError, OSError) as error:
                self._fail(error)
            except BaseException as error:  # noqa: BLE001 - without this thread nothing is recorded: nothing may pass then
                log.error("recorder failed", error=type(error).__name__)
                self._fail(RecordingFailedError("Internal error"))
        if self.failure is None:
            try:
                self._journal.stop()
            except (RecordingFailedError, OSError) as error:
                log.error("journal not ended", reason=str(error))

    def _round(self) -> None:
        """Do all that is to be done now."""
        unsynced = 0
        while True:
            self._do_jobs()
            if self._flush_due:
                self._flush()
                unsynced = 0
            batch = list(self._dirty)
            if not batch:
                return
            for session in batch:
                self._work(session)
                unsynced += _SLICE
                if unsynced >= _MAX_UNSYNCED:
                    self._journal.sync()
                    unsynced = 0
                self._do_jobs()

    def _do_jobs(self) -> None:
        while self._jobs:
            self._jobs.popleft()()

    def _work(self, session: Recorded) -> None:
        self._dirty.pop(session, None)
        if self.failure is not None or session not in self._sessions:
            return
        self._unflushed[session] = None
        if session.work(self._journal, _SLICE):
            self._dirty[session] = None

    def _flush(self) -> None:
        self._flush_due = False
        for session in list(self._dirty):
            self._work(session)
        waiting = False
        for session in list(self._unflushed):
            self._unflushed.pop(session, None)
            if session.flush(self._journal):
                self._unflushed[session] = None
                waiting = True
        self._journal.sync()
        self._since = None
        if self._journal.is_strained:
            self._strain()
        if waiting or self._dirty:
            self._loop.call_soon_threadsafe(self._arm)

    def _strain(self) -> None:
        for session in list(self._sessions):
            session.strained()

    def _fail(self, error: Exception) -> None:
        if self.failure is not None:
            return
        self.failure = str(error)
        log.error("recording failed", reason=self.failure)
        for session in list(self._sessions):
            session.broken(self.failure)


def _settle(future: asyncio.Future[Result], result: Result | None, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]  # None is a result of those that have none
