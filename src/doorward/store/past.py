"""How a SQLite store takes over the history of another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from doorward.store.port import Edit, Past
from doorward.store.rows import put_revision
from doorward.store.vault import Vault


def take_over(connection: sqlite3.Connection, past: Past, edits: Sequence[Edit], vault: Vault) -> None:
    """Replace the history that is there, and what hangs on it; ``vault`` marks the new one. ``edits`` will follow."""
    named = {edit.place.key for edit in edits} | {edit.place.key for _, changes in past.revisions() for edit in changes}
    strays = [row for row in connection.execute("SELECT key FROM secrets").fetchall() if row[0] not in named]
    connection.executemany("DELETE FROM secrets WHERE key = ?", strays)
    for table in ("changes", "revisions", "documents"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constant tables
    connection.execute("DELETE FROM commits WHERE revision IS NOT NULL")  # their revisions are no more
    for revision, changes in past.revisions():
        put_revision(connection, revision, vault.mark(revision.hash), changes)
