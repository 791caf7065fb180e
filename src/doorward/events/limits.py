"""Watches disk, swap and load against ``management/health_monitoring``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from doorward.areas.area import Issue
from doorward.configuration.management.health_monitoring import NODE, PATH
from doorward.events.alarm import DAY, Alarm
from doorward.events.events import Events
from doorward.tree.snapshot import Snapshot

_OVER = 0.95

Figures = Callable[[], dict[str, float]]
"""Returns the figure of each limit, by the name of its member."""

_KEYS = {
    "maximum_disk_utilization_ratio": "disk_full",
    "maximum_load1": "load_high",
    "maximum_load15": "load_high",
    "maximum_load5": "load_high",
    "maximum_swap_utilization_ratio": "swap_full",
}
_TEXTS = {
    "maximum_disk_utilization_ratio": "The disk is used to {figure:.0f} %, the limit is {limit} %.",
    "maximum_load1": "The load over 1 minute is {figure:.2f}, the limit is {limit}.",
    "maximum_load15": "The load over 15 minutes is {figure:.2f}, the limit is {limit}.",
    "maximum_load5": "The load over 5 minutes is {figure:.2f}, the limit is {limit}.",
    "maximum_swap_utilization_ratio": "The swap space is used to {figure:.0f} %, the limit is {limit} %.",
}


def figures_of(state: Path) -> Figures:
    """Return what reads this machine's figures; the disk is that of the state directory."""

    def read() -> dict[str, float]:
        load1, load5, load15 = psutil.getloadavg()
        swap = psutil.swap_memory()
        return {
            "maximum_disk_utilization_ratio": psutil.disk_usage(str(state)).percent,
            "maximum_load1": load1,
            "maximum_load15": load15,
            "maximum_load5": load5,
            "maximum_swap_utilization_ratio": swap.percent if swap.total else 0.0,
        }

    return read


class Limits:
    """Raises an alert when a limit is crossed, every 24 hours while it lasts, and says when it is well below again."""

    def __init__(self, events: Events, snapshot: Callable[[], Snapshot], figures: Figures) -> None:
        self._snapshot, self._figures = snapshot, figures
        self._alarms = {name: Alarm(events, key, PATH, DAY) for name, key in _KEYS.items()}

    def look(self, now: float) -> None:
        """Compare all figures with their limits."""
        limits = self._snapshot().read(NODE)
        for name, figure in self._figures().items():
            limit, alarm = getattr(limits, name), self._alarms[name]
            if limit is None:
                alarm.update(now, begun=False, text="The limit was taken away.")
                continue
            text = _TEXTS[name].format(figure=figure, limit=limit)
            alarm.update(now, begun=figure > limit, over=figure < _OVER * limit, text=text)

    def issues(self) -> Iterator[Issue]:
        """Yield the limits that are crossed."""
        for alarm in self._alarms.values():
            if alarm.issue is not None:
                yield alarm.issue
