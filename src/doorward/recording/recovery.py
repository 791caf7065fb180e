"""After a crash: brings the files of sessions to what the journal holds, and cuts off what is no whole frame."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from doorward.recording.entries import entries
from doorward.recording.format import TrailDamagedError, frames, is_tail, read_beginning
from doorward.recording.journal import SEGMENTS, SUFFIX, TRAIL_MODE


class JournalInUseError(Exception):
    """The worker that writes the journal lives."""


class Recovered(Struct, frozen=True):
    """A session that was cut off. ``until``: milliseconds up to which it is recorded; ``added``, ``cut``: bytes of its file.

    ``damage``: why the file can't be read from some frame on; None: it can.
    """

    name: str
    until: int
    added: int
    cut: int
    damage: str | None = None


def recover(directory: Path, name: str) -> list[Recovered]:
    """Bring every session of a journal to its last safe frame, and remove the journal. May be repeated after another crash.

    Raises JournalInUseError, or OSError.
    """
    segments = [directory / f"{name}.{which}" for which in SEGMENTS]
    present = [path for path in segments if path.exists()]
    opened = [os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC) for path in present]
    try:
        for descriptor in opened:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise JournalInUseError(name) from None
        found = sorted((entry for descriptor in opened for entry in _entries(descriptor)), key=lambda entry: entry[0])
        recovered = _replayed(directory, found)
        _sync_directory(directory)
        for path in present:
            path.unlink()
        (directory / f"{name}.reserve").unlink(missing_ok=True)
        _sync_directory(directory)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return recovered


def _entries(descriptor: int) -> Iterator[tuple[int, str, int, bytes]]:
    if os.fstat(descriptor).st_size:
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as segment:
            yield from list(entries(segment))


def _replayed(directory: Path, found: list[tuple[int, str, int, bytes]]) -> list[Recovered]:
    """Write the frames to their places; those that are there already are the same, byte by byte."""
    sessions: dict[str, list[tuple[int, bytes]]] = {}
    for _, name, offset, frame in found:
        sessions.setdefault(name, []).append((offset, frame))
    return [_session(directory / (name + SUFFIX), name, parts) for name, parts in sessions.items()]


def _session(path: Path, name: str, parts: list[tuple[int, bytes]]) -> Recovered:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, TRAIL_MODE)
    try:
        before = os.fstat(descriptor).st_size
        for offset, frame in _standing(parts):
            if offset <= os.fstat(descriptor).st_size:  # else a part before it is lost: the file ends there
                _write_at(descriptor, frame, offset)
        size = os.fstat(descriptor).st_size
        end, until, damage = _whole(descriptor)
        if damage is None and end < size:
            os.ftruncate(descriptor, end)
        os.fsync(descriptor)
        return Recovered(name, until, max(0, end - before), size - end if damage is None else 0, damage)
    finally:
        os.close(descriptor)


def _standing(parts: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Leave out the tails that a later frame or tail replaced."""
    last = len(parts) - 1
    return [part for index, part in enumerate(parts) if index == last or not is_tail(part[1])]


def _whole(descriptor: int) -> tuple[int, int, str | None]:
    """Return where the last whole frame ends, its milliseconds, and what is wrong with the file."""
    if not os.fstat(descriptor).st_size:
        return 0, 0, "it is empty"
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as data:
        end = until = 0
        try:
            _, end = read_beginning(data)
            for frame in frames(data, end):
                end, until = frame.end, max(until, frame.at)
        except TrailDamagedError as error:
            return end, until, str(error)
        return end, until, None


def _write_at(descriptor: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, at)
        view, at = view[done:], at + done


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
