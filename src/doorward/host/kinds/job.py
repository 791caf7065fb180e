"""Kind `Job`: what is due at times of day. Who runs it belongs to whoever puts the host together (`Host.handle`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import Kind, drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Job

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet


class DueTable(Protocol):
    """The table that a scheduler works by. Safe in any thread."""

    def job(self, name: str) -> Job | None:
        """The job in the table."""

    def put(self, job: Job) -> None:
        """Take a job into the table, in place of the one with its name."""

    def remove(self, name: str) -> None:
        """Forget a job."""

    def next_due(self, name: str) -> datetime | None:
        """The instant at which a job of the table is due next; None where it has no times."""


class JobKind(Kind[Job]):
    """Handles `Job`."""

    rank = 30

    def __init__(self, tables: Mapping[str, DueTable]) -> None:
        """`tables` are those that the schedulers of this process work by, each by the name of its job."""
        self._tables = tables

    @override
    def plan(self, change: Change[Job], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Put it into the table, unless it is there as wanted."""
        job = change.subject
        if self._now(job) == change.resource:
            return None, []
        verb = "unschedule" if change.resource is None else "schedule"
        return change.action(f"{verb} {job.name}"), []

    @override
    def observe(self, change: Change[Job]) -> object:
        """The job in the table."""
        return self._now(change.subject)

    @override
    def apply(self, change: Change[Job], deadline: float) -> None:
        """Put it into the table, or take it out."""
        self._set(change.subject, change.resource)

    @override
    def verify(self, change: Change[Job], deadline: float) -> None:
        """Read the table back: the job as wanted, and due at an instant that is still to come. Raises HostError."""
        job = change.subject
        if self._now(job) != change.resource:
            raise HostError(f"the due table does not show {job.name} as wanted")
        if isinstance(change.resource, Job) and change.resource.times:
            due = self._tables[job.name].next_due(job.name)
            if due is None or due <= datetime.now(UTC):
                raise HostError(f"the due table has no next time for {job.name}")

    @override
    def restore(self, change: Change[Job], before: object, deadline: float) -> None:
        """Put back what was in the table."""
        self._set(change.subject, before)

    @override
    def confirm(self, change: Change[Job], before: object, deadline: float) -> None:
        """The table is as it was. Raises HostError."""
        if self._now(change.subject) != before:
            raise HostError("the due table is not as it was before")

    @override
    def drift(self, resource: Job) -> list[HostWarning]:
        """One warning when the table does not hold the job."""
        job = resource
        return [] if self._now(job) == job else [drifted(job, f"{job.name} is not scheduled as it should be")]

    def _now(self, job: Job) -> Job | None:
        return self._tables[job.name].job(job.name)

    def _set(self, job: Job, wanted: object) -> None:
        table = self._tables[job.name]
        if isinstance(wanted, Job):
            table.put(wanted)
        else:
            table.remove(job.name)
