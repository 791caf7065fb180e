"""Reads a trail, whole or cut off, with the keys that the reader has. Trusts nothing in it: everything is bounded and checked."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from typing import Any

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from doorward.recording.format import (
    MAX_BLOCK,
    Data,
    Flag,
    Frame,
    Passed,
    Start,
    Stream,
    TrailDamagedError,
    first_chain,
    frames,
    nonce,
    read_beginning,
    restart,
    walk,
)
from doorward.recording.keys import NAMES, ContentKeys, opened
from doorward.recording.records import MAX_TIME, Record, RecordKind, decode

_MAX_GROWTH = 2 * MAX_BLOCK
"""Bytes that one frame may unpack to."""
_PIECE = 1024


class TrailVerdict(Struct, frozen=True):
    """What a look at a whole trail showed.

    ``until``: milliseconds up to which all is in order; ``opened``: what could be decrypted; ``ended``: the session ended in it;
    ``cut``: bytes at the end that are no whole frame; ``notes``: the clear frames, each with its number.
    """

    frames: int
    until: int
    chain: bytes
    opened: frozenset[Stream]
    ended: bool
    cut: int
    damage: TrailDamagedError | None
    notes: tuple[tuple[int, dict[str, Any]], ...]


class Landmarks(Struct, frozen=True):
    """What passing all frames of a trail has shown.

    ``restarts``: some places from where the screen can be unpacked, each with its milliseconds, in order; ``until``: milliseconds
    up to which the trail records.
    """

    restarts: tuple[tuple[int, Start], ...]
    until: int


class TrailReader:
    """One trail. ``data`` is the file, such as a map of it; ``private_key`` (PEM) opens envelopes. Raises TrailDamagedError."""

    def __init__(self, data: Data, private_key: bytes | None = None) -> None:
        self._data = data
        header, self._first = read_beginning(data)
        try:
            self.header = json.loads(header)
            blocks = self.header["keys"]
            found = {name: opened(blocks[name], private_key) for name in NAMES.values()}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise TrailDamagedError("the header can't be read") from None
        self.keys = ContentKeys(found["screen"], found["keystrokes"])
        self.landmarks: Landmarks | None = None
        """Whoever knows them gives them, so that nobody looks for them again. They have to be those of this trail."""

    @property
    def size(self) -> int:
        """Bytes of the trail."""
        return len(self._data)

    @cached_property
    def _beginning(self) -> Start:
        return Start(self._first, 1, first_chain(bytes(self._data[: self._first])))

    def frames(self) -> Iterator[Frame]:
        """Yield the whole frames, in order. Raises TrailDamagedError where one can't begin."""
        return frames(self._data, self._first, self._beginning.chain)

    def heads(self) -> Iterator[Frame]:
        """Yield the whole frames without what they hold, in order, which is quick. Raises TrailDamagedError."""
        return frames(self._data, self._first)

    def walk(self) -> Iterator[Passed]:
        """Yield where the whole frames stand, with the chain up to there. Raises TrailDamagedError."""
        return walk(self._data, self._beginning)

    @property
    def until(self) -> int:
        """The milliseconds up to which the trail records."""
        if self.landmarks is not None:
            return self.landmarks.until
        last = 0
        with suppress(TrailDamagedError):
            for frame in self.heads():
                last = max(last, frame.at)
        return last

    def records(self, *streams: Stream, since: int = 0) -> Iterator[Record]:
        """Yield the records of streams that can be opened, in order of time; ``since`` begins at the restart before a time.

        Raises TrailDamagedError at the first frame that is not what was written.
        """
        asked = streams or (Stream.SCREEN, Stream.KEYS)
        wanted = [(stream, key) for stream in asked if (key := self.keys.of(stream)) is not None]
        return merge(*(self._of(stream, key, since) for stream, key in wanted), key=lambda record: record.at)

    def _of(self, stream: Stream, key: bytes, since: int) -> Iterator[Record]:
        begin = self._restart(stream, since) if since else self._beginning
        cipher, unpack = AESGCM(key), None
        for frame in frames(self._data, begin.offset, begin.chain, begin.number):
            if frame.stream is not stream:
                continue
            if frame.flags & (Flag.RESTART | Flag.TAIL):
                unpack = zstandard.ZstdDecompressor().decompressobj()
            if unpack is None:
                raise TrailDamagedError("the compression has no beginning", frame.number)
            yield from _records(frame, cipher, unpack)

    def _restart(self, stream: Stream, since: int) -> Start:
        """Return where to begin to unpack a stream, to have what it holds of a time."""
        begin = self._beginning
        if stream is Stream.SCREEN and self.landmarks is not None:
            known = self.landmarks.restarts
            before = bisect_right(known, since, key=lambda one: one[0])
            return known[before - 1][1] if before else begin
        return restart(self._data, begin, stream, since)

    def index(self) -> dict[str, Any] | None:
        """Return what the last frame of a trail that ended says of it: ``channels``, ``keyframes``; None: it has none.

        Only the last minute is decrypted.
        """
        if self.keys.screen is None:
            return None
        found = None
        for record in self.records(Stream.SCREEN, since=MAX_TIME):
            if record.kind is RecordKind.INDEX:
                found = record.content
        return found

    def verify(self) -> TrailVerdict:
        """Look at every frame: chain, encryption as far as there are keys, records."""
        state = _State(self._beginning.chain, self._first)
        damage = None
        ciphers = {stream: AESGCM(key) for stream in NAMES if (key := self.keys.of(stream)) is not None}
        unpackers: dict[Stream, Any] = {}
        notes = []
        try:
            for frame in self.frames():
                if frame.stream is Stream.CLEAR:
                    notes.append((frame.number, Record(frame.at, RecordKind.EVENT, 0, frame.payload).content))
                elif frame.stream in ciphers:
                    if frame.flags & (Flag.RESTART | Flag.TAIL):
                        unpackers[frame.stream] = zstandard.ZstdDecompressor().decompressobj()
                    if frame.stream not in unpackers:
                        raise TrailDamagedError("the compression has no beginning", frame.number)
                    for record in _records(frame, ciphers[frame.stream], unpackers[frame.stream]):
                        state.ended = state.ended or record.kind is RecordKind.END
                state.passed(frame)
        except TrailDamagedError as error:
            damage = error
        cut = 0 if damage else len(self._data) - state.end
        return TrailVerdict(state.frames, state.until, state.chain, frozenset(ciphers), state.ended, cut, damage, tuple(notes))


