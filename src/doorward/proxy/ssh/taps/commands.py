"""Reads the commands of a terminal off its screen, as editing keys, completion and history have made them.

At the first key after output the place of the cursor is remembered: there the command begins. Once its Enter comes back as a line
feed, whatever stands from there on is the command; at the Enter itself its last characters may still be on their way. Who types
ahead has no such place; the prompts that were seen before tell where the command begins then. Marks of the shell (OSC 133), where
there are any, are exact and count alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from doorward.recording.terminal import Terminal

PATIENCE: Final = 10_000
"""Milliseconds after which an Enter has no line feed any more."""
MAX_ROWS: Final = 64
"""Rows of a command."""
_MAX_PROMPTS: Final = 16
_MAX_TRIES: Final = 32
"""Line feeds at which a command that was typed ahead is looked for."""
_PROMPT_END = re.compile("[$#%>:\u276f\u00bb\\])] ?\\Z")
_PATH = re.compile(r"[~/][^\s:$#%>)\]]*")


class Commands:
    """The commands of one terminal. Feed output up to and with each line feed that `wants`, then ask."""

    def __init__(self) -> None:
        self._fresh = True
        self._place: tuple[int, int] | None = None
        self._prompt = ""
        self._enters = 0
        self._entered = 0
        self._tries = 0
        self._marked = False
        self._prompts: list[re.Pattern[str]] = []

    def typed(self, at: int, data: bytes, terminal: Terminal) -> None:
        """Take what was typed, before any of it is shown."""
        if self._marked:
            return
        if self._fresh and self._place is None and not self._enters:
            self._remember(terminal)
        self._fresh = False
        if b"\x03" in data:
            self._forget()
            return
        entered = data.count(b"\r") or data.count(b"\n")
        if entered:
            self._enters, self._entered, self._tries = min(self._enters + entered, _MAX_TRIES), at, 0

    def _remember(self, terminal: Terminal) -> None:
        row, column = terminal.cursor
        self._place = row, column
        self._prompt = _left(terminal.lines()[row], column)

    def _forget(self) -> None:
        self._place, self._enters = None, 0

    @property
    def wants(self) -> bool:
        """Whether a line feed may end a command."""
        return self._enters > 0

    def shown(self, gone: int) -> None:
        """Take that output was fed, and how many rows went out of sight."""
        self._fresh = True
        if self._place is not None and gone:
            self._place = self._place[0] - gone, self._place[1]

    def left_screen(self) -> None:
        """Take that a program has the whole screen for itself: what is typed there is no command."""
        self._forget()

    def line_feed(self, at: int, terminal: Terminal) -> str | None:
        """Return the command whose Enter comes back now, before the line feed is fed; None: there is none."""
        if not self._enters:
            return None
        if at - self._entered > PATIENCE:
            self._forget()
            return None
        lines, row = terminal.lines(), terminal.cursor[0]
        begin = self._begin(lines, row, terminal.size[0])
        command = _joined(lines, begin[0], row, len(begin[1]), terminal.size[0]) if begin is not None else ""
        if begin is None or not (command or _PROMPT_END.search(begin[1])):  # typed ahead: no line with a prompt yet
            self._place = None
            self._tries += 1
            if self._tries > _MAX_TRIES:
                self._forget()
            return None
        self._enters -= 1
        self._place, self._tries = None, 0
        for prompt in self._prompts:  # an Enter before it was answered by no line feed, such as behind a password
            if match := prompt.match(command + " "):
                command = command[match.end() :]
                break
        self._learn(begin[1])
        return command

    def _begin(self, lines: Sequence[str], row: int, columns: int) -> tuple[int, str] | None:
        """Return the row where the command begins, and the prompt before it."""
        known = self._known(lines, row, columns)
        if self._place is None:
            return known
        start, column = self._place
        if not _PROMPT_END.search(self._prompt) and known is not None:
            return known  # the first key came before the prompt
        if self._prompt:
            for found in (start, *range(row, max(-1, row - MAX_ROWS), -1)):
                if 0 <= found <= row and _padded(lines[found], self._prompt).startswith(self._prompt):
                    return found, self._prompt
            return known
        start = max(0, min(start, row))
        return start, _left(lines[start], column)

    def _known(self, lines: Sequence[str], row: int, columns: int) -> tuple[int, str] | None:
        """Return where a prompt stands that was seen before, from the cursor upwards while rows are full."""
        for found in range(row, max(-1, row - MAX_ROWS), -1):
            if found < row and _width(lines[found]) < columns - 1:
                break
            for prompt in self._prompts:
                if match := prompt.match(lines[found] + " "):
                    return found, match.group()
        return None

    def _learn(self, prompt: str) -> None:
        if not _PROMPT_END.search(prompt):
            return
        parts, at = [], 0
        for path in _PATH.finditer(prompt):  # the directory changes, the rest stays
            parts += [re.escape(prompt[at : path.start()]), r"[~/][^\s:$#%>)\]]*"]
            at = path.end()
        pattern = re.compile("".join([*parts, re.escape(prompt[at:])]))
        if pattern not in self._prompts:
            self._prompts = [pattern, *self._prompts[: _MAX_PROMPTS - 1]]

    def prompt_ends(self, terminal: Terminal) -> None:
        """Take the mark behind a prompt: what follows is typed."""
        self._marked, self._enters = True, 0
        self._place = terminal.cursor

    def command_runs(self, terminal: Terminal) -> str | None:
        """Take the mark of a command that runs; return the command."""
        self._marked = True
        if self._place is None:
            return None
        (start, column), self._place = self._place, None
        lines, row = terminal.lines(), terminal.cursor[0]
        start = max(0, min(start, row))
        return _joined(lines, start, row, len(_left(lines[start], column)), terminal.size[0])


def _padded(line: str, prompt: str) -> str:
    """Return a line with the blanks at its end that a prompt needs; lines of a screen have none."""
    return line + " " * (len(prompt) - len(line))


def _joined(lines: Sequence[str], start: int, row: int, begin: int, columns: int) -> str:
    """Return the text from a place on; rows that are full go on in the next one."""
    parts = [lines[start][begin:]]
    for before, line in pairwise(lines[start : min(row + 1, start + MAX_ROWS)]):
        parts += ["" if _width(before) >= columns - 1 else "\n", line]
    return "".join(parts).strip()


def _left(line: str, column: int) -> str:
    """Return what stands left of a column; some characters take two, some none."""
    width = 0
    for index, character in enumerate(line):
        if width >= column:
            return line[:index]
        width += _cells(character)
    return line + " " * (column - width)


def _width(line: str) -> int:
    return sum(map(_cells, line))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
