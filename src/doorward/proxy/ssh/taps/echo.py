"""Tells what was typed and shown from what was typed and not shown, such as passwords. Pure.

Nothing in the protocol says whether a terminal echoes. So what is typed counts as hidden until its characters come back from the
server, soon and at the beginning of what comes; behind a question for a password it stays hidden to the end of the line, whatever
comes. In doubt it is hidden: that costs an export a keystroke, the other mistake gives a password away.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 200
"""Milliseconds for which an echo is waited for."""
_SLACK: Final = 4
"""Characters that may stand before an echo, such as a star or what was redrawn."""

_NO_CHARACTERS = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-~])|[\x00-\x1f\x7f]")
_LINE = re.compile(rb"[^\r\n]*[\r\n]|[^\r\n]+")
_SECRET = re.compile(
    r"(?:pass(?:word|phrase|code|wort)|kennwort|contrase|mot de passe|secret|\bpin\b|\botp\b|one-time|verification code|token)"
    r"[^\n]{0,80}[:?>]\s*\Z",
    re.IGNORECASE,
)


def asks_for_secret(line: str) -> bool:
    """Whether a line, up to the cursor, asks for something that must not be shown."""
    return _SECRET.search(line[-200:]) is not None


@dataclass(slots=True)
class _Typed:
    at: int
    data: bytes
    missing: bytes
    hidden: bool | None


class Echo:
    """What was typed into one terminal and awaits its echo."""

    def __init__(self) -> None:
        self._waiting: deque[_Typed] = deque()
        self._secret = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def is_settled(self) -> bool:
        """Whether all that was typed is decided, or a line is over: what comes may answer another question."""
        return not self._waiting or self._waiting[-1].hidden is not None or self._waiting[-1].data[-1:] in {b"\r", b"\n"}

    def typed(self, at: int, data: bytes, *, secret: bool = False) -> None:
        """Take what was typed. ``secret``: it answers a question for a password, and so does the rest of the line."""
        self._secret = self._secret or secret
        for line in _LINE.findall(data):
            characters = _NO_CHARACTERS.sub(b"", line)
            hidden = True if self._secret and characters else None if characters else False
            self._waiting.append(_Typed(at, line, characters, hidden))
            if line[-1:] in {b"\r", b"\n"} or b"\x03" in line:
                self._secret = False

    def shown(self, output: bytes) -> None:
        """Take what the server sent since."""
        if not self._waiting:
            return
        visible = _NO_CHARACTERS.sub(b"", output[:4096])
        for typed in self._waiting:
            if typed.hidden is not None:
                continue
            before = typed.missing
            visible = _match(typed, visible)
            if not typed.missing:
                self._hide_before(typed)  # it had its chance
                typed.hidden = False
            elif typed.missing != before:
                break
        if b"\n" in output:  # the line is over: what was not shown by now will not be
            for typed in self._waiting:
                if typed.hidden is None and (b"\r" in typed.data or b"\n" in typed.data):
                    self._hide_before(typed)
                    typed.hidden = True

    def _hide_before(self, last: _Typed) -> None:
        for typed in self._waiting:
            if typed is last:
                return
            if typed.hidden is None:
                typed.hidden = True

    def take(self, now: int | None) -> list[tuple[int, bool, bytes]]:
        """Return what is decided, in order: time, whether it was hidden, bytes. None as the time: everything."""
        done = []
        while self._waiting:
            first = self._waiting[0]
            if first.hidden is None:
                if now is not None and now - first.at < PATIENCE:
                    break
                first.hidden = True
            self._waiting.popleft()
            done.append((first.at, first.hidden, first.data))
        return done


def _match(typed: _Typed, visible: bytes) -> bytes:
    """Take from what is missing what stands at the beginning of the output; return the output behind it."""
    found = visible.find(typed.missing, 0, len(typed.missing) + _SLACK)
    if found >= 0:
        visible, typed.missing = visible[found + len(typed.missing) :], b""
        return visible
    at = skipped = 0
    while at < len(visible) and typed.missing and skipped <= _SLACK:
        if visible[at] == typed.missing[0]:
            typed.missing = typed.missing[1:]
        else:
            skipped += 1
        at += 1
    return visible[at:]