@dataclass(slots=True)
class _State:
    chain: bytes
    end: int
    frames: int = 0
    until: int = 0
    ended: bool = False

    def passed(self, frame: Frame) -> None:
        self.chain, self.end, self.frames = frame.next_chain, frame.end, frame.number
        self.until = max(self.until, frame.at)


def _records(frame: Frame, cipher: AESGCM, unpack: Any) -> Iterator[Record]:
    try:
        packed = cipher.decrypt(nonce(frame.stream, frame.number, frame.attempt), frame.payload, frame.chain + frame.head)
    except InvalidTag:
        raise TrailDamagedError("it was changed, or the key is another", frame.number) from None
    try:
        yield from decode(_unpacked(packed, unpack))
    except TrailDamagedError as error:
        raise TrailDamagedError(error.reason, frame.number) from None


def _unpacked(packed: bytes, unpack: Any) -> bytes:
    """Return what was packed. A little at a time: a few bytes may stand for very many."""
    parts, size = [], 0
    for at in range(0, len(packed), _PIECE):
        try:
            part = unpack.decompress(packed[at : at + _PIECE])
        except zstandard.ZstdError:
            raise TrailDamagedError("it does not unpack") from None
        size += len(part)
        if size > _MAX_GROWTH:
            raise TrailDamagedError("it unpacks to too much")
        parts.append(part)
    return b"".join(parts)
