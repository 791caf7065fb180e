"""Clears away old core files, as ``troubleshooting`` says: once a day, from 03:00 of the node's time zone on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date, datetime
from pathlib import Path

import structlog

from doorward.configuration.troubleshooting import PATH
from doorward.events.alarm import Issue
from doorward.events.node import zone
from doorward.host.core_files import PATTERN, remove_old
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

HOUR = 3
_DAY_SECONDS = 24 * 3600


class CoreFiles:
    """A watch that removes what is too old. A day that was missed is caught up on at the next look. ``clock`` is Unix time."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], state: Path, pattern: Path = PATTERN, clock: Callable[[], float] = time.time
    ) -> None:
        self._snapshot, self._state, self._pattern, self._clock = snapshot, state, pattern, clock
        self._cleared: date | None = None

    def look(self, _now: float) -> None:
        """Clear away, unless that was done today or it is too early for it."""
        snapshot, at = self._snapshot(), self._clock()
        local = datetime.fromtimestamp(at, zone(snapshot))
        if local.hour < HOUR or local.date() == self._cleared:
            return
        self._cleared = local.date()
        before = at - snapshot.value(PATH)["core_files"]["retention_days"] * _DAY_SECONDS
        removed = remove_old(self._state, before, self._pattern.read_text(), (Path.cwd(), self._state))
        if removed:
            log.info("core files removed", count=len(removed))

    def issues(self) -> Iterable[Issue]:
        """Return nothing: what can't be removed is in the log."""
        return ()
