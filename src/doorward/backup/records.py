"""Runs and drills as they are kept: durable records in the store, shown as the contract says (sections 10.2 and 10.4)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal, TypeVar

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from doorward.backup.names import parse
from doorward.store.port import Store, StoredRecord
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.times import stamp

KEPT = 1_000
"""Most records of a kind."""
KEPT_DAYS = 400

Status = Literal["waiting", "preparing", "uploading", "verifying", "finished"]
RunResult = Literal["succeeded", "failed", "cancelled", "skipped"]
Reason = Literal["schedule", "missed", "manual"]

Clock = Callable[[], datetime]
"""Returns the present time, in UTC."""


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)


def moment(text: str) -> datetime:
    """Return the time of a text made by ``stamp``."""
    return datetime.fromisoformat(text)


class Kept(Struct, frozen=True):
    """What all records share. ``id`` is a UUID, ``started`` and ``ended`` are UTC texts, None while they are still to come."""

    kind: ClassVar[str]

    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    started: str | None = None
    ended: str | None = None
    code: str | None = None
    message: str | None = None

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.ended is not None

    @property
    def ended_at(self) -> float:
        """When it was over, as Unix time; 0 as long as it is not."""
        return moment(self.ended).timestamp() if self.ended else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the record without its id, as a JSON value."""
        return {name: value for name, value in asdict(self).items() if name != "id"}


@prepared
class Run(Kept, frozen=True):
    """One backup run.

    ``policy`` is the key of its policy, ``target`` its target without secrets; ``files`` and ``attempts`` are shown as they are;
    ``drill`` is the id of the drill of its file; ``author`` is set for a run that somebody asked for.
    """

    kind: ClassVar[str] = "backup_run"

    reason: Reason = "manual"
    policy: str = ""
    target: str = ""
    status: Status = "waiting"
    result: RunResult | None = None
    author: str | None = None
    scheduled_for: str | None = None
    revision: dict[str, Any] | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    drill: str | None = None
    warnings: list[dict[str, str]] = field(default_factory=list)

    def end(self, result: RunResult, at: datetime, code: str | None = None, message: str | None = None) -> Run:
        """Return the run as it ended."""
        now = stamp(at)
        return replace(
            self, status="finished", result=result, started=self.started or now, ended=now, code=code, message=message
        )  # fmt: skip

    def with_warning(self, code: str, message: str) -> Run:
        """Return the run with one more warning."""
        return replace(self, warnings=[*self.warnings, {"code": code, "message": message}])


LEVELS = ("readable", "restorable", "stored")


def untried() -> dict[str, Any]:
    """Return a level of a drill that was not tried."""
    return {"basis": None, "passed": None}


@prepared
class Drill(Kept, frozen=True):
    """One restore drill. ``levels`` maps a level to its basis and whether it passed, None where it could not be tried."""

    kind: ClassVar[str] = "backup_drill"

    reason: Literal["run", "manual"] = "manual"
    file: str | None = None
    levels: dict[str, dict[str, Any]] = field(default_factory=lambda: {level: untried() for level in LEVELS})
    result: Literal["passed", "failed", "partial", "cancelled"] | None = None
    author: str | None = None


_Kept = TypeVar("_Kept", bound=Kept)


class Log(Records[_Kept]):
    """The runs, or the drills."""

    def __init__(self, store: Store, made: type[_Kept]) -> None:
        super().__init__(store, made.kind, made)

    def save(self, kept: _Kept) -> _Kept:
        """Write a record; it is on the disk when this returns."""
        self.put(kept)
        return kept

    def newest(self, result: str, until: datetime | None = None) -> _Kept | None:
        """Return the newest record that ended in a certain way, and not later than at some time."""
        latest = stamp(until) if until else None
        return next((kept for kept in self.each(result=result) if latest is None or (kept.ended or "") <= latest), None)

    def prune(self, now: datetime) -> None:
        """Forget what is beyond a thousand, or older than 400 days; what is not over stays."""
        oldest = stamp(now - timedelta(days=KEPT_DAYS))
        over = (
            kept.id for index, kept in enumerate(self.each()) if kept.ended is not None and (index >= KEPT or kept.ended < oldest)
        )
        self.remove(*tuple(over))


def checked(store: Store, record: StoredRecord) -> StoredRecord:
    """Return the record of a run or a drill that somebody brings. Raises ValueError where this release knows not all."""
    kept: Kept = Log(store, Run).value(record) if record.kind == Run.kind else Log(store, Drill).value(record)
    if record.body.keys() - kept.as_json().keys():
        raise ValueError("It has members that nobody here knows.")
    for text in (kept.started, kept.ended):
        moment(text or "1970-01-01T00:00:00Z")
    if isinstance(kept, Run):
        for file in kept.files:
            parse(file["name"])
    return record
