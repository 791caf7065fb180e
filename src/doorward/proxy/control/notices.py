"""What is told of sessions: events, for the log, mail and syslog receivers. A flood of one kind is counted, not told."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from doorward.proxy.control.session import Session
from doorward.tree.plaintext import plain

MINUTE_SECONDS = 60.0
MAX_A_MINUTE = 10
"""Events of one kind from one address; the next minute tells how many were left out."""
MAX_SOURCES = 10_000
MAX_TEXT = 1200
"""Characters of a text or a fact that are told."""
_HREF = "/api/configuration/ssh/connections"


class Bus(Protocol):
    """Takes events, such as `events.Events`."""

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        """Say that something happened. Never waits."""


class Notices:
    """Raises the events of sessions, and counts them. In the event loop; ``clock`` is monotonic."""

    def __init__(self, bus: Bus, clock: Callable[[], float] = time.monotonic) -> None:
        self._bus, self._clock = bus, clock
        self._told: OrderedDict[tuple[str, str], list[float]] = OrderedDict()
        self.counts: Counter[str] = Counter()
        """How often each happened."""

    def tell(self, event: str, text: str, session: Session, **facts: Any) -> None:
        """Tell of something in a session."""
        connection = session.connection
        who = {
            "session_id": session.id,
            "policy": connection.name,
            "client": session.client[0],
            "gateway_user": session.person.name or None,
            "server_user": session.target.user if session.target is not None else None,
            "server": session.target.name if session.target is not None else None,
        }
        self._raise(event, text, session.client[0], f"{_HREF}/{connection.key}", {**who, **facts})

    def denied(self, text: str, client: str, reason: str, path: str = "", **facts: Any) -> None:
        """Tell of a connection that became no session."""
        self.counts[f"refused_{reason}"] += 1
        self._raise("connection_denied", text, client, path, {"client": client, "reason": reason, **facts})

    def _raise(self, key: str, text: str, client: str, path: str, facts: dict[str, Any]) -> None:
        self.counts[key] += 1
        left_out = self._left_out(key, client)
        if left_out is None:
            return
        if left_out:
            facts["left_out"] = left_out
        # Names come from clients and targets; what is told stands in logs, mails and on terminals.
        shown: dict[str, Any] = {
            name: plain(value, MAX_TEXT) if isinstance(value, str) else value
            for name, value in facts.items()
            if value is not None
        }
        self._bus.raise_(key, plain(text, MAX_TEXT), path, **shown)

    def _left_out(self, key: str, client: str) -> int | None:
        """Return how many of the kind were not told before this one; None: nor is this one."""
        now, known = self._clock(), self._told.setdefault((key, client), [0.0, 0])
        self._told.move_to_end((key, client))
        while len(self._told) > MAX_SOURCES:
            self._told.popitem(last=False)
        began, count = known
        if now - began >= MINUTE_SECONDS:
            known[:] = now, 1
            return max(0, int(count) - MAX_A_MINUTE)
        known[1] += 1
        return 0 if count < MAX_A_MINUTE else None
