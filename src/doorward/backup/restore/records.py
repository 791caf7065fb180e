"""The records of restores, from the request to the end, through crashes (section 10.5)."""

from __future__ import annotations

import uuid
from typing import Any, Literal

import msgspec
from msgspec.structs import asdict, replace

from doorward.access.sight import UNSEEN, Sight
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.times import now

KIND = "backup_restore"
KEPT = 100
"""Restores that are kept; each has all its changes, which of a large archive are many."""

Status = Literal["checking", "applying", "verifying", "finished"]
Result = Literal["succeeded", "failed", "reverted", "unknown", "cancelled"]


@prepared
class Restore(msgspec.Struct, frozen=True):
    """One restore. ``file`` is the name of the archive by what is signed in it. Records call ``commit_id`` as they always did."""

    source: dict[str, Any]
    scope: str
    network: str
    dry_run: bool
    author: str
    id: str = msgspec.field(default_factory=lambda: str(uuid.uuid4()))
    commit_id: str = msgspec.field(default_factory=lambda: str(uuid.uuid4()), name="ticket")
    status: Status = "checking"
    result: Result | None = None
    started: str = msgspec.field(default_factory=now)
    ended: str | None = None
    file: str | None = None
    code: str | None = None
    message: str | None = None
    revision: int | None = None
    checks: list[dict[str, Any]] = msgspec.field(default_factory=list)
    problems: list[dict[str, str]] = msgspec.field(default_factory=list)
    changes: list[dict[str, Any]] = msgspec.field(default_factory=list)
    plan: list[dict[str, str]] = msgspec.field(default_factory=list)
    warnings: list[dict[str, str]] = msgspec.field(default_factory=list)

    def finished(self, result: Result, code: str | None = None, message: str | None = None) -> Restore:
        """Return the restore as it ended."""
        return replace(self, status="finished", result=result, code=code, message=message, ended=now())

    def shown(self, sight: Sight) -> dict[str, Any]:
        """Return the body that the API shows to a reader; its words only where they are about what the reader may read."""
        body = {name: value for name, value in asdict(self).items() if name not in {"id", "commit_id"}}
        first = self.problems[0]["path"] if self.problems else ""
        if not sight.path(first):
            words = body["message"]
            body["message"] = UNSEEN
            body["checks"] = [{**check, "message": UNSEEN} if check["message"] == words else check for check in self.checks]
        return sight.members(body, "changes", "plan", "problems", "warnings")


class Restores(Records[Restore]):
    """All restores, newest first. Safe in any thread; blocks."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, KIND, Restore)
        self._commit_record = store.commit_record

    def save(self, restore: Restore) -> Restore:
        """Write a record; the oldest beyond those that are kept go."""
        self.put(restore)
        self.trim(KEPT)
        return restore

    def close_unfinished(self) -> None:
        """End what an earlier process left, by what became of its commit; called once the host is as the revision says."""
        for restore in self.find():
            if restore.status == "finished":
                continue
            record = self._commit_record(restore.commit_id)
            if record is not None and record.state in {"done", "awaiting_confirmation", "revert_failed"}:
                self.save(replace(restore.finished("succeeded"), revision=record.revision))
            elif record is not None and record.state == "unknown":
                self.save(restore.finished("unknown", "shutdown", "The server ended during the restore."))
            else:
                result: Result = "reverted" if restore.status == "applying" else "failed"
                self.save(restore.finished(result, "shutdown", "The server ended during the restore."))
        self.trim(KEPT)
