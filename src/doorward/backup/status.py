"""How fresh the backups are: for ``GET /api/backup/status``, health and metrics; the alert of an overdue one (section 6)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from doorward.areas.area import Issue
from doorward.backup.records import Clock, Drill, Log, Run, moment, utc_now
from doorward.backup.schedule import NAME, DueJobs, last_dues
from doorward.configuration.management import system_backup
from doorward.events.alarm import Alarm
from doorward.events.events import Events

PATIENCE = timedelta(hours=26)
"""Nothing is overdue before that, however often it is due."""

_DUES = 2


class Freshness(Struct, frozen=True):
    """The newest success, failure and passed drill, when the next run is due, and whether one is overdue."""

    success: Run | None
    failure: Run | None
    drill: Drill | None
    next_due: datetime | None
    overdue: bool


def freshness(runs: Log[Run], drills: Log[Drill], table: DueJobs, now: datetime) -> Freshness:
    """Return how fresh the backups are."""
    overdue = _overdue(runs, table, now)
    return Freshness(runs.newest("succeeded"), runs.newest("failed"), drills.newest("passed"), table.next_due(NAME), overdue)


def _overdue(runs: Log[Run], table: DueJobs, now: datetime) -> bool:
    """Whether nothing succeeded since the last two due times, nor for 26 hours.

    A success that is still to come was noted by a clock that has been set back far since; how old it is nobody knows.
    """
    success = runs.newest("succeeded", now + PATIENCE)
    job, memory = table.memory()
    if job is None or not job.times:
        return False
    dues = last_dues(job, memory, now, _DUES)
    counted = min((memory.since.get(time, now) for time in job.times), default=now)
    last = counted if success is None or success.ended is None else max(counted, moment(success.ended))
    return len(dues) == _DUES and last < dues[-1] and now - last >= PATIENCE


class BackupWatch:
    """Raises ``backup_overdue`` when no backup succeeded for too long; once a day while that lasts."""

    def __init__(self, events: Events, runs: Log[Run], table: DueJobs, clock: Clock = utc_now) -> None:
        self._alarm = Alarm(events, "backup_overdue", system_backup.PATH, repeat=86_400.0)
        self._runs, self._table, self._clock = runs, table, clock
        self._failed: Issue | None = None

    def look(self, now: float) -> None:
        """Look at the last success, and at how the last run ended."""
        success = self._runs.newest("succeeded")
        overdue = _overdue(self._runs, self._table, self._clock())
        last = success.ended if success else None
        text = f"No backup has succeeded since {last}." if last else "No backup has succeeded yet."
        self._alarm.update(now, begun=overdue, text=text, last_success=last)
        ended = next((run for run in self._runs.find(_LATEST) if run.result in {"failed", "succeeded"}), None)
        failed = ended is not None and ended.result == "failed" and self._table.job(NAME) is not None
        self._failed = (
            Issue(f"The last backup failed: {ended.code}.", f"/api/backup/runs/{ended.id}") if failed and ended else None
        )

    def issues(self) -> Iterator[Issue]:
        """Yield what is wrong with the backups."""
        for issue in (self._alarm.issue, self._failed):
            if issue is not None:
                yield issue


_LATEST = 20
