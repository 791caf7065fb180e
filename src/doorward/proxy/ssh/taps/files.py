"""The contents of files that pass: their SHA-256, and the contents themselves where the policy keeps them.

Programs write and read files from the beginning to the end, but may have several pieces on their way at once, which can pass in
another order. A few pieces wait for the one before them. Who really jumps about in a file gets a record for each run of bytes
without a gap, so that nothing passes unrecorded.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from doorward.proxy.ssh.taps.channel import ChannelLog
from doorward.recording.records import RecordKind

MAX_EARLY: Final = 2 << 20
"""Bytes that may wait for a piece before them."""
MAX_PIECES: Final = 128


class FileContent:
    """What passes of one file in one direction. ``operation``: ``upload`` or ``download``."""

    def __init__(self, log: ChannelLog, operation: str, path: str, *, keep: bool) -> None:
        self._log, self._operation, self._path, self._keep = log, operation, path, keep
        self._early: dict[int, bytes] = {}
        self._early_size = 0
        self._start = self._next = 0
        self._digest = hashlib.sha256()
        self._number = log.next_file() if keep else None
        self._runs = 0
        self.size = 0
        """Bytes in all."""

    def add(self, at: int, offset: int, data: bytes) -> None:
        """Take bytes of the file."""
        self.size += len(data)
        if offset == self._next:
            self._run(at, data)
            while self._next in self._early:
                early = self._early.pop(self._next)
                self._early_size -= len(early)
                self._run(at, early)
            return
        has_room = self._early_size + len(data) <= MAX_EARLY and len(self._early) < MAX_PIECES
        if offset > self._next and offset not in self._early and has_room:
            self._early[offset] = data
            self._early_size += len(data)
            return
        self._scatter(at)
        self._begin(at, offset)
        self._run(at, data)

    def _run(self, at: int, data: bytes) -> None:
        self._digest.update(data)
        self._next += len(data)
        if self._number is not None:
            self._log.content_of(at, self._number, data)

    def _begin(self, at: int, offset: int) -> None:
        """Go on elsewhere in the file: what came before is a run of its own."""
        if self._next > self._start:
            self._log.facts(at, RecordKind.FILE, self._facts("ok", part=True))
            self._runs += 1
            self._number = self._log.next_file() if self._keep else None
        self._start = self._next = offset
        self._digest = hashlib.sha256()

    def _scatter(self, at: int) -> None:
        """Give up waiting: each piece that came early is a run, or the beginning of one."""
        for offset in sorted(self._early):
            if offset != self._next:
                self._begin(at, offset)
            self._run(at, self._early[offset])
        self._early.clear()
        self._early_size = 0

    def close(self, at: int, result: str) -> dict[str, Any]:
        """End: record the file, and return what was recorded."""
        if self._early:
            self._scatter(at)
        facts = self._facts(result, part=bool(self._runs or self._start))
        self._log.facts(at, RecordKind.FILE, facts)
        return facts

    def _facts(self, result: str, *, part: bool) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "operation": self._operation, "path": self._path, "result": result, "sha256": self._digest.hexdigest(),
            "size": self._next - self._start,
        }  # fmt: skip
        if part:
            facts["offset"] = self._start
        if self._number is not None:
            facts["file"] = self._number
        return facts
