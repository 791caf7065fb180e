"""A recorded terminal from any moment on: the screen as it was then, and what followed. Needs the minute before it, no more."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from doorward.recording.channels import DEFAULT_SIZE, shown
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, terminal_size
from doorward.recording.terminal import AvtTerminal

VERSION: Final = 2
"""Of asciicast (https://docs.asciinema.org/manual/asciicast/v2/): times are seconds since the moment that it begins at."""
_OUTPUT = frozenset({RecordKind.OUTPUT, RecordKind.ERROR_OUTPUT, RecordKind.KEYFRAME})
_SIZE = frozenset({RecordKind.RESIZE, RecordKind.REQUEST})


def replay(reader: TrailReader, channel: int, since: int = 0) -> Iterator[str]:
    """Yield the lines of an asciicast of a channel from a moment on, in ms since the session began. What was typed is not in it.

    Raises TrailDamagedError.
    """
    before = _Before()
    records = shown(reader, channel, since)
    first = next((record for record in records if not before.takes(record, since)), None)
    yield from before.lines(reader.header, since)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    size = before.size
    while first is not None:
        event: list[str] | None = None
        if first.kind in _OUTPUT:
            text = decoder.decode(first.data)
            event = ["o", text] if text else None
        elif first.kind in _SIZE and (new := terminal_size(first.content)) is not None and new != size:
            size, event = new, ["r", f"{new[0]}x{new[1]}"]
        if event is not None:
            yield _line([round((first.at - since) / 1000, 3), *event])
        first = next(records, None)


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

    def lines(self, header: dict[str, Any], since: int) -> Iterator[str]:
        """Yield the head of the asciicast, and the screen."""
        columns, rows = self.size
        head: dict[str, Any] = {"version": VERSION, "width": columns, "height": rows}
        began = str(header.get("started", ""))
        try:
            head["timestamp"] = int(datetime.fromisoformat(began).timestamp() + since / 1000)
            head["title"] = f"Session of {began}"
        except (ValueError, OverflowError):
            pass
        yield _line(head)
        if self._terminal is not None:
            yield _line([0, "o", self._terminal.drawing().decode()])


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"
