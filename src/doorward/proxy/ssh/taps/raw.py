"""Decoders of hostile bytes: they stop at what they can't follow, and from there everything is recorded as it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from doorward.proxy.ssh.taps.channel import ChannelLog, QuietTap
from doorward.proxy.ssh.taps.stream_tap import StreamTap
from doorward.recording.records import RecordKind

MAX_PATH = 4096
"""Characters of a path in a record."""


class UndecodableError(Exception):
    """The bytes are not what they should be, or more than is followed; the message is for the trail."""


class DecodingTap(QuietTap, ABC):
    """Base of decoders. They implement `decode`, `undecoded` and `finish`; standard error is recorded as it is."""

    def __init__(self, log: ChannelLog) -> None:
        self._log = log
        self._raw: StreamTap | None = None
        self._errors = StreamTap(log, is_shell=False)

    @abstractmethod
    def decode(self, at: int, data: bytes, *, down: bool) -> None:
        """Follow the bytes of one direction. Raises UndecodableError."""

    @abstractmethod
    def undecoded(self, *, down: bool) -> bytes:
        """Return, once, what has come in one direction and is in no record yet."""

    @abstractmethod
    def finish(self, at: int, result: str) -> dict[str, Any]:
        """End what is open; return facts for the end of the channel."""

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Decode, or record as it is."""
        if stream:
            self._errors.data(at, data, stream, down=down)
        elif self._raw is not None:
            self._raw.data(at, data, 0, down=down)
        else:
            try:
                self.decode(at, data, down=down)
            except UndecodableError as error:
                self._give_up(at, str(error))

    def _give_up(self, at: int, reason: str) -> None:
        self._log.facts(at, RecordKind.EVENT, {"event": "not_decoded", "reason": reason})
        self._facts = self.finish(at, "unknown")
        self._raw = StreamTap(self._log, is_shell=False, stock=None)
        for down in (False, True):
            if rest := self.undecoded(down=down):
                self._raw.data(at, rest, 0, down=down)

    def close(self, at: int) -> Mapping[str, Any]:
        """End."""
        self._errors.close(at)
        if self._raw is not None:
            return {**self._facts, **self._raw.close(at)}
        facts = self.finish(at, "unfinished")
        for down in (False, True):
            if rest := self.undecoded(down=down):
                self._log.content(at, RecordKind.OUTPUT if down else RecordKind.INPUT, rest)
        return facts


def path_text(raw: bytes) -> str:
    """Return a path for a record."""
    return raw[: 4 * MAX_PATH].decode("utf-8", "replace")[:MAX_PATH]
