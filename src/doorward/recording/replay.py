"""A recorded terminal from any moment on: the screen as it was then, and what followed. Needs the minute before it, no more."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from doorward.recording.channels import DEFAULT_SIZE, shown
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, terminal_size
from doorward.recording.terminal import AvtTerminal

VERSION: Final = 2
"""Of asciicast (https://docs.asciinema.org/manual/asciicast/v2/): times are seconds since the moment that it begins at."""
_OUTPUT = frozenset({RecordKind.OUTPUT, RecordKind.ERROR_OUTPUT, RecordKind.KEYFRAME})
_SIZE = frozenset({RecordKind.RESIZE, RecordKind.REQUEST})


class Moment(Struct, frozen=True):
    """Something that was shown. ``at``: ms since the session began; ``code``: ``o`` output, ``r`` size (``80x24``)."""

    at: int
    code: str
    data: bytes


def moments(reader: TrailReader, channel: int, since: int = 0) -> Iterator[Moment]:
    """Yield what a channel showed from a moment on: the size first, then the screen as it was, if anything was on it.

    Raises TrailDamagedError.
    """
    before = _Before()
    records = shown(reader, channel, since)
    first = next((record for record in records if not before.takes(record, since)), None)
    yield from before.moments(since)
    size = before.size
    while first is not None:
        if first.kind in _OUTPUT:
            yield Moment(first.at, "o", first.data)
        elif first.kind in _SIZE and (new := terminal_size(first.content)) is not None and new != size:
            size = new
            yield Moment(first.at, "r", _written(new))
        first = next(records, None)


def replay(reader: TrailReader, channel: int, since: int = 0) -> Iterator[str]:
    """Yield the lines of an asciicast of a channel from a moment on, in ms since the session began. What was typed is not in it.

    Raises TrailDamagedError.
    """
    seen = moments(reader, channel, since)
    yield _line(_head(reader, next(seen).data, since))
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for one in seen:
        text = decoder.decode(one.data) if one.code == "o" else one.data.decode()
        if text:
            yield _line([round((one.at - since) / 1000, 3), one.code, text])


def _head(reader: TrailReader, size: bytes, since: int) -> dict[str, Any]:
    columns, _, rows = size.decode().partition("x")
    head: dict[str, Any] = {"version": VERSION, "width": int(columns), "height": int(rows)}
    began = str(reader.header.get("started", ""))
    try:
        head["timestamp"] = int(datetime.fromisoformat(began).timestamp() + since / 1000)
        head["title"] = f"Session of {began}"
    except (ValueError, OverflowError):
        pass
    return head


def _written(size: tuple[int, int]) -> bytes:
    return b"%dx%d" % size


class _Before:
    """What was shown up to the moment that a replay begins at."""

    def __init__(self) -> None:
        self.size = DEFAULT_SIZE
        self._terminal: AvtTerminal | None = None

    def takes(self, record: Record, since: int) -> bool:
        """Take a record of before the moment; whether it was one."""
        if (
            record.at >= since
            and record.kind is not RecordKind.KEYFRAME
            and not (record.kind in _SIZE and self._terminal is None)
        ):
            return False
        if record.kind in _SIZE:
            self.size = terminal_size(record.content) or self.size
            if self._terminal is not None:
                self._terminal.resize(*self.size)
        elif record.kind in _OUTPUT:
            if self._terminal is None:
                self._terminal = AvtTerminal(*self.size)
            self._terminal.feed(record.data)
        return True

    def moments(self, since: int) -> Iterator[Moment]:
        """Yield the size, and the screen."""
        yield Moment(since, "r", _written(self.size))
        if self._terminal is not None:
            yield Moment(since, "o", self._terminal.drawing())


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
