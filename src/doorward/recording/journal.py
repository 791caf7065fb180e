"""Where frames become safe: one journal for all sessions of a worker, synced together, and a file for each, written lazily.

A frame is recorded once the journal is synced; a sync for each session would not scale. The journal has two segments. When one is
full the other takes over, while the session files that the first one covers are synced behind it; then it is free again. After a
crash ``recovery`` brings every session file to what the segments hold.

A segment is a sequence of entries in a file whose room is taken beforehand, so that a full disk does not cut off what runs.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

from doorward.recording.entries import NAME, entry

SEGMENT_BYTES: Final = 32 << 20
RESERVE_BYTES: Final = 16 << 20
"""Room that is kept back for the ends of sessions that run when the disk is full."""
SUFFIX: Final = ".dwr"
TRAIL_MODE: Final = 0o640
"""Of a trail. The group is whoever reads trails beside the worker; where nobody does, the umask leaves it nothing."""
SEGMENTS: Final = ("a", "b")

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RecordingFailedError(Exception):
    """Something can't be made safe any more: the disk is full, gone or broken. What must be recorded ends."""


class _Trail:
    """The file of one session. ``size`` counts what was taken, also what is not in the file yet."""

    def __init__(self, directory: int, name: str) -> None:
        self.name = name
        self.descriptor = os.open(name + SUFFIX, _NEW, TRAIL_MODE, dir_fd=directory)
        self.size = 0
        self.waiting: list[bytes] = []
        self.lock = threading.Lock()

    def write(self) -> None:
        """Write what waits into the file; what could not be written goes on waiting. Raises OSError."""
        while self.waiting:
            data = self.waiting[0]
            done = os.write(self.descriptor, data)
            if done == len(data):
                del self.waiting[0]
            else:
                self.waiting[0] = data[done:]

    def sync(self) -> None:
        with self.lock:
            if self.descriptor >= 0:
                os.fdatasync(self.descriptor)

    def close(self) -> None:
        with self.lock:
            os.close(self.descriptor)
            self.descriptor = -1


class _Segment:
    """One of the two files of a journal."""

    def __init__(self, directory: int, name: str, size: int) -> None:
        self.descriptor = os.open(name, _NEW, 0o600, dir_fd=directory)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.posix_fallocate(self.descriptor, 0, size)
        os.fsync(self.descriptor)
        self.used = 0
        self.trails: dict[str, _Trail] = {}
        self.free = threading.Event()
        self.free.set()
        self.failure: OSError | None = None


