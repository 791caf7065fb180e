"""A terminal that nobody looks at: it follows the output of a session, gives its text, and draws itself anew.

The emulator stands behind a port, since it is young: asciinema's own engine, through pyavt.
"""

from __future__ import annotations

import codecs
from typing import Protocol

MIN_SIZE, MAX_SIZE = 1, 1000
"""Columns and rows that are emulated; sessions with other sizes are cut to them."""


class Terminal(Protocol):
    """A terminal of some size. Output comes in pieces that may end inside a character."""

    def feed(self, output: bytes) -> list[str]:
        """Take output; return the lines that went out of sight at the top."""

    def resize(self, columns: int, rows: int) -> list[str]:
        """Take another size; return the lines that went out of sight."""

    def drawing(self) -> bytes:
        """Return the output that draws the present screen on an empty terminal of the same size."""

    def lines(self) -> list[str]:
        """Return the screen as text, without blanks at the ends of lines."""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""


class AvtTerminal:
    """The port on asciinema's engine."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        from avt._avt import Vt

        self._vt = Vt(_fit(columns), _fit(rows), 0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, output: bytes) -> list[str]:
        """Take output; return the lines that went out of sight at the top."""
        _, gone = self._vt.feed_str(self._decoder.decode(output))
        return [line.text.rstrip() for line in gone]

    def resize(self, columns: int, rows: int) -> list[str]:
        """Take another size; return the lines that went out of sight."""
        _, gone = self._vt.resize(_fit(columns), _fit(rows))
        return [line.text.rstrip() for line in gone]

    def drawing(self) -> bytes:
        """Return the output that draws the present screen on an empty terminal of the same size."""
        # Many terminals take the one-character form of ESC [ for no control at all.
        return str(self._vt.dump()).replace("\x9b", "\x1b[").encode()

    def lines(self) -> list[str]:
        """Return the screen as text, without blanks at the ends of lines."""
        return [line.text.rstrip() for line in self._vt.view()]

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        columns, rows = self._vt.size
        return columns, rows

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""
        return self._vt.cursor.row, self._vt.cursor.col


def _fit(size: int) -> int:
    return max(MIN_SIZE, min(size, MAX_SIZE))
