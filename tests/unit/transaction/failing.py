"""A store that fails when it is told to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from doorward.store.database import UndecidedError
from doorward.store.port import CommitRecord, Confirmation, Edit, Intent, Past, Revision, Secret, StoredRecord
from doorward.store.sqlite import SqliteStore


class FailingStore(SqliteStore):
    """``fails`` names the methods that raise; "publish_after" raises although the revision is written.

    "undecided" is a disk that refuses to sync a revision that it has.
    """

    fails: frozenset[str] = frozenset()

    def _may(self, name: str) -> None:
        if name in self.fails:
            raise sqlite3.OperationalError("database or disk is full")

    def head(self) -> Revision | None:
        self._may("head")
        return super().head()

    def begin(self, intent: Intent, commit_record: CommitRecord) -> None:
        self._may("begin")
        super().begin(intent, commit_record)

    def publish(
        self,
        revision: Revision,
        edits: Sequence[Edit],
        commit_record: CommitRecord | None = None,
        secrets: Sequence[Secret] = (),
        confirmation: Confirmation | None = None,
        records: Sequence[StoredRecord] = (),
        *,
        past: Past | None = None,
    ) -> Revision:
        self._may("publish")
        if "undecided" in self.fails:
            raise UndecidedError("disk I/O error")
        published = super().publish(revision, edits, commit_record, secrets, confirmation, records, past=past)
        self._may("publish_after")
        return published

    def confirmation(self) -> Confirmation | None:
        self._may("confirmation")
        return super().confirmation()

    def confirmed(self, commit_record: CommitRecord) -> None:
        self._may("confirmed")
        super().confirmed(commit_record)

    def await_confirmation(self, confirmation: Confirmation, commit_record: CommitRecord | None = None) -> None:
        self._may("await_confirmation")
        super().await_confirmation(confirmation, commit_record)

    def close_journal(self, commit_record: CommitRecord | None = None) -> None:
        self._may("close_journal")
        super().close_journal(commit_record)

    def save_commit_record(self, commit_record: CommitRecord, records: Sequence[StoredRecord] = ()) -> None:
        self._may("save_commit_record")
        super().save_commit_record(commit_record, records)
