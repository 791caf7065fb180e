"""A log for taps that keeps what they write."""

from __future__ import annotations

from itertools import count
from typing import Any

from doorward.proxy.ssh.taps.channel import ChannelLog, Tap
from doorward.recording.records import Record, RecordKind


class Log:
    def __init__(self, level: str = "screen") -> None:
        self.records: list[Record] = []
        self.lines: list[tuple[str, str]] = []
        numbers = count(1)
        self.channel = ChannelLog(1, level, self.records.append, self._line, lambda: next(numbers))

    def _line(self, channel: int, at: int, kind: str, line: str) -> None:
        self.lines.append((kind, line))

    def of(self, *kinds: RecordKind) -> list[Record]:
        return [record for record in self.records if record.kind in kinds]

    def data(self, *kinds: RecordKind) -> bytes:
        return b"".join(record.data for record in self.of(*kinds))

    def contents(self, kind: RecordKind) -> list[dict[str, Any]]:
        return [record.content for record in self.of(kind)]

    def text(self, kind: str) -> list[str]:
        return [line for found, line in self.lines if found == kind]


class Typist:
    """Somebody at a terminal, and the server's answers."""

    def __init__(self, tap: Tap, speed: int = 80) -> None:
        self.tap, self.at, self.speed = tap, 0, speed

    def shows(self, text: str | bytes, after: int = 5) -> None:
        self.at += after
        self.tap.data(self.at, text.encode() if isinstance(text, str) else text, 0, down=True)

    def types(self, text: str, echo: bool = True) -> None:
        for character in text:
            self.at += self.speed
            self.tap.data(self.at, character.encode(), 0, down=False)
            self.tap.settle(self.at)
            if character == "\r":
                self.shows("\r\n")
            elif echo:
                self.shows(character)

    def waits(self, milliseconds: int) -> None:
        self.at += milliseconds
        self.tap.settle(self.at)
