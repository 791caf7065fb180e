"""The log of the SQLite store: the room that it has ahead, and whether it still holds every commit that was written to it.

SQLite reads its log up to the first frame whose checksum does not fit, and takes what follows for the rest of a write that a
crash cut off. A damaged byte in the middle so drops every later commit without a word. Format: sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from doorward.host.ownership import open_own
from doorward.store.port import StoreDamagedError

BYTES = 5 << 18
"""How much room a log has: what 256 pages need, after which it is carried into the file and begun again."""
_MAGIC, _BIG_ENDIAN = (0x377F0682, 0x377F0683), 0x377F0683
_HEAD, _FRAME_HEAD = 32, 24
_Sums = tuple[int, int]


def make_room(log: Path) -> None:
    """Write zeros behind what the log holds: to overwrite them later costs a commit half of what it costs to append.

    SQLite's log ends where a frame has no valid checksum. Without room on the disk it stays as it is.
    """
    with suppress(OSError), os.fdopen(open_own(log, os.O_RDWR), "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        try:
            file.write(bytes(max(0, BYTES - size)))
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.ftruncate(file.fileno(), size)


def check(log: Path) -> None:
    """Raise StoreDamagedError where commits lie behind a damaged place of the log, before SQLite drops them.

    Looked at twice: who reads beside a server that writes may see a frame before it is there and one behind it after.
    """
    try:
        damaged = _damaged(log.read_bytes()) and _damaged(log.read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreDamagedError(f"{log} can't be read: {error.strerror}.") from error
    if damaged:
        raise StoreDamagedError(
            f"{log} is damaged; what was committed last would be lost. Bring back a copy of the state directory."
        )


def _damaged(data: bytes) -> bool:
    """Whether a log holds a commit behind its first invalid frame that another one was written upon.

    The last commit alone may be what a loss of power left of a write that nobody was told of.
    """
    head = data[:_HEAD]
    if not any(head):
        return False
    if len(head) < _HEAD:
        return True
    magic, page_size, *sums = struct.unpack(">I4xI12x2I", head)
    order = ">" if magic == _BIG_ENDIAN else "<"
    if magic not in _MAGIC or _summed(head[:24], (0, 0), order) != tuple(sums):
        return True
    before = {(sums[0], sums[1])}
    whole, committed = True, False
    for frame in _frames(data, page_size, head[16:24]):
        stored = _sums(frame)
        found = {_summed(frame[:8] + frame[_FRAME_HEAD:], one, order) for one in before} if whole or committed else set[_Sums]()
        if stored in found and not whole:
            return True
        whole = whole and stored in found
        before, committed = {stored, *found}, frame[4:8] != bytes(4)  # what was damaged may be the checksum itself
    return False


def _frames(data: bytes, page_size: int, salts: bytes) -> Iterator[bytes]:
    """Yield the frames since the log was last begun again, the others as empty ones."""
    size = _FRAME_HEAD + page_size
    for at in range(_HEAD, len(data) - size + 1, size):
        yield data[at : at + size] if data[at + 8 : at + 16] == salts else bytes(_FRAME_HEAD)


def _sums(frame: bytes) -> _Sums:
    first, second = struct.unpack_from(">2I", frame, 16)
    return first, second


def _summed(data: bytes, sums: _Sums, order: str) -> _Sums:
    first, second = sums
    words = iter(struct.unpack(f"{order}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
