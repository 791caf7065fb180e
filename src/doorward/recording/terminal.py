"""A terminal that nobody looks at: it follows the output of a session, gives its text, and draws itself anew.

The emulator stands behind a port, since it is young: asciinema's own engine, through pyavt.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from avt._avt import Vt

MIN_SIZE, MAX_SIZE = 1, 1000
"""Columns and rows that are emulated; sessions with other sizes are cut to them."""


# A wide character has no place in one column: there the emulator panics.
_MIN_COLUMNS = 2

_Got = TypeVar("_Got")


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

        self._size = _fit(columns, rows)
        self._live: Vt | None = Vt(*self._size, 0)
        self._drawing = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def rest(self) -> None:
        """Give up the memory of the emulator, 100 kB; the next use draws the screen again."""
        if self._live is not None:
            self._drawing, self._live = self._safely(lambda vt: str(vt.dump()), ""), None

    @property
    def _vt(self) -> Vt:
        if self._live is None:
            from avt._avt import Vt

            self._live = Vt(*self._size, 0)
            self._live.feed_str(self._drawing)
        return self._live

    def _safely(self, act: Callable[[Vt], _Got], otherwise: _Got) -> _Got:
        """Do something with the emulator. Where it panics, which is no `Exception` to Python, an empty screen takes its place.

        The output itself is recorded whatever becomes of its picture.
        """
        try:
            return act(self._vt)
        except BaseException as error:
            if type(error).__name__ != "PanicException":
                raise
            self._live, self._drawing = None, ""
            return otherwise

    def feed(self, output: bytes) -> list[str]:
        """Take output; return the lines that went out of sight at the top."""
        text = self._decoder.decode(output)
        return self._safely(lambda vt: [line.text.rstrip() for line in vt.feed_str(text)[1]], [])

    def resize(self, columns: int, rows: int) -> list[str]:
        """Take another size; return the lines that went out of sight."""
        vt, self._size = self._vt, _fit(columns, rows)
        return self._safely(lambda _: [line.text.rstrip() for line in vt.resize(*self._size)[1]], [])

    def drawing(self) -> bytes:
        """Return the output that draws the present screen on an empty terminal of the same size."""
        # Many terminals take the one-character form of ESC [ for no control at all.
        return self._safely(lambda vt: str(vt.dump()), "").replace("\x9b", "\x1b[").encode()

    def lines(self) -> list[str]:
        """Return the screen as text, without blanks at the ends of lines."""
        return self._safely(lambda vt: [line.text.rstrip() for line in vt.view()], [""] * self._size[1])

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._size

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column of the cursor, from 0."""
        return self._vt.cursor.row, self._vt.cursor.col


def _fit(columns: int, rows: int) -> tuple[int, int]:
    return max(_MIN_COLUMNS, min(columns, MAX_SIZE)), max(MIN_SIZE, min(rows, MAX_SIZE))
