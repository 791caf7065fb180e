"""Finds in the output of a terminal what its emulator does not tell: the marks of shells, titles, the alternate screen. Pure.

Shells that mark their prompts do so by OSC 133 (https://gitlab.freedesktop.org/Per_Bothner/specifications): ``A`` before the
prompt, ``B`` behind it, ``C`` when a command runs, ``D`` when it is done.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec import Struct

MAX_HELD: Final = 640
"""Bytes of a sequence that is not whole yet."""
_MAX_TITLE: Final = 512

_MARK = re.compile(
    rb"\x1b\]133;(?P<shell>[ABCD])[^\x07\x1b]{0,128}(?:\x07|\x1b\\)"
    rb"|\x1b\][02];(?P<title>[^\x07\x1b]{0,512})(?:\x07|\x1b\\)"
    rb"|\x1b\[\?(?:\d{1,4};)*(?:1049|1047|47)(?:;\d{1,4})*(?P<screen>[hl])"
)
_PARTIAL = re.compile(rb"\x1b(?:\](?:\d{0,4}|(?:133|[02]);[^\x07\x1b]{0,512}\x1b?)|\[(?:\?[\d;]{0,64})?)?\Z")


class MarkKind(StrEnum):
    """What a mark says."""

    PROMPT = "A"
    INPUT = "B"
    RUN = "C"
    DONE = "D"
    TITLE = "title"
    ALTERNATE = "h"
    PRIMARY = "l"


class Mark(Struct, frozen=True):
    """A mark between two pieces of output."""

    kind: MarkKind
    text: str = ""


class Splitter:
    """Cuts output at its marks. A sequence that is cut off waits for its rest."""

    def __init__(self) -> None:
        self._held = b""

    def split(self, data: bytes) -> Iterator[bytes | Mark]:
        """Yield pieces of output, which hold the marks too, and each mark: before the piece with what it does, else behind it."""
        if self._held:
            data, self._held = self._held + data, b""
        if b"\x1b" not in data:
            yield data
            return
        partial = _PARTIAL.search(data, max(0, len(data) - MAX_HELD))
        if partial is not None:
            data, self._held = data[: partial.start()], data[partial.start() :]
        at = 0
        for found in _MARK.finditer(data):
            before, sequence = data[at : found.start()], found.group()
            at = found.end()
            if found["screen"] is not None:  # the screen is looked at as it was before
                yield before
                yield Mark(MarkKind(found["screen"].decode()))
                yield sequence
            else:
                yield before + sequence
                yield _mark(found)
        yield data[at:]

    def rest(self) -> bytes:
        """Return what waits, at the end."""
        held, self._held = self._held, b""
        return held


def _mark(found: re.Match[bytes]) -> Mark:
    if found["shell"] is not None:
        return Mark(MarkKind(found["shell"].decode()))
    return Mark(MarkKind.TITLE, found["title"].decode("utf-8", "replace")[:_MAX_TITLE])
