"""The text of sessions: lines in chunks, compressed, and the index over them.

A chunk is some dozens of lines of one channel. The index knows chunks, so that a word that is in every line costs little; which
line it was is found out when the chunk is shown. Between two lines stands a word of its own: no phrase reaches across.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct

from doorward.sessions.catalogue.rows import IndexLine
from doorward.sessions.catalogue.tables import SHIFT

MAX_LINE: Final = 4096
"""Characters of a line that are kept."""
CHUNK_LINES, CHUNK_CHARACTERS = 64, 4096
BETWEEN: Final = "\ue000"
"""Stands between two lines. The tokenizer takes characters for private use for letters."""
_SEPARATOR = f"\n{BETWEEN}\n"
_SHOWN = {**dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), ord(BETWEEN)], "\ufffd"), ord("\t"): " "}
MAX_CHUNKS: Final = (1 << SHIFT) - 1
_LEVEL = 3
_MARK = 8
"""Bytes by which a line is known again."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[IndexLine]).decode


class Chunk(Struct, frozen=True):
    """Lines of one channel, in order."""

    id: int
    channel: int
    lines: list[IndexLine]


def indexed_text(lines: Iterable[IndexLine]) -> str:
    """Return what the index gets of a chunk; the same is needed to take it out again."""
    return _SEPARATOR.join(line.text for line in lines)


def cleaned(lines: Iterable[IndexLine]) -> list[IndexLine]:
    """Return lines as they are kept: of limited length, without control characters and the word between two, none empty."""
    kept = (IndexLine(line.at, line.kind, _shown(line.text[:MAX_LINE]).strip()) for line in lines)
    return [line for line in kept if line.text]


def _shown(text: str) -> str:
    return text if text.isprintable() else text.translate(_SHOWN)  # the second takes its time


def unknown(connection: sqlite3.Connection, session: int, channel: int, lines: Sequence[IndexLine]) -> list[IndexLine]:
    """Return the lines that did not come before, and note that they came now. Times of a kind never go back."""
    fresh: list[IndexLine] = []
    for kind in {line.kind for line in lines}:
        where = (session, channel, kind)
        sql = "SELECT at, seen FROM marks WHERE session = ? AND channel = ? AND kind = ?"
        at, seen = connection.execute(sql, where).fetchone() or (-1, b"")
        before = {seen[place : place + _MARK] for place in range(0, len(seen), _MARK)}
        here: set[str] = set()
        for line in lines:
            if line.kind != kind or line.at < at:
                continue
            if line.at > at:
                at, before, here = line.at, set(), set()
            elif line.text in here or (before and _mark(line) in before):
                continue
            here.add(line.text)
            fresh.append(line)
        marks = before | {_mark(IndexLine(at, kind, text)) for text in here}
        connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)", (*where, at, b"".join(sorted(marks))))
    return sorted(fresh, key=lambda line: line.at)


def _mark(line: IndexLine) -> bytes:
    return hashlib.blake2b(line.text.encode(), digest_size=_MARK).digest()


def add(connection: sqlite3.Connection, session: int, channel: int, lines: Sequence[IndexLine]) -> None:
    """Keep and index lines. Beyond a million chunks of one session nothing is kept any more."""
    first = session << SHIFT
    sql = "SELECT max(id) FROM chunks WHERE id BETWEEN ? AND ?"
    (last,) = connection.execute(sql, (first, first | MAX_CHUNKS)).fetchone()
    number = first if last is None else last + 1
    packer = zstandard.ZstdCompressor(level=_LEVEL)
    for piece in _pieces(lines):
        if number > first | MAX_CHUNKS:
            return
        connection.execute("INSERT INTO chunks VALUES (?, ?, ?)", (number, channel, packer.compress(_pack(piece))))
        connection.execute("INSERT INTO text_index (rowid, lines) VALUES (?, ?)", (number, indexed_text(piece)))
        number += 1


def _pieces(lines: Sequence[IndexLine]) -> Iterator[list[IndexLine]]:
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


def remove(connection: sqlite3.Connection, session: int) -> None:
    """Take the text of a session out of chunks and index."""
    for chunk in chunks(connection, session):
        sql = "INSERT INTO text_index (text_index, rowid, lines) VALUES ('delete', ?, ?)"
        connection.execute(sql, (chunk.id, indexed_text(chunk.lines)))
    first = session << SHIFT
    connection.execute("DELETE FROM chunks WHERE id BETWEEN ? AND ?", (first, first | MAX_CHUNKS))


def chunks(connection: sqlite3.Connection, session: int, match: str | None = None) -> Iterator[Chunk]:
    """Yield the chunks of a session in order; only those that fit an expression of FTS5, if one is given."""
    first = session << SHIFT
    between: tuple[int | str, ...] = (first, first | MAX_CHUNKS)
    sql = "SELECT id, channel, body FROM chunks WHERE id BETWEEN ? AND ? ORDER BY id"
    if match is not None:
        sql = (
            "SELECT chunks.id, channel, body FROM text_index JOIN chunks ON chunks.id = text_index.rowid"
            " WHERE text_index MATCH ? AND text_index.rowid BETWEEN ? AND ? ORDER BY text_index.rowid"
        )
        between = (match, *between)
    unpacker = zstandard.ZstdDecompressor()
    for number, channel, body in connection.execute(sql, between):
        yield Chunk(number, channel, _unpack(unpacker.decompress(body)))
