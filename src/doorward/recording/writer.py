"""Makes the frames of a trail out of records. Pure: where they go, and when they are safe, is for the journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from doorward.recording.format import (
    MAX_ATTEMPTS,
    NO_FLAGS,
    Flag,
    Stream,
    beginning,
    chained,
    first_chain,
    frame_head,
    nonce,
    tail_flags,
)
from doorward.recording.keys import NAMES, ContentKeys
from doorward.recording.records import INPUT_KINDS, Record, RecordKind, encode, encode_json, terminal_size

FORMAT = 1
BLOCK_BYTES = 262_144
"""A frame is made when so many bytes wait for it."""
RESTART_MILLISECONDS = 300_000
"""How often the compression begins anew, with keyframes: any second can be reached from the restart before it."""
RESTART_BYTES = 16 * BLOCK_BYTES
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(3, window_log=17, hash_log=12, chain_log=12)
"""Those of level 3 take 1.7 MB for each session; so do what can be reached in 128 KiB, and hardly cost any size."""
REST_MILLISECONDS = 60_000
"""After so long a pause the memory of a compressor is given up: the next frame begins anew."""
FEW_BYTES = 4096
"""Where a stream has no more so far, a compressor keeps hardly anything worth its 77 kB: each frame begins anew."""
_TAIL_LEVEL = 1

TAG_SIZE = 16
"""Bytes by which AES-GCM lengthens what it encrypts."""

Keyframes = Callable[[], Iterable[tuple[int, bytes]]]
"""Returns what draws the terminals as they are before the record that is being written: channel, output."""


class _Block:
    """The records of one stream that wait for their frame."""

    def __init__(self, key: bytes) -> None:
        self.cipher = AESGCM(key)
        self.parts: list[bytes] = []
        self.size = 0
        self.last = 0
        self.compressor: zstandard.ZstdCompressionObj | None = None
        self.renew = True
        self.restarted = 0
        self.written = 0
        self.total = 0

    def add(self, record: Record) -> None:
        part = encode(record, self.last if self.parts else 0)
        self.parts.append(part)
        self.size += len(part)
        self.last = record.at

    def begin(self, at: int) -> None:
        """Decide, before the first record of a frame, whether the compression begins anew with it."""
        old = at - self.restarted >= RESTART_MILLISECONDS or self.written >= RESTART_BYTES
        self.renew = self.compressor is None or old
        if self.renew:
            self.restarted, self.written = at, 0

    def pack(self) -> bytes:
        """Take what waits, compressed."""
        if self.renew or self.compressor is None:
            self.compressor = zstandard.ZstdCompressor(compression_params=_PARAMETERS).compressobj()
        content = b"".join(self.parts)
        packed = self.compressor.compress(content) + self.compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        self.written += self.size
        self.total += self.size
        self.parts, self.size = [], 0
        return packed


class TrailWriter:
    """One trail. Give what ``head`` holds to the file first, then what the other methods yield, in order.

    ``header`` is the clear header without its keys, ``blocks`` the keys as they stand in it. Not safe in several threads.
    """

    def __init__(self, header: dict[str, Any], blocks: dict[str, Any], keys: ContentKeys, keyframes: Keyframes = tuple) -> None:
        if keys.screen is None or keys.keystrokes is None:
            raise ValueError("a trail is written with both keys")
        whole = header | {"format": FORMAT, "keys": {name: blocks[name] for name in NAMES.values()}}
        self.head = beginning(json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode())
        self.chain = first_chain(self.head)
        self.frames = 0
        self._keyframes = keyframes
        self._blocks = {Stream.SCREEN: _Block(keys.screen), Stream.KEYS: _Block(keys.keystrokes)}
        self._at = 0
        self._attempt = self._last_tail = self._tailed = 0
        self._channels: dict[int, dict[str, Any]] = {}
        self._shown: list[tuple[int, int]] = []
        self._sizes: dict[int, tuple[int, int]] = {}
        """The terminals of channels as they are after what was written: a keyframe says nothing of its size."""

    def write(self, record: Record) -> Iterator[bytes]:
        """Take a record; times never go back within a stream. Yields the frames that are full."""
        self._at = max(self._at, record.at)
        if record.kind is RecordKind.OPEN:
            self._channels[record.channel] = {"channel": record.channel, "from": record.at, **record.content}
        elif record.kind is RecordKind.CLOSE and record.channel in self._channels:
            self._channels[record.channel]["to"] = record.at
        stream = Stream.KEYS if record.kind in INPUT_KINDS else Stream.SCREEN
        block = self._blocks[stream]
        if record.at < block.last:
            record = Record(block.last, record.kind, record.channel, record.data)
        if not block.parts:
            self._begin(stream, block)
        block.add(record)
        if record.kind in {RecordKind.RESIZE, RecordKind.REQUEST} and (size := terminal_size(record.content)) is not None:
            self._sizes[record.channel] = size
        if block.size >= BLOCK_BYTES:
            yield from self._sealed(stream)

    @property
    def waiting(self) -> int:
        """Bytes of records that wait for their frame."""
        return sum(block.size for block in self._blocks.values())

    def tail(self) -> bytes | None:
        """Return frames of everything that waits, to stand at the end of the trail until those that come replace them.

        A session that is cut off keeps them; else they cost the trail nothing. b"": it is as before; None: time for `flush`.
        """
        if self.waiting == self._tailed:
            return b""
        self._attempt = self._attempt + 1 if self.frames < self._last_tail else 1
        if self._attempt > MAX_ATTEMPTS:
            return None
        parts, chain, number, flags = [], self.chain, self.frames, tail_flags(self._attempt)
        for stream, block in self._blocks.items():
            if not block.parts:
                continue
            number += 1
            packed = zstandard.ZstdCompressor(level=_TAIL_LEVEL).compress(b"".join(block.parts))
            head = frame_head(len(packed) + TAG_SIZE, stream, flags, block.last)
            sealed = block.cipher.encrypt(nonce(stream, number, self._attempt), packed, chain + head)
            chain = chained(chain, head, sealed)
            parts += [head, sealed]
        self._last_tail, self._tailed = number, self.waiting
        return b"".join(parts)

    def flush(self) -> Iterator[bytes]:
        """Yield frames of everything that waits."""
        for stream, block in self._blocks.items():
            yield from self._sealed(stream)
            if block.total <= FEW_BYTES:
                block.compressor = None

    def rest(self, at: int) -> None:
        """Give up the memory of compressors that had nothing to do for a while."""
        for block in self._blocks.values():
            if not block.parts and at - block.last >= REST_MILLISECONDS:
                block.compressor = None

    def note(self, content: dict[str, Any]) -> bytes:
        """Return a clear frame: a seal, or a note."""
        return self._framed(Stream.CLEAR, NO_FLAGS, encode_json(content), self._at)

    def close(self, content: dict[str, Any], at: int) -> Iterator[bytes]:
        """Yield the last frames: everything that waits, the end and the index."""
        yield from self.write(Record(at, RecordKind.END, 0, encode_json(content)))
        for stream in self._blocks:
            yield from self._sealed(stream)
        index = {"channels": list(self._channels.values()), "keyframes": [list(pair) for pair in self._shown]}
        block = self._blocks[Stream.SCREEN]
        block.renew = False
        block.add(Record(self._at, RecordKind.INDEX, 0, encode_json(index)))
        yield from self._sealed(Stream.SCREEN, Flag.INDEX)

    def _begin(self, stream: Stream, block: _Block) -> None:
        """Begin a frame; where the compression begins anew, with the terminals as they are."""
        block.begin(self._at)
        if block.renew and stream is Stream.SCREEN:
            for channel, drawing in self._keyframes():
                if channel in self._sizes:
                    columns, rows = self._sizes[channel]
                    size = encode_json({"columns": columns, "rows": rows})
                    block.add(Record(self._at, RecordKind.RESIZE, channel, size))
                block.add(Record(self._at, RecordKind.KEYFRAME, channel, drawing))
                self._shown.append((channel, self._at))

    def _sealed(self, stream: Stream, flags: Flag = NO_FLAGS) -> Iterator[bytes]:
        block = self._blocks[stream]
        if not block.parts:
            return
        if block.renew:
            flags |= Flag.RESTART
        packed = block.pack()
        head = frame_head(len(packed) + TAG_SIZE, stream, flags, block.last)
        sealed = block.cipher.encrypt(nonce(stream, self.frames + 1), packed, self.chain + head)
        yield self._framed(stream, flags, sealed, block.last)

    def _framed(self, stream: Stream, flags: Flag, payload: bytes, at: int) -> bytes:
        head = frame_head(len(payload), stream, flags, at)
        self.chain = chained(self.chain, head, payload)
        self.frames += 1
        self._tailed = 0
        return head + payload
