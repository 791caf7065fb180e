"""Rows of the history in the SQLite store. Within somebody's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

from doorward.store.port import Edit, Past, Revision


class Proof(NamedTuple):
    """What shows of a revision that its node wrote it: the mark under the data key, and a signature that others can check."""

    mark: str
    signature: str


def put_revision(connection: sqlite3.Connection, revision: Revision, proof: Proof, edits: Sequence[Edit]) -> None:
    """Write a revision with its edits and its proof, and what they make of the documents."""
    values = (
        revision.number, revision.author, revision.address, revision.time, revision.message, revision.changes,
        revision.parent_hash, revision.hash, *proof, revision.approvers, revision.emergency,
    )  # fmt: skip
    connection.execute("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    rows = [
        (revision.number, ordinal, path, key, position, old, new)
        for ordinal, (path, key, position, old, new) in enumerate(edit.as_json() for edit in edits)
    ]
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    kept = [(path, key, position, new) for _, _, path, key, position, _, new in rows if new is not None]
    gone = [(path, key) for _, _, path, key, _, _, new in rows if new is None]
    connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", kept)
    connection.executemany("DELETE FROM documents WHERE path = ? AND key = ?", gone)


def take_over(
    connection: sqlite3.Connection, past: Past, edits: Sequence[Edit], prove: Callable[[Revision], Proof]
) -> None:  # fmt: skip
    """Replace the history that is there, and what hangs on it; ``prove`` proves the new one. ``edits`` will follow."""
    named = {edit.place.key for edit in edits} | {edit.place.key for _, changes in past.revisions() for edit in changes}
    strays = [row for row in connection.execute("SELECT key FROM secrets").fetchall() if row[0] not in named]
    connection.executemany("DELETE FROM secrets WHERE key = ?", strays)
    for table in ("changes", "revisions", "documents"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - constant tables
    connection.execute("DELETE FROM commits WHERE revision IS NOT NULL")  # their revisions are no more
    for revision, changes in past.revisions():
        put_revision(connection, revision, prove(revision), changes)
