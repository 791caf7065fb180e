"""The trail of one session: what it saw waits here, becomes records in the thread of the recorder, and goes into the journal.

Bytes that a tap can't stand end the session: nothing passes unrecorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from doorward.proxy.ssh.taps.back import Back, SessionFindings
from doorward.proxy.ssh.taps.kinds import plain
from doorward.proxy.ssh.taps.records import SessionRecords
from doorward.proxy.ssh.wire.failures import place_of
from doorward.recording.journal import Journal, RecordingFailedError
from doorward.recording.records import Record
from doorward.recording.writer import TrailWriter

FRAME_MILLISECONDS: Final = 5000
"""How often a frame is made; what happened since is safe as its tail, so that a trail has few frames and loses nothing."""
MAX_TAIL: Final = 32_768
"""Bytes of records that a tail may hold; more make a frame."""
_OVERHEAD: Final = 200
"""Bytes that something in the queue takes beside its data."""
_SLICE: Final = 32_768
"""Bytes that are taken from the queue at a time where all of it is wanted."""

log = structlog.get_logger()


class SessionTrail:
    """The trail of one session. `put` is for the event loop, everything else for the thread."""

    def __init__(
        self,
        name: str,
        level: str,
        now: Callable[[], int],
        hand_back: Callable[[Back], None],
        failed: Callable[[str, bool], None],
    ) -> None:
        self.name, self._now = name, now
        self._hand_back, self._failed = hand_back, failed
        self._queue: deque[tuple[Callable[..., None], tuple[Any, ...], int]] = deque()
        self.taken = self.done = 0
        self.findings = SessionFindings(name)
        self.records = SessionRecords(name, level, self._write, self.findings)
        """Whose methods are what is put into the queue."""
        self.writer: TrailWriter | None = None
        self._frames: list[bytes] = []
        self._is_dead = False
        self._due = 0
        self.drained: Callable[[], None] = lambda: None
        """Called in the thread after it has taken something from the queue."""
        self.consumed: Callable[[int], None] = lambda _: None
        """Called in the thread with the bytes that it has taken."""

    def put(self, size: int, method: Callable[..., None], *arguments: Any) -> int:
        """Put something into the queue; return the bytes that wait."""
        self._queue.append((method, arguments, size + _OVERHEAD))
        self.taken += size + _OVERHEAD
        return self.taken - self.done

    def begin(self, journal: Journal, writer: TrailWriter) -> None:
        """Make the file of the trail, with its head."""
        journal.open(self.name, writer.head)
        self.writer = writer

    def work(self, journal: Journal, amount: int) -> bool:
        """Take about so many bytes from the queue; whether more waits."""
        if self.writer is None:
            return False
        before = self.done
        while self._queue and amount > 0:
            method, arguments, size = self._queue.popleft()
            self.done += size
            amount -= size
            if self._is_dead:
                continue
            try:
                method(*arguments)
            except BaseException as error:  # noqa: BLE001 - hostile bytes; whatever it is, nothing may pass unrecorded
                # Also what is no Exception: code in Rust panics by one that is not.
                self._die(error)
        self._append_frames(journal)
        self.consumed(self.done - before)
        self.drained()
        self._give_back(self._now())
        return bool(self._queue)

    def flush(self, journal: Journal) -> bool:
        """Make frames of everything; whether something waits for more to come."""
        if self.writer is None:
            return False
        at = self._now()
        waits = False
        if not self._is_dead:
            try:
                waits = self.records.settle(at)
            except BaseException as error:  # noqa: BLE001 - as in `work`: it is this session's end, not that of all of the thread
                self._die(error)
        is_due = at >= self._due or self.writer.waiting >= MAX_TAIL
        tail = None if is_due else self.writer.tail()
        if tail is None:
            self._frames.extend(self.writer.flush())
            self._due = at + FRAME_MILLISECONDS
        self._append_frames(journal)
        if tail:
            journal.set_tail(self.name, tail)
        self._give_back(at)
        return waits or self.writer.waiting > 0 or self.findings.has_lines

    def rest(self) -> None:
        """Give up memory, if nothing has happened for a while."""
        if self.writer is None:
            return
        at = self._now()
        self.writer.rest(at)
        if not self._is_dead:
            try:
                self.records.rest(at)
            except BaseException as error:  # noqa: BLE001 - as in `work`
                self._die(error)

    def draw(self, at: int) -> None:
        """Show viewers all terminals as they are. What was before comes into the trail at once, for who asks for that as well."""
        self._due = 0
        self.records.draw(at)

    def claim(self, journal: Journal) -> tuple[int, bytes]:
        """Make everything up to now ready to be signed; return the number of the last frame and the chain after it."""
        self.work(journal, _SLICE)
        if self.writer is None:
            raise RecordingFailedError("nothing is recorded yet")
        self._due = 0
        self.flush(journal)
        return self.writer.frames, self.writer.chain

    def seal(self, journal: Journal, note: Mapping[str, Any]) -> None:
        """Write a seal, behind everything up to now: a tail would not stand before it."""
        if self.writer is not None:
            for frame in (*self.writer.flush(), self.writer.note(dict(note))):
                journal.append(self.name, frame)

    def end(self, journal: Journal, at: int, content: Mapping[str, Any]) -> tuple[int, bytes]:
        """Take everything that waits and write the end; return the number of the last frame and the chain after it."""
        while self.work(journal, _SLICE):
            pass
        writer = self._begun
        self._is_dead = False  # what a tap could not follow has its end all the same
        self.records.close_all(at)
        self._frames.extend(writer.close(plain(content), at))
        self._append_frames(journal)
        self._give_back()
        return writer.frames, writer.chain

    def broken(self, reason: str) -> None:
        """Take that nothing can be recorded any more."""
        self._is_dead = True
        self._failed(reason, True)  # noqa: FBT003 - a fault of the disk

    def strained(self) -> None:
        """Take that the disk is full."""
        self._failed("The disk for recordings is full.", True)  # noqa: FBT003 - a fault of the disk

    @property
    def _begun(self) -> TrailWriter:
        if self.writer is None:
            raise RuntimeError("The trail has not begun.")
        return self.writer

    def _write(self, record: Record) -> None:
        self._frames.extend(self._begun.write(record))

    def _append_frames(self, journal: Journal) -> None:
        for frame in self._frames:
            journal.append(self.name, frame)
        self._frames.clear()

    def _die(self, error: BaseException) -> None:
        log.error("tap failed", session=self.name, error=type(error).__name__, where=place_of(error))
        self._is_dead = True
        self._failed("What passes can't be followed.", False)  # noqa: FBT003 - not a fault of the disk

    def _give_back(self, now: int | None = None) -> None:
        if back := self.findings.take(now):
            self._hand_back(back)
