"""Clears away old core files, as ``troubleshooting`` says: once a day, from 03:00 of the node's time zone on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import time as unix_time
from zoneinfo import ZoneInfo

import structlog

from doorward.areas.area import Issue
from doorward.host.core_files import PATTERN, remove_old
from doorward.host.resources import Job

log = structlog.get_logger()

_DAY_SECONDS = 24 * 3600


class CoreFileRetention:
    """The due table of one job, and the watch that does it: removes what is older than the days that are its subject.

    A day that was missed is caught up on at the next look. ``clock`` is Unix time.
    """

    def __init__(self, state: Path, pattern: Path = PATTERN, clock: Callable[[], float] = unix_time) -> None:
        self._state, self._pattern, self._clock = state, pattern, clock
        self._job: Job | None = None
        self._cleared: date | None = None

    def job(self, _name: str) -> Job | None:
        """The job."""
        return self._job

    def put(self, job: Job) -> None:
        """Take the job, in place of the one before."""
        self._job = job

    def remove(self, _name: str) -> None:
        """Forget the job."""
        self._job = None

    def next_due(self, _name: str) -> datetime | None:
        """The instant at which core files are cleared away next."""
        if self._job is None:
            return None
        now = datetime.fromtimestamp(self._clock(), ZoneInfo(self._job.zone))
        time_of_day = _first(self._job)
        days = (now.date() + timedelta(days) for days in range(2))
        instants = (datetime.combine(day, time_of_day, now.tzinfo).astimezone(UTC) for day in days)
        return next(instant for instant in instants if instant > now)

    def look(self, _now: float) -> None:
        """Clear away, unless that was done today or it is too early for it."""
        job, at = self._job, self._clock()
        if job is None:
            return
        local = datetime.fromtimestamp(at, ZoneInfo(job.zone))
        if local.time() < _first(job) or local.date() == self._cleared:
            return
        self._cleared = local.date()
        before = at - int(job.subject) * _DAY_SECONDS
        removed = remove_old(self._state, before, self._pattern.read_text(), (Path.cwd(), self._state))
        if removed:
            log.info("core files removed", count=len(removed))

    def issues(self) -> Iterable[Issue]:
        """Return nothing: what can't be removed is in the log."""
        return ()


def _first(job: Job) -> time:
    return time.fromisoformat(job.times[0])
