"""What every tap of a channel has: a log to write to, and what it is told. All of it runs in the thread of the recorder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from doorward.recording.records import Record, RecordKind, encode_json, varint
from doorward.sessions.rules import TEXT_KINDS

PIECE = 1 << 20
"""Bytes of content in one record, at most; a frame holds several."""
MAX_LINE = 4096
"""Characters of one line of text for the index."""


@dataclass(slots=True)
class ChannelLog:
    """Where a tap writes. ``number`` is that of the channel; ``level``: how much text is for the index (`Audit.text`)."""

    number: int
    level: str
    write: Callable[[Record], None]
    line: Callable[[int, int, str, str], None]
    """Takes channel, time, kind and line."""
    next_file: Callable[[], int]

    def content(self, at: int, kind: RecordKind, data: bytes) -> None:
        """Record bytes, in pieces that fit."""
        for start in range(0, len(data), PIECE):
            self.write(Record(at, kind, self.number, data[start : start + PIECE]))

    def content_of(self, at: int, number: int, data: bytes) -> None:
        """Record content of a kept file, in pieces that fit."""
        for start in range(0, len(data), PIECE):
            self.write(Record(at, RecordKind.FILE_CONTENT, self.number, varint(number) + data[start : start + PIECE]))

    def facts(self, at: int, kind: RecordKind, content: Mapping[str, Any]) -> None:
        """Record an object."""
        self.write(Record(at, kind, self.number, encode_json(dict(content))))

    def command(self, at: int, command: str) -> None:
        """Give the command of an exec channel to the index: everybody sees it in the row of the channel too."""
        if self.level != "none" and (plain := printable(command)):
            self.line(self.number, at, "command", plain)

    def text(self, at: int, kind: str, line: str) -> None:
        """Give a line to the index, where the policy wants lines of its kind."""
        if kind in TEXT_KINDS.get(self.level, ()) and (plain := printable(line)):
            self.line(self.number, at, kind, plain)


def printable(line: str) -> str:
    """Return a line without control characters and blanks around it, cut to what a line may have."""
    if not line.isprintable():
        line = "".join(character if character.isprintable() else " " for character in line)
    return line.strip()[:MAX_LINE]


class Tap(Protocol):
    """Follows one channel. An exception out of it ends the session."""

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Take data in order; ``stream`` 1 is standard error."""

    def requested(self, at: int, request: str, facts: Mapping[str, Any]) -> None:
        """Take a request that has been recorded already."""

    @property
    def waits(self) -> bool:
        """Whether something waits for more to come."""

    @property
    def has_screen(self) -> bool:
        """Whether there is a terminal."""

    def settle(self, at: int) -> None:
        """Decide what waited for more to come, as far as it has waited long enough. Comes several times a second at work."""

    def rest(self, at: int) -> None:
        """Give up memory, if nothing has happened for a while."""

    def close(self, at: int) -> Mapping[str, Any]:
        """End; return what is to stand in the record of the end."""

    def drawing(self) -> bytes | None:
        """Return what draws the terminal as it is; None: there is none."""

    def size(self) -> tuple[int, int]:
        """Return columns and rows of the terminal."""


class QuietTap:
    """Follows nothing: for what is not audited, and the base of what has no terminal."""

    waits = False
    has_screen = False

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Take data."""

    def requested(self, at: int, request: str, facts: Mapping[str, Any]) -> None:
        """Take a request."""

    def settle(self, at: int) -> None:
        """Nothing waits."""

    def rest(self, at: int) -> None:
        """There is nothing to give up."""

    def close(self, at: int) -> Mapping[str, Any]:
        """End."""
        del at
        return {}

    def drawing(self) -> bytes | None:
        """Return None: there is no terminal."""
        return None

    def size(self) -> tuple[int, int]:
        """Return the size of an ordinary terminal."""
        return 80, 24
