"""A store that fails when it is told to."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from doorward.store.port import CommitRecord, Confirmation, Edit, Intent, Past, Record, Revision, Secret
from doorward.store.sqlite import SqliteStore


class FailingStore(SqliteStore):
    """``fails`` names the methods that raise; "publish_after" raises although the revision is written."""

    fails: frozenset[str] = frozenset()

    def _may(self, name: str) -> None:
        if name in self.fails:
            raise sqlite3.OperationalError("database or disk is full")

    def head(self) -> Revision | None:
        self._may("head")
        return super().head()

    def begin(self, intent: Intent, ticket: CommitRecord) -> None:
        self._may("begin")
        super().begin(intent, ticket)

    def publish(
        self,
        revision: Revision,
        edits: Sequence[Edit],
        ticket: CommitRecord | None = None,
        secrets: Sequence[Secret] = (),
        confirmation: Confirmation | None = None,
        records: Sequence[Record] = (),
        *,
        past: Past | None = None,
    ) -> Revision:
        self._may("publish")
        published = super().publish(revision, edits, ticket, secrets, confirmation, records, past=past)
        self._may("publish_after")
        return published

    def confirmation(self) -> Confirmation | None:
        self._may("confirmation")
        return super().confirmation()

    def confirmed(self, ticket: CommitRecord) -> None:
        self._may("confirmed")
        super().confirmed(ticket)

    def await_confirmation(self, confirmation: Confirmation, ticket: CommitRecord | None = None) -> None:
        self._may("await_confirmation")
        super().await_confirmation(confirmation, ticket)

    def close_journal(self, ticket: CommitRecord | None = None) -> None:
        self._may("close_journal")
        super().close_journal(ticket)

    def save_commit_record(self, ticket: CommitRecord) -> None:
        self._may("save_commit_record")
        super().save_commit_record(ticket)
