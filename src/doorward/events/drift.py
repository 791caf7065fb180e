"""Watches whether the host still is what the running revision says."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.areas.area import Issue
from doorward.events.alarm import Alarm
from doorward.events.events import Events
from doorward.transaction.pipeline import Pipeline


class DriftWatch:
    """Raises ``configuration_drift`` for each resource whose place on the host differs; health tells of it by itself."""

    def __init__(self, events: Events, pipeline: Pipeline) -> None:
        self._events, self._pipeline = events, pipeline
        self._alarms: dict[str, Alarm] = {}

    def look(self, now: float) -> None:
        """Compare the host with the running revision. What is seen in the middle of a commit counts for nothing."""
        pipeline, running = self._pipeline, self._pipeline.running
        found: dict[str, list[str]] = {}
        for warning in pipeline.host.drift(pipeline.desired(running.snapshot)):
            if warning.code == "configuration_drift":
                found.setdefault(warning.origin, []).append(warning.message)
        if pipeline.now_doing or pipeline.running is not running:
            return
        for origin in {*found, *self._alarms}:
            alarm = self._alarms.setdefault(origin, Alarm(self._events, "configuration_drift", origin))
            messages = found.get(origin)
            alarm.update(now, begun=bool(messages), text="; ".join(messages) if messages else alarm.text)
            if not alarm.raised:
                del self._alarms[origin]

    def issues(self) -> Iterator[Issue]:
        """Yield nothing: what differs is looked at again whenever health is asked for."""
        yield from ()
