"""When something is due: times of day in a time zone as instants, and which of them were not served yet. Pure.

Daylight saving (backup contract, section 6): a time that does not exist is due at the first instant after the gap, one that
exists twice at the first of the two. An instant is known by its local date and time, so that a clock that is set back, or a zone
that moves, makes nothing run twice for the same local date and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim

from doorward.host.resources import Job
from doorward.tree.jsontext import prepared

LOOK_BACK = timedelta(hours=24)
"""How old a missed instant may be to be caught up."""

_REMEMBERED = 500
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """An instant (UTC) and the local date and time that it stands for ("2026-11-22 02:30")."""

    at: datetime
    local: str


@prepared
@dataclass(frozen=True, slots=True)
class JobMemory:
    """What has to be known about a job to miss nothing and to run nothing twice; kept in the store.

    ``subject`` is that of the job, ``since`` says for each time of day since when it counts, ``served`` are the local dates and
    times that had their run, oldest first.
    """

    subject: str = ""
    since: Mapping[str, datetime] = field(default_factory=dict)
    served: tuple[str, ...] = ()
    id: str = "schedule"

    def adopted(self, job: Job, now: datetime) -> JobMemory:
        """Return the memory for a job as it is now: times that are new, or were given to something else, count from now on.

        A time of day that counts from an instant that is still to come was noted by a clock that has been set back since.
        """
        known = self.since if job.subject == self.subject else {}
        return replace(self, subject=job.subject, since={time: min(known.get(time, now), now) for time in job.times})

    def with_served(self, dues: Iterable[Due]) -> JobMemory:
        """Return the memory with instants that had their run."""
        served = dict.fromkeys((*self.served, *(due.local for due in dues)))
        return replace(self, served=tuple(served)[-_REMEMBERED:])


def _instants(time: str, zone: ZoneInfo, after: datetime) -> Iterator[Due]:
    """Yield every instant of one time of day, without end."""
    hour, minute = int(time[:2]), int(time[3:])
    for found in CronSim(f"{minute} {hour} * * *", after.astimezone(zone)):
        shown = f"{found:%H:%M}"
        # A time that does not exist comes as the first minute after the gap, which may lie in the next day.
        date = found.date() if time <= shown else found.date() - _DAY
        yield Due(found.astimezone(UTC), f"{date} {time}")


def dues(job: Job, after: datetime, until: datetime) -> list[Due]:
    """Return what is due later than one instant and not later than another, in order."""
    zone = ZoneInfo(job.zone)
    return sorted(due for time in job.times for due in takewhile(lambda due: due.at <= until, _instants(time, zone, after)))


def upcoming(job: Job, memory: JobMemory, now: datetime) -> Due | None:
    """Return what is due next, leaving out what was served already."""
    zone = ZoneInfo(job.zone)
    served = set(memory.served)
    firsts = (next(due for due in _instants(time, zone, now) if due.local not in served) for time in job.times)
    return min(firsts, default=None)


def unserved(job: Job, memory: JobMemory, now: datetime) -> list[Due]:
    """Return what was due in the last 24 hours, since it counts, and had no run."""
    served = set(memory.served)
    return [
        due
        for due in dues(job, now - LOOK_BACK, now)
        if due.local not in served and due.at > memory.since.get(due.local.rpartition(" ")[2], now)
    ]


def last_dues(job: Job, memory: JobMemory, now: datetime, count: int) -> list[datetime]:
    """Return the latest instants that counted, newest first, as far as the last week knows them."""
    found = dues(job, now - timedelta(days=7), now)
    instants = dict.fromkeys(due.at for due in reversed(found) if due.at > memory.since.get(due.local.rpartition(" ")[2], now))
    return list(instants)[:count]