class Journal:
    """The journal of one worker in the directory of its trails, which must belong to it alone.

    One thread calls it. It holds a lock for as long as the process lives: who gets that lock knows that nobody writes any more.
    Every method raises RecordingFailedError where something can't be made safe.
    """

    def __init__(self, directory: Path, name: str, *, segment: int = SEGMENT_BYTES, reserve: int = RESERVE_BYTES) -> None:
        self._limit, self._epoch, self._buffer, self._reserve = segment, 1, bytearray(), f"{name}.reserve"
        self._reserve_bytes = max(reserve, 1)
        self._trails: dict[str, _Trail] = {}
        self._touched: dict[str, _Trail] = {}
        self._tails: dict[str, bytes] = {}
        self.is_strained = False
        """Whether the reserve is being spent: what runs has to end now."""
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._segments = [_Segment(self._directory, f"{name}.{which}", segment) for which in SEGMENTS]
            self._keep_reserve()
            os.fsync(self._directory)
            if not all(os.fstat(made.descriptor).st_nlink for made in self._segments):
                raise OSError(errno.EBUSY, "a recovery took the journal for one that was left")
        except OSError as error:
            raise _failed(error) from error

    @property
    def _segment(self) -> _Segment:
        return self._segments[self._epoch % 2]

    def open(self, name: str, head: bytes) -> None:
        """Make the file of a session, whose name has 22 letters and digits, with the head of its trail; safe on return."""
        if not NAME.match(name):
            raise ValueError(name)
        try:
            self._trails[name] = _Trail(self._directory, name)
        except OSError as error:
            raise _failed(error) from error
        self.append(name, head)
        self.sync()

    def size(self, name: str) -> int:
        """Return the bytes of a session's trail, those that are not safe yet among them."""
        return self._trails[name].size

    def append(self, name: str, frame: bytes) -> None:
        """Take a frame of a session; ``sync`` makes it safe."""
        trail = self._trails[name]
        self._tails.pop(name, None)
        self._buffer += entry(self._epoch, name, trail.size, frame)
        trail.size += len(frame)
        trail.waiting.append(frame)
        self._touched[name] = trail

    def set_tail(self, name: str, frames: bytes) -> None:
        """Take what is to stand at the end of a trail if it is cut off before the next frame; ``sync`` makes it safe."""
        self._tails[name] = frames
        self._buffer += entry(self._epoch, name, self._trails[name].size, frames)

    def sync(self) -> None:
        """Make everything that was taken safe, in one go."""
        if not self._buffer:
            return
        segment = self._segment
        try:
            _write_at(segment.descriptor, self._buffer, segment.used)
            os.fdatasync(segment.descriptor)
        except OSError as error:
            raise _failed(error) from error
        segment.used += len(self._buffer)
        self._buffer.clear()
        segment.trails |= self._touched
        touched, self._touched = self._touched, {}
        for trail in touched.values():
            self._write(trail)
        if segment.used >= self._limit // 2:
            self._turn()

    def close(self, name: str) -> None:
        """End the file of a session: whole and synced on return."""
        self.sync()
        self._tails.pop(name, None)
        trail = self._trails.pop(name)
        self._write(trail)
        try:
            trail.sync()
        except OSError as error:
            raise _failed(error) from error
        finally:
            trail.close()

    def stop(self) -> None:
        """End: everything is in the files of the sessions, and the journal is gone."""
        for name in list(self._trails):
            self.close(name)
        try:
            os.fsync(self._directory)  # the names of the files, which the journal knows until now
        except OSError as error:
            raise _failed(error) from error
        for segment, which in zip(self._segments, SEGMENTS, strict=True):
            segment.free.wait()
            os.unlink(self._reserve.removesuffix("reserve") + which, dir_fd=self._directory)
            os.close(segment.descriptor)
        with suppress(FileNotFoundError):
            os.unlink(self._reserve, dir_fd=self._directory)
        os.close(self._directory)

    def _write(self, trail: _Trail) -> None:
        try:
            trail.write()
        except OSError as error:
            if error.errno != errno.ENOSPC or not self._spend_reserve():
                raise _failed(error) from error
            try:
                trail.write()
            except OSError as again:
                raise _failed(again) from again

    def _spend_reserve(self) -> bool:
        """Give back the room that was kept back; whether there was any."""
        self.is_strained = True
        try:
            os.unlink(self._reserve, dir_fd=self._directory)
        except OSError:
            return False
        return True

    def recover_reserve(self) -> bool:
        """Keep room back again, where the disk has some; whether there is a reserve."""
        if self.is_strained:
            try:
                self._keep_reserve()
            except OSError:
                with suppress(OSError):
                    os.unlink(self._reserve, dir_fd=self._directory)
                return False
            self.is_strained = False
        return True

    def _keep_reserve(self) -> None:
        held = os.open(self._reserve, _NEW, 0o600, dir_fd=self._directory)
        try:
            os.posix_fallocate(held, 0, self._reserve_bytes)
        finally:
            os.close(held)

    def _turn(self) -> None:
        """Go over to the other segment; the one that is full is free again once the files that it covers are synced."""
        full = self._segment
        full.free.clear()
        threading.Thread(target=_checkpoint, args=(full, self._directory), name="trail-checkpoint", daemon=True).start()
        self._epoch += 1
        following = self._segment
        following.free.wait()  # slower than it fills: then everybody waits
        if following.failure is not None:
            raise _failed(following.failure)
        following.used = 0
        for name, frames in self._tails.items():  # the segment that holds them will be written over
            self.set_tail(name, frames)


def _checkpoint(segment: _Segment, directory: int) -> None:
    """Make safe what a segment covers, the names of the files too: what is not safe can't be made again without it."""
    try:
        for trail in segment.trails.values():
            trail.sync()
        os.fsync(directory)
        segment.trails = {}
    except OSError as error:
        segment.failure = error
    finally:
        segment.free.set()


def _write_at(descriptor: int, data: bytes | bytearray, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def _failed(error: OSError) -> RecordingFailedError:
    return RecordingFailedError((error.strerror or "the disk does not answer").lower())
