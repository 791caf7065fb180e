"""Shows a recorded or running terminal in the terminal of whoever watches.

Nothing that a session sent gets there as it is: it goes into an emulator, and what that shows is drawn. So no escape sequence
of a hostile server sets a title, fills the clipboard, asks the terminal for an answer or leaves it in another state.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TextIO

import typer

from doorward.recording.terminal import AvtTerminal

FRAME_SECONDS: Final = 0.03
"""Between two drawings, at least."""
_BEGIN, _END = "\x1b[?2026h\x1b[0m\x1b[H\x1b[2J", "\x1b[?2026l"
_LEAVE = "\x1b[?1l\x1b[0m\x1b[r\x1b[?25h"
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})\Z", re.ASCII)
_C1 = dict.fromkeys(range(0x80, 0xA0))

Event = tuple[float, str, str]
"""Seconds, code of asciicast (``o`` output, ``r`` size), data."""


class Player:
    """A terminal that is drawn into another one."""

    def __init__(self, columns: int, rows: int, out: TextIO | None = None) -> None:
        self._terminal = AvtTerminal(columns, rows)
        self._out = out or sys.stdout
        self._drawn = 0.0
        self._is_stale = True

    def take(self, code: str, data: str) -> None:
        """Take an event."""
        if code == "o":
            self._terminal.feed(data.encode("utf-8", "replace"))
            self._is_stale = True
        elif code == "r":
            size = _SIZE.match(data)
            if size is not None:
                self._terminal.resize(int(size[1]), int(size[2]))
                self._is_stale = True

    def draw(self, *, now: bool = False) -> None:
        """Draw the terminal, if something changed, and not too soon after the last time."""
        moment = time.monotonic()
        if self._is_stale and (now or moment - self._drawn >= FRAME_SECONDS):
            drawing = self._terminal.drawing().decode().translate(_C1)
            self._out.write(_BEGIN + drawing + _END)
            self._out.flush()
            self._drawn, self._is_stale = moment, False

    def leave(self) -> None:
        """Draw the last screen, and leave the terminal as it was found, the cursor below."""
        self.draw(now=True)
        rows = min(self._terminal.size[1], shutil.get_terminal_size().lines)
        self._out.write(f"{_LEAVE}\x1b[{rows};1H\n")
        self._out.flush()


def play(
    events: Iterable[Event],
    player: Player,
    speed: float,
    max_pause: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Show events at their pace. ``speed``: times as fast; ``max_pause``: seconds that nothing happens, at most."""
    before = 0.0
    try:
        for at, code, data in events:
            pause = min(at - before, max_pause) / speed
            before = at
            if pause > FRAME_SECONDS:
                player.draw(now=True)
            if pause > 0:
                sleep(pause)
            player.take(code, data)
            player.draw()
    finally:
        player.leave()


def fits(columns: int, rows: int) -> bool:
    """Whether the terminal of whoever watches is large enough."""
    own = shutil.get_terminal_size()
    return own.columns >= columns and own.lines >= rows


def drawn_replay(lines: Iterator[str], speed: float, max_pause: float) -> None:
    """Show an asciicast of version 2, line by line. Raises Exit where it is interrupted."""
    head = json.loads(next(lines))
    columns, rows = int(head["width"]), int(head["height"])
    if not fits(columns, rows):
        typer.echo(f"The session's terminal is {columns}x{rows}, larger than this one.", err=True)
    try:
        play(_events(lines), Player(columns, rows), speed, max_pause)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _events(lines: Iterable[str]) -> Iterator[Event]:
    for line in lines:
        at, code, data = json.loads(line)
        yield float(at), str(code), str(data)
