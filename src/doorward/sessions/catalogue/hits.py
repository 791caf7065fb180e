"""Where in the text of a session something was found: the very lines, with what is around the words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from doorward.sessions.catalogue.criteria import Words
from doorward.sessions.catalogue.results import Hit
from doorward.sessions.catalogue.rows import IndexLine
from doorward.sessions.catalogue.text import unpacked
from doorward.sessions.catalogue.tokens import TOKENIZER, expression

SNIPPET_TOKENS: Final = 24
_BEGIN, _END = "\x02", "\x03"


def lines_with(words: Sequence[Words], chunks: Iterable[tuple[int, bytes]]) -> Iterator[Hit]:
    """Yield the lines of chunks that have some of the words; a chunk is its channel and what is kept of it."""
    wanted = " OR ".join(f"({expression(one)})" for one in words)
    finder = _LineFinder()
    try:
        for channel, body in chunks:
            yield from finder.find(channel, unpacked(body), wanted)
    finally:
        finder.close()


class _LineFinder:
    """Finds lines by the same means as the index: an index in memory of the lines of one chunk at a time."""

    def __init__(self) -> None:
        self._memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._memory.execute(f"CREATE VIRTUAL TABLE lines USING fts5 (line, tokenize = '{TOKENIZER}')")

    def find(self, channel: int, lines: Sequence[IndexLine], wanted: str) -> Iterator[Hit]:
        self._memory.execute("DELETE FROM lines")
        self._memory.executemany(
            "INSERT INTO lines (rowid, line) VALUES (?, ?)", [(n, line.text) for n, line in enumerate(lines)]
        )
        sql = "SELECT rowid, snippet(lines, 0, ?, ?, '…', ?) FROM lines WHERE lines MATCH ? ORDER BY rowid"
        for number, marked in self._memory.execute(sql, (_BEGIN, _END, SNIPPET_TOKENS, wanted)).fetchall():
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
