"""When something is due: times of day in a time zone as instants, which of them were not served yet, and the table of a process.

Daylight saving (backup contract, section 6): a time that does not exist is due at the first instant after the gap, one that
exists twice at the first of the two. An instant is known by its local date and time, so that a clock that is set back, or a zone
that moves, makes nothing run twice for the same local date and time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim
from msgspec import Struct, field
from msgspec.structs import replace

from doorward.backup.records import Clock, utc_now
from doorward.host.resources import Job
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared

LOOK_BACK = timedelta(hours=24)
"""How old a missed instant may be to be caught up."""

NAME = "system_backup"
"""The job in the table."""

_REMEMBERED = 500
_DAY = timedelta(days=1)


class Due(Struct, frozen=True, order=True):
    """An instant (UTC) and the local date and time that it stands for ("2026-11-22 02:30")."""

    at: datetime
    local: str


@prepared
class JobMemory(Struct, frozen=True):
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


class DueJobs:
    """The due table of this process, and what has to be remembered about its jobs. Safe in any thread.

    ``offset`` says by how many seconds this node is late on purpose, so that a whole cluster does not come at once.
    """

    def __init__(self, store: Store, clock: Clock = utc_now, offset: Callable[[], float] = lambda: 0.0) -> None:
        self._clock, self._offset = clock, offset
        self._jobs: dict[str, Job] = {}
        self._lock = threading.RLock()
        self._kept = Records(store, "backup", JobMemory)
        self._memory = self._kept.get(JobMemory().id) or JobMemory()
        self.changed: Callable[[], None] = lambda: None
        """Called after every change."""

    def job(self, name: str) -> Job | None:
        """The job in the table."""
        with self._lock:
            return self._jobs.get(name)

    def put(self, job: Job) -> None:
        """Take a job into the table."""
        with self._lock:
            self._jobs[job.name] = job
        self.changed()

    def remove(self, name: str) -> None:
        """Forget a job."""
        with self._lock:
            self._jobs.pop(name, None)
        self.changed()

    def next_due(self, name: str) -> datetime | None:
        """The instant at which a job of the table is due next; None where it has no times."""
        with self._lock:
            job = self._jobs.get(name)
            found = upcoming(job, self._memory, self._clock() - self._late) if job else None
            return found.at + self._late if found else None

    def take_due(self) -> list[Due]:
        """Return what is due and had no run, oldest first; its times count from now on if they are new."""
        with self._lock:
            now, job = self._clock(), self._jobs.get(NAME)
            if job is None:
                return []
            self._keep(self._memory.adopted(job, now))
            return [replace(due, at=due.at + self._late) for due in unserved(job, self._memory, now - self._late)]

    def served(self, dues: list[Due]) -> None:
        """Note what had its run."""
        with self._lock:
            self._keep(self._memory.with_served(dues))

    def memory(self) -> tuple[Job | None, JobMemory]:
        """Return the job, and what is remembered about it."""
        with self._lock:
            return self._jobs.get(NAME), self._memory

    @property
    def _late(self) -> timedelta:
        return timedelta(seconds=self._offset())

    def _keep(self, memory: JobMemory) -> None:
        if memory != self._memory:
            self._kept.put(memory)
            self._memory = memory
