"""Follows shells and programs without a terminal: in full as long as a person could have read or typed it, then by digest.

A program without a terminal is a conversation or a pipe for bulk, and nobody can tell before. So each direction has a stock of
bytes that are recorded in full; it fills up again with time. What goes beyond it is counted and hashed, and the trail says how
much is missing where (an event ``not_kept`` with bytes and SHA-256). What is typed into a *shell* is always kept in full: those
are its commands. Programs that only copy (rsync, git) get a small stock, since contents of copies are kept by policy only. What a
decoder of file transfers could not follow is kept in full, whatever its size.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from doorward.proxy.ssh.taps.channel import MAX_LINE, ChannelLog, QuietTap
from doorward.proxy.ssh.taps.echo import asks_for_secret
from doorward.proxy.ssh.taps.screen_text import Budget, ScreenText
from doorward.recording.records import RecordKind

STOCK: Final = 4 << 20
"""Bytes of each direction that are recorded in full."""
COPY_STOCK: Final = 64 << 10
"""The same for programs that only copy, where files are not kept."""
REFILL: Final = 64
"""Bytes that come back in a millisecond."""
_MAX_GAP: Final = 1 << 30
"""Bytes after which a gap is told of although it goes on."""

_SHELL = re.compile(r"[;&|<>`$\n\\(){}]")
_COPY = re.compile(r"git-|rsync ")
_COPIES = frozenset({"git-upload-pack", "git-receive-pack", "git-upload-archive"})


def only_copies(command: str) -> bool:
    """Whether a command is rsync or git as their clients start them, and nothing else can hide behind it."""
    if len(command) > MAX_LINE or not _COPY.match(command) or _SHELL.search(command):
        return False
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    return len(words) > 1 and (words[0] in _COPIES or words[:2] == ["rsync", "--server"])


class _Direction:
    """One direction of a stream."""

    def __init__(self, log: ChannelLog, kind: RecordKind, stock: int | None) -> None:
        self._log, self._kind = log, kind
        self._budget = Budget(stock, REFILL) if stock is not None else None
        self._gap = 0
        self._gap_digest = hashlib.sha256()
        self.digest = hashlib.sha256()
        self.size = 0

    def take(self, at: int, data: bytes) -> bool:
        """Record or count; whether it was recorded."""
        self.digest.update(data)
        self.size += len(data)
        if self._budget is None or self._budget.take(at, len(data)):
            self.end_gap(at)
            self._log.content(at, self._kind, data)
            return True
        self._gap_digest.update(data)
        self._gap += len(data)
        if self._gap >= _MAX_GAP:
            self.end_gap(at)
        return False

    def end_gap(self, at: int) -> None:
        """Tell of what was left out."""
        if not self._gap:
            return
        content = {"bytes": self._gap, "event": "not_kept", "of": self._kind.name.lower(), "sha256": self._gap_digest.hexdigest()}
        self._log.facts(at, RecordKind.EVENT, content)
        self._gap, self._gap_digest = 0, hashlib.sha256()


class StreamTap(QuietTap):
    """A shell or a program without a terminal. ``stock`` None: in full, whatever it is."""

    def __init__(self, log: ChannelLog, *, is_shell: bool, stock: int | None = STOCK) -> None:
        self._log = log
        self._shell = is_shell
        self._output = _Direction(log, RecordKind.OUTPUT, stock)
        self._errors = _Direction(log, RecordKind.ERROR_OUTPUT, stock)
        self._input = _Direction(log, RecordKind.INPUT, None if is_shell else stock)
        self._text = ScreenText()
        self._tail = self._typed = b""
        self._secret = False

    def data(self, at: int, data: bytes, stream: int, *, down: bool) -> None:
        """Take data."""
        if down:
            if (self._errors if stream else self._output).take(at, data):
                self._shown(at, data)
        elif self._shell:
            self._commands(at, data)
        else:
            self._input.take(at, data)

    def _shown(self, at: int, data: bytes) -> None:
        lines = (self._tail + data).split(b"\n")
        self._tail = lines.pop()[-MAX_LINE:]
        if self._log.level == "screen" and b"\0" not in data:
            for line in self._text.gone(at, (line[:MAX_LINE].decode("utf-8", "replace").strip() for line in lines)):
                self._log.text(at, "screen", line)

    def _commands(self, at: int, data: bytes) -> None:
        """Take what a shell is told; an answer to a question for a password is none of its commands."""
        lines = data.split(b"\n")
        for index, line in enumerate(lines):
            ends = index < len(lines) - 1
            if not self._typed:
                self._secret = asks_for_secret(self._tail.decode("utf-8", "replace"))
            piece = line + b"\n" if ends else line
            if self._secret and line:
                self._log.content(at, RecordKind.HIDDEN_INPUT, piece)
                self._input.digest.update(piece)
                self._input.size += len(piece)
            elif piece:
                self._input.take(at, piece)
            self._typed = (self._typed + line)[-MAX_LINE:]
            if ends:
                if not self._secret:
                    self._log.text(at, "command", self._typed.decode("utf-8", "replace"))
                self._typed, self._secret, self._tail = b"", False, b""

    def close(self, at: int) -> Mapping[str, Any]:
        """End: what is missing is told of, and everything has its digest."""
        self._shown(at, b"\n")
        directions = (self._output, self._errors, self._input)
        for direction in directions:
            direction.end_gap(at)
        names = ("output", "error_output", "input")
        digests = {
            name: {"bytes": direction.size, "sha256": direction.digest.hexdigest()}
            for name, direction in zip(names, directions, strict=True)
            if direction.size
        }
        return {"streams": digests} if digests else {}
