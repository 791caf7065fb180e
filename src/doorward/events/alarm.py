"""One condition that is watched: raised when it begins, perhaps again while it lasts, and said when it is over."""

from __future__ import annotations

from typing import Any

from doorward.areas.area import Issue
from doorward.events.events import Events

DAY = 86_400.0


class Alarm:
    """A condition with the key of its event. ``repeat``: seconds after which it is raised again while it lasts."""

    def __init__(self, events: Events, key: str, path: str, repeat: float | None = None) -> None:
        self._events, self._key, self._path, self._repeat = events, key, path, repeat
        self._told: float | None = None
        self.text = ""

    @property
    def raised(self) -> bool:
        """Whether the condition lasts."""
        return self._told is not None

    @property
    def issue(self) -> Issue | None:
        """The condition while it lasts."""
        return Issue(self.text, self._path) if self.raised else None

    def update(self, now: float, *, begun: bool, text: str, over: bool | None = None, **details: Any) -> None:
        """Take what was found. Between ``begun`` and ``over`` (by default its opposite) the condition stays as it is."""
        if begun or self.raised:
            self.text = text
        again = self._told is not None and self._repeat is not None and now - self._told >= self._repeat
        if self._told is not None and (not begun if over is None else over):
            self._told = None
            self._events.raise_(self._key, f"Over: {text}", self._path, ended=True, **details)
        elif (begun and self._told is None) or again:
            self._told = now
            self._events.raise_(self._key, text, self._path, **details)
