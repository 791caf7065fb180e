"""Kind `Job`: what is due at times of day. Who runs it belongs to whoever puts the host together (`Host.handle`)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from doorward.host.errors import HostError
from doorward.host.kinds import drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Job, Resource

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


class JobKind:
    """Handles `Job`."""

    rank = 30
    is_restored_last = False

    def __init__(self, tables: Mapping[str, DueTable]) -> None:
        """`tables` are those that the schedulers of this process work by, each by the name of its job."""
        self._tables = tables

    def touches(self, resource: Resource) -> str | None:  # noqa: ARG002 - the port's signature
        """No path."""
        return None

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:  # noqa: ARG002 - the port's signature
        """A job holds what it needs of the configuration; no file moves it."""
        return False

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:  # noqa: ARG002
        """Put it into the table, unless it is there as wanted."""
        job = _job(change.subject)
        if self._now(job) == change.resource:
            return None, []
        verb = "unschedule" if change.resource is None else "schedule"
        return Action(f"{verb} {job.name}", "none", job.origin, change.resource, change.previous), []

    def observe(self, change: Change) -> object:
        """The job in the table."""
        return self._now(_job(change.subject))

    def apply(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - a step in memory is not interrupted
        """Put it into the table, or take it out."""
        self._set(_job(change.subject), change.resource)

    def verify(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """Read the table back: the job as wanted, and due at an instant that is still to come."""
        job = _job(change.subject)
        if self._now(job) != change.resource:
            raise HostError(f"the due table does not show {job.name} as wanted")
        if isinstance(change.resource, Job) and change.resource.times:
            due = self._tables[job.name].next_due(job.name)
            if due is None or due <= datetime.now(UTC):
                raise HostError(f"the due table has no next time for {job.name}")

    def restore(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - as apply
        """Put back what was in the table."""
        self._set(_job(change.subject), before)

    def confirm(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - as verify
        """The table is as it was."""
        if self._now(_job(change.subject)) != before:
            raise HostError("the due table is not as it was before")

    def drift(self, resource: Resource) -> list[HostWarning]:
        """One warning when the table does not hold the job."""
        job = _job(resource)
        return [] if self._now(job) == job else [drifted(job, f"{job.name} is not scheduled as it should be")]

    def _now(self, job: Job) -> Job | None:
        return self._tables[job.name].job(job.name)

    def _set(self, job: Job, wanted: object) -> None:
        table = self._tables[job.name]
        if isinstance(wanted, Job):
            table.put(wanted)
        else:
            table.remove(job.name)


def _job(resource: Resource) -> Job:
    if isinstance(resource, Job):
        return resource
    raise TypeError(type(resource).__name__)
