"""What the thread of the recorder finds out for the event loop: messages for control, and what viewers see."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import Final

from msgspec import Struct, field

from doorward.proxy.messages import PipeMessage, Text

TEXT_MILLISECONDS: Final = 2000
"""How long a line of text may wait for more: each message of text is a row to be indexed."""
MAX_LINES: Final = 32_768
"""Characters of the lines of one message."""
_LINE: Final = 16
"""What a line takes beside its characters."""


class View(Struct, frozen=True):
    """Something that viewers of a channel see: an asciicast code and its data. ``drawing``: the screen as it is now."""

    channel: int
    at: int
    code: str
    data: bytes
    drawing: bool = False


class Back(Struct, frozen=True):
    """What the thread hands back to the event loop."""

    messages: list[PipeMessage] = field(default_factory=list)
    views: list[View] = field(default_factory=list)


class SessionFindings:
    """Gathers what one session has for the event loop until that takes it. ``watched``: somebody looks, so views are kept."""

    def __init__(self, session: str) -> None:
        self._session = session
        self.watched = False
        self._back = Back()
        self._lines: list[tuple[int, int, str, str]] = []
        self._size = 0

    @property
    def has_lines(self) -> bool:
        """Whether lines wait for more to come."""
        return bool(self._lines)

    def line(self, channel: int, at: int, kind: str, line: str) -> None:
        """Take a line of text for the index."""
        self._lines.append((channel, at, kind, line))
        self._size += len(line) + _LINE

    def tell(self, message: PipeMessage) -> None:
        """Take a message for control, behind the lines that came before it."""
        self._pack_lines()
        self._back.messages.append(message)

    def show(self, view: View) -> None:
        """Take something for viewers, if there are any."""
        if self.watched:
            self._back.views.append(view)

    def take(self, now: int | None = None) -> Back | None:
        """Return what was gathered, None where that is nothing.

        ``now``: milliseconds into the session; without it lines wait for nothing more.
        """
        if self._lines and (now is None or now - self._lines[0][1] >= TEXT_MILLISECONDS or self._size >= MAX_LINES):
            self._pack_lines()
        if not self._back.messages and not self._back.views:
            return None
        back, self._back = self._back, Back()
        return back

    def _pack_lines(self) -> None:
        """Make messages of the lines that wait."""
        lines, self._lines, self._size = self._lines, [], 0
        for channel, of_channel in groupby(lines, key=itemgetter(0)):
            part: list[tuple[int, str, str]] = []
            size = 0
            for _, at, kind, line in of_channel:
                if size >= MAX_LINES:
                    self._back.messages.append(Text(session=self._session, channel=channel, lines=tuple(part)))
                    part, size = [], 0
                part.append((at, kind, line))
                size += len(line) + _LINE
            self._back.messages.append(Text(session=self._session, channel=channel, lines=tuple(part)))
