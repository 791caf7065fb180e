"""The due table of a process: what is due when, and what has to be remembered about it over a restart (section 6)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from doorward.backup.records import Clock, utc_now
from doorward.backup.schedule import Due, JobMemory, unserved, upcoming
from doorward.host.resources import Job
from doorward.store.port import Store
from doorward.store.records import Records

NAME = "system_backup"
"""The job in the table."""


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
