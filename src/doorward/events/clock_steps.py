"""Watches whether somebody stepped the clock (time contract, section 6).

Logins and confirmations go by clocks that nobody can step, so a step makes them neither shorter nor longer. But times in logs,
trails and backups jump with it, and schedules go by the time of day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from doorward.areas.area import Issue
from doorward.configuration.datetime.ntp_servers import PATH
from doorward.events.events import Events

MIN_STEP_SECONDS = 10.0
"""What is less is a correction."""
_SHOWN_SECONDS = 3600.0
"""For how long health tells of a step."""


def _since_boot() -> float:
    """Return a time that goes on while the machine sleeps: waking up is no step."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class ClockSteps:
    """Raises ``clock_stepped``. ``going_on`` names what a step meets, such as sessions."""

    def __init__(
        self,
        events: Events,
        going_on: Callable[[], Sequence[str]],
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = _since_boot,
    ) -> None:
        self._events, self._going_on, self._wall, self._steady = events, going_on, wall, steady
        self._offset = wall() - steady()
        self._told: tuple[float, str] | None = None

    def look(self, now: float) -> None:
        """Compare the time of day with the time that went by."""
        offset = self._wall() - self._steady()
        step, self._offset = offset - self._offset, offset
        if abs(step) > MIN_STEP_SECONDS:
            going_on = self._going_on()
            met = f" while there were {' and '.join(going_on)}" if going_on else ""
            text = f"The clock was stepped by {step:+.0f} s{met}."
            self._told = (now, text)
            self._events.raise_("clock_stepped", text, PATH, seconds=round(step))
        elif self._told is not None and now - self._told[0] > _SHOWN_SECONDS:
            self._told = None

    def issues(self) -> Iterator[Issue]:
        """Yield the last step, for an hour."""
        if self._told is not None:
            yield Issue(self._told[1], PATH)
