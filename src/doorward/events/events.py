"""The bus: whatever happens is raised here, from any thread, logged, and handed to whoever listens in a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from doorward.areas.worker import Worker
from doorward.configuration.alerting import system_alerts, traffic_alerts
from doorward.events.tap import LogRecord

log = structlog.get_logger()

IDS: Mapping[str, str] = {**system_alerts.IDS, **traffic_alerts.IDS}
"""The id of every event."""

_ORDINARY = frozenset({
    "login", "logout", "config_change", "auth_success", "gw_auth_success", "session_started", "session_ended",
})  # fmt: skip
_OF_LEVEL = {"error": "error", "critical": "alert"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    ``key`` is a member of ``alerting/system_alerts`` or ``alerting/traffic_alerts``, ``text`` one line for people, ``path`` the
    resource that it is about, "" for none, ``details`` further facts, never a secret, ``at`` the Unix time.
    """

    key: str
    text: str
    path: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    at: float = 0.0

    @property
    def id(self) -> str:
        """The id in mail and log."""
        return IDS[self.key]


class Events:
    """The bus. ``clock`` returns Unix time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.listeners: list[Callable[[Event], None]] = []
        self._clock = clock
        self._waiting: deque[Event] = deque()
        self._worker = Worker("events", self._pass_on, delay=None, last_turn=True)

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        """Say that something happened, or that it is over. Never waits."""
        event = Event(key=key, text=text, path=path, details=details, at=self._clock())
        tell = log.info if ended or key in _ORDINARY else log.warning
        tell(key, id=event.id, text=text, **({"path": path} if path else {}), **details)
        self._take(event)

    def noticed(self, record: LogRecord) -> None:
        """Raise an alert for a log record of level error or critical. What this thread itself logs could go round for ever."""
        key = _OF_LEVEL.get(record.level)
        if key is not None and not self._worker.is_current:
            path = str(record.fields.get("path", ""))
            self._take(Event(key=key, text=record.name, path=path, details=record.fields, at=record.at))

    def start(self) -> None:
        """Begin to tell the listeners."""
        self._worker.start()

    def stop(self) -> None:
        """Tell what is still waiting, then end."""
        self._worker.stop()

    def _take(self, event: Event) -> None:
        self._waiting.append(event)
        self._worker.wake()

    def _pass_on(self) -> None:
        while self._waiting:
            event = self._waiting.popleft()
            for listen in self.listeners:
                try:
                    listen(event)
                except Exception:
                    log.exception("an event could not be passed on", key=event.key)
