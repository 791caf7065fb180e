"""The text of sessions: lines in chunks, compressed, each of which the index knows as one text.

A chunk is some dozens of lines of one channel. The index knows chunks, so that a word that is in every line costs little; which
line it was is found out when the chunk is shown. Between two lines stands a word of its own: no phrase reaches across.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct

from doorward.sessions.catalogue.rows import IndexLine

MAX_LINE: Final = 4096
"""Characters of a line that are kept."""
CHUNK_LINES, CHUNK_CHARACTERS = 64, 4096
SHIFT: Final = 20
"""Bits of the number of a chunk in its id; those above are the id of its session."""
MAX_CHUNKS: Final = (1 << SHIFT) - 1
BETWEEN: Final = "\ue000"
"""Stands between two lines. The tokenizer takes characters for private use for letters."""
_SEPARATOR = f"\n{BETWEEN}\n"
_SHOWN = {**dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), ord(BETWEEN)], "\ufffd"), ord("\t"): " "}
_LEVEL = 3
_MARK = 8
"""Bytes by which a line is known again."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[IndexLine]).decode


def ids_of(session: int) -> tuple[int, int]:
    """Return the first and the last id that chunks of a session can have."""
    return session << SHIFT, session << SHIFT | MAX_CHUNKS


def indexed_text(lines: Iterable[IndexLine]) -> str:
    """Return what the index gets of a chunk; the same may be needed to take it out again."""
    return _SEPARATOR.join(line.text for line in lines)


def packed(lines: list[IndexLine]) -> bytes:
    """Return lines as they are kept."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(_pack(lines))


def unpacked(body: bytes) -> list[IndexLine]:
    """Return the lines of a chunk."""
    return _unpack(zstandard.ZstdDecompressor().decompress(body))


def cleaned(lines: Iterable[IndexLine]) -> list[IndexLine]:
    """Return lines as they are kept: of limited length, without control characters and the word between two, none empty."""
    kept = (IndexLine(line.at, line.kind, _shown(line.text[:MAX_LINE]).strip()) for line in lines)
    return [line for line in kept if line.text]


def _shown(text: str) -> str:
    return text if text.isprintable() else text.translate(_SHOWN)  # the second takes its time


class TextMark(Struct, frozen=True):
    """Up to which time lines of a kind came, and by what those of that very time are known again."""

    at: int = -1
    seen: bytes = b""


def unknown(lines: Sequence[IndexLine], kind: str, mark: TextMark) -> tuple[list[IndexLine], TextMark]:
    """Return the lines of a kind that did not come before, and up to where they came now. Times of a kind never go back."""
    fresh: list[IndexLine] = []
    at = mark.at
    before = {mark.seen[place : place + _MARK] for place in range(0, len(mark.seen), _MARK)}
    here: set[str] = set()
    for line in lines:
        if line.kind != kind or line.at < at:
            continue
        if line.at > at:
            at, before, here = line.at, set(), set()
        elif line.text in here or (before and _digest(line.text) in before):
            continue
        here.add(line.text)
        fresh.append(line)
    return fresh, TextMark(at, b"".join(sorted(before | {_digest(text) for text in here})))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_MARK).digest()


def pieces(lines: Sequence[IndexLine]) -> Iterator[list[IndexLine]]:
    """Yield lines in the chunks that they are kept in."""
    piece: list[IndexLine] = []
    size = 0
    for line in lines:
        if piece and (len(piece) >= CHUNK_LINES or size + len(line.text) > CHUNK_CHARACTERS):
            yield piece
            piece, size = [], 0
        piece.append(line)
        size += len(line.text)
    if piece:
        yield piece
