"""The bytes of a trail, as ``docs/trail-format.md`` describes them: magic, header, frames, chain. Pure.

A frame is ``length | stream | flags | milliseconds | payload``. Its number counts from 1 and, with the stream, makes the nonce.
The chain value before it and its own head are authenticated with it: no frame can be moved, changed or left out unseen.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import suppress
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple, Protocol

from msgspec import Struct


class Data(Protocol):
    """What a trail is read from: bytes, a map, or a file (see ``trail_file``). Slices never go beyond the end."""

    def __len__(self) -> int:
        """Return how many bytes there are."""

    def __getitem__(self, part: slice, /) -> bytes | memoryview:
        """Return a part of them."""


MAGIC: Final = b"DWR1\r\n\x1a\n"
MAX_HEADER: Final = 262_144
"""Bytes of the header, at most."""
MAX_BLOCK: Final = 4_194_304
"""Bytes of the records in one frame, at most, before they are compressed."""
MAX_PAYLOAD: Final = MAX_BLOCK + 65_536
"""Bytes of what stands in a frame, at most."""

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IBBQ")
HEAD_SIZE: Final = _HEAD.size
_FLAGS_AT: Final = 5


class Stream(IntEnum):
    """Who may read a frame."""

    SCREEN = 0
    """What the session showed and did, under the screen key."""
    KEYS = 1
    """What was typed, under the key of keystrokes."""
    CLEAR = 2
    """What proves the others: seals and notes about a cut. JSON, not encrypted."""


class Flag(IntFlag):
    """What a reader should know of a frame before it opens it."""

    RESTART = 1
    """The compression begins anew; keyframes of all terminals come first."""
    INDEX = 2
    """The frame holds the index, and is the last of its stream."""
    TAIL = 4
    """Stood in for a frame that was to come, when the session was cut off: its compression stands alone. See `attempt`."""


MAX_ATTEMPTS: Final = 31
"""How many tails a frame may have before it: their number stands in the upper five bits of the flags."""
_ATTEMPT_SHIFT: Final = 3
NO_FLAGS: Final = Flag(0)
_STREAMS, _FLAGS = tuple(Stream), tuple(Flag(number) for number in range(256))
# As numbers, which are compared in a tenth of the time.
_LAST_STREAM, _TAIL, _RESTART = int(Stream.CLEAR), int(Flag.TAIL), int(Flag.RESTART)


class TrailDamagedError(Exception):
    """A trail is not what was written. ``frame`` is the number of the first frame that is not, 0 the header."""

    def __init__(self, reason: str, frame: int = 0) -> None:
        self.reason, self.frame = reason, frame
        super().__init__(f"frame {frame}: {reason}" if frame else reason)


class Frame(Struct, frozen=True):
    """A frame as it stands in a file. ``chain`` is the value before it, ``at`` the milliseconds up to which it records.

    ``payload`` and ``chain`` are b"" where heads alone were read.
    """

    number: int
    offset: int
    stream: Stream
    flags: Flag
    at: int
    length: int
    payload: bytes
    chain: bytes

    @property
    def head(self) -> bytes:
        """The clear part before the payload."""
        return _HEAD.pack(self.length, self.stream, self.flags, self.at)

    @property
    def attempt(self) -> int:
        """Which tail it is; 0: none."""
        return self.flags >> _ATTEMPT_SHIFT

    @property
    def end(self) -> int:
        """The offset behind the frame."""
        return self.offset + HEAD_SIZE + self.length

    @property
    def next_chain(self) -> bytes:
        """The chain value after the frame."""
        return chained(self.chain, self.head, self.payload)


def beginning(header: bytes) -> bytes:
    """Return what a trail begins with: magic, length and header. Raises ValueError."""
    if len(header) > MAX_HEADER:
        raise ValueError("the header of a trail is too long")
    return MAGIC + _LENGTH.pack(len(header)) + header


def read_beginning(data: Data) -> tuple[bytes, int]:
    """Return the header and the offset of the first frame. Raises TrailDamagedError."""
    if bytes(data[: len(MAGIC)]) != MAGIC:
        raise TrailDamagedError("this is no trail")
    at = len(MAGIC) + _LENGTH.size
    if len(data) < at:
        raise TrailDamagedError("the header is cut off")
    (length,) = _LENGTH.unpack(data[len(MAGIC) : at])
    if length > MAX_HEADER:
        raise TrailDamagedError("the header is too long")
    if len(data) < at + length:
        raise TrailDamagedError("the header is cut off")
    return bytes(data[at : at + length]), at + length


def first_chain(head: bytes) -> bytes:
    """Return the chain value before the first frame, from everything before it."""
    return hashlib.sha256(head).digest()


def chained(chain: bytes, head: bytes, payload: bytes) -> bytes:
    """Return the chain value after a frame."""
    digest = hashlib.sha256(chain)
    digest.update(head)
    digest.update(payload)
    return digest.digest()


def nonce(stream: Stream, number: int, attempt: int = 0) -> bytes:
    """Return the nonce of a frame, 12 bytes. No two frames and tails of a file have the same, and each file has its own keys."""
    return struct.pack(">BBHQ", 0, attempt, stream, number)


def tail_flags(attempt: int) -> Flag:
    """Return the flags of a tail; attempts count from 1."""
    return Flag.TAIL | Flag(attempt << _ATTEMPT_SHIFT)


def frame_head(length: int, stream: Stream, flags: Flag, at: int) -> bytes:
    """Return the clear part before a payload of a length."""
    return _HEAD.pack(length, stream, flags, at)


def is_tail(frame: bytes) -> bool:
    """Whether a frame, or what a trail begins with, is a tail."""
    return frame[: len(MAGIC)] != MAGIC and bool(frame[_FLAGS_AT] & Flag.TAIL)


def frames(data: Data, offset: int, chain: bytes | None = None, number: int = 1) -> Iterator[Frame]:
    """Yield the whole frames from an offset on. One that is cut off ends it; a head that none has raises TrailDamagedError.

    Without ``chain`` the values are not computed (and are b""): heads alone are read, which is quick.
    """
    while offset + HEAD_SIZE <= len(data):
        length, stream, flags, at = _HEAD.unpack(data[offset : offset + HEAD_SIZE])
        if not length:  # a block of zeros, as a loss of power may leave at the end
            return
        _check_head(length, stream, flags, number)
        end = offset + HEAD_SIZE + length
        if end > len(data):
            return
        payload = bytes(data[offset + HEAD_SIZE : end]) if chain is not None else b""
        frame = Frame(number, offset, _STREAMS[stream], _FLAGS[flags], at, length, payload, chain or b"")
        yield frame
        chain = frame.next_chain if chain is not None else None
        offset, number = end, number + 1


def _check_head(length: int, stream: int, flags: int, number: int) -> None:
    if length > MAX_PAYLOAD or stream > _LAST_STREAM or (flags & ~7 and not flags & _TAIL):
        raise TrailDamagedError("no frame begins here", number)


class Start(Struct, frozen=True):
    """Where to begin to read: a frame by its offset and number, and the chain value before it."""

    offset: int
    number: int
    chain: bytes


class Passed(NamedTuple):
    """A frame that a walk has passed: where it stands, and what its head says. ``at`` and ``length`` as those of a frame."""

    place: Start
    stream: int
    flags: int
    at: int
    length: int

    @property
    def is_restart(self) -> bool:
        """Whether the stream can be unpacked from here."""
        return bool(self.flags & _RESTART)


def walk(data: Data, begin: Start) -> Iterator[Passed]:
    """Yield where the whole frames from a place on stand, which is quicker than ``frames``: they go into the chain, no more.

    Ends and raises as ``frames`` does.
    """
    offset, number, chain, size = begin.offset, begin.number, begin.chain, len(data)
    while offset + HEAD_SIZE <= size:
        length, stream, flags, at = _HEAD.unpack(data[offset : offset + HEAD_SIZE])
        end = offset + HEAD_SIZE + length
        if not length:
            return
        _check_head(length, stream, flags, number)
        if end > size:
            return
        yield Passed(Start(offset, number, chain), stream, flags, at, length)
        digest = hashlib.sha256(chain)
        digest.update(data[offset:end])
        chain = digest.digest()
        offset, number = end, number + 1


def restart(data: Data, begin: Start, stream: Stream, until: int) -> Start:
    """Return the last frame from where a stream can be unpacked that is not behind a time; the beginning where there is none.

    Everything before it is read and goes into the chain, but nothing is decrypted: a second for some gigabytes. Ends at the first
    frame that is none, as if the trail ended there.
    """
    found = begin
    with suppress(TrailDamagedError):
        for frame in walk(data, begin):
            if frame.stream == stream and frame.is_restart:
                if frame.at > until:
                    break
                found = frame.place
    return found
