"""Where in the text of a session something was found: the very lines, with what is around the words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, tzinfo
from typing import Final

import msgspec
import zstandard
from msgspec import Struct

from doorward.sessions.catalogue.conditions import Condition
from doorward.sessions.catalogue.query import parsed
from doorward.sessions.catalogue.rows import IndexLine
from doorward.sessions.catalogue.tables import SHIFT
from doorward.sessions.catalogue.text import MAX_CHUNKS

SNIPPET_TOKENS: Final = 24
_BEGIN, _END = "\x02", "\x03"
_unpack = msgspec.msgpack.Decoder(list[IndexLine]).decode


class Hit(Struct, frozen=True):
    """A line with a word that was looked for. ``at``: ms since the session began; ``marks``: begin and end of each word."""

    channel: int
    at: int
    kind: str
    snippet: str
    marks: tuple[tuple[int, int], ...]


def hits(connection: sqlite3.Connection, session: int, text: str, zone: tzinfo = UTC) -> Iterator[Hit]:
    """Yield the lines of a session with words of a query, in places where all of it holds. Raises QueryRefusedError.

    A place is a chunk: some dozens of lines that follow each other.
    """
    first, last = session << SHIFT, session << SHIFT | MAX_CHUNKS

    def in_chunks(expression: str) -> Condition:
        sql = "id IN (SELECT rowid FROM text_index WHERE text_index MATCH ? AND rowid BETWEEN ? AND ?)"
        return Condition(sql, (expression, first, last))

    query = parsed(text, zone, in_chunks, has_fields=False)
    if not query.words:
        return
    sql = f"SELECT channel, body FROM chunks WHERE id BETWEEN ? AND ? AND {query.condition.sql} ORDER BY id"
    expression = " OR ".join(f"({word})" for word in query.words)
    unpacker, finder = zstandard.ZstdDecompressor(), _LineFinder()
    try:
        for channel, body in connection.execute(sql, (first, last, *query.condition.values)):
            yield from finder.find(channel, _unpack(unpacker.decompress(body)), expression)
    finally:
        finder.close()


class _LineFinder:
    """Finds lines by the same means as the index: an index in memory of the lines of one chunk at a time."""

    def __init__(self) -> None:
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._memory.execute("CREATE VIRTUAL TABLE lines USING fts5 (line, tokenize = 'unicode61 remove_diacritics 2')")

    def find(self, channel: int, lines: Sequence[IndexLine], expression: str) -> Iterator[Hit]:
        self._memory.execute("DELETE FROM lines")
        self._memory.executemany(
            "INSERT INTO lines (rowid, line) VALUES (?, ?)", [(n, line.text) for n, line in enumerate(lines)]
        )
        sql = "SELECT rowid, snippet(lines, 0, ?, ?, '…', ?) FROM lines WHERE lines MATCH ? ORDER BY rowid"
        for number, marked in self._memory.execute(sql, (_BEGIN, _END, SNIPPET_TOKENS, expression)).fetchall():
            line = lines[number]
            yield Hit(channel, line.at, line.kind, *_unmarked(marked))

    def close(self) -> None:
        self._memory.close()


def _unmarked(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a snippet without the marks of words, and where they were."""
    parts: list[str] = []
    marks: list[tuple[int, int]] = []
    size, begin = 0, None
    for letter in marked:
        if letter == _BEGIN:
            begin = size
        elif letter == _END:
            if begin is not None:
                marks.append((begin, size))
            begin = None
        else:
            parts.append(letter)
            size += 1
    return "".join(parts), tuple(marks)
