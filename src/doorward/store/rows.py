"""Rows of the SQLite store: how revisions, records and commit records are written, inside of somebody's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from doorward.store.port import CommitRecord, Confirmation, Edit, Record, Revision, StoreDamagedError
from doorward.tree.jsontext import decode_own, encode

TICKET = "id, user, started, state, finished, revision, error, warnings, idempotency_key, request, account, results"
"""The columns of a commit record."""
CONFIRMATION = "ticket, user, revision, deadline, seconds, boot, moment, failure"
"""The columns of a commit that awaits its confirmation."""


def put_revision(connection: sqlite3.Connection, revision: Revision, mark: str, edits: Sequence[Edit]) -> None:
    """Write a revision with its edits and its mark, and what they make of the documents."""
    values = (
        revision.number, revision.author, revision.address, revision.time, revision.message, revision.changes,
        revision.parent_hash, revision.hash, mark,
    )  # fmt: skip
    connection.execute("INSERT INTO revisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    rows = [
        (revision.number, ordinal, path, key, position, old, new)
        for ordinal, (path, key, position, old, new) in enumerate(edit.as_json() for edit in edits)
    ]
    connection.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    kept = [(path, key, position, new) for _, _, path, key, position, _, new in rows if new is not None]
    gone = [(path, key) for _, _, path, key, _, _, new in rows if new is None]
    connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", kept)
    connection.executemany("DELETE FROM documents WHERE path = ? AND key = ?", gone)


def put_record(connection: sqlite3.Connection, record: Record) -> None:
    """Add a record, or replace its body."""
    values = (record.kind, record.id, encode(record.body).decode())
    sql = "INSERT INTO records (kind, id, body) VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body"
    connection.execute(sql, values)


def put_commit_record(connection: sqlite3.Connection, ticket: CommitRecord) -> None:
    """Write a commit record."""
    values = (
        ticket.id, ticket.user, ticket.started, ticket.state, ticket.finished, ticket.revision,
        None if ticket.error is None else encode(ticket.error).decode(), encode(ticket.warnings).decode(),
        ticket.idempotency_key, ticket.request, ticket.account,
        None if ticket.results is None else encode(ticket.results).decode(),
    )  # fmt: skip
    updated = ", ".join(f"{name} = excluded.{name}" for name in TICKET.split(", ")[3:])
    sql = f"INSERT INTO commits ({TICKET}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET {updated}"  # noqa: S608 - constant columns
    connection.execute(sql, values)


def put_confirmation(connection: sqlite3.Connection, pending: Confirmation, ticket: CommitRecord | None = None) -> None:
    """Write which commit awaits its confirmation, and its record; there is one at a time."""
    values = (
        pending.ticket, pending.user, pending.revision, pending.deadline, pending.seconds, pending.boot, pending.moment,
        pending.failure,
    )  # fmt: skip
    sql = f"INSERT OR REPLACE INTO confirmation (only, {CONFIRMATION}) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constant columns
    connection.execute(sql, values)
    if ticket:
        put_commit_record(connection, ticket)


def value_of(text: str) -> Any:
    """Return the JSON value of a column. Raises StoreDamagedError where it holds none."""
    try:
        return decode_own(text.encode())
    except msgspec.DecodeError as error:
        raise StoreDamagedError(f"A row of the database was altered: {error}.") from error


def commit_record_of(row: Sequence[Any]) -> CommitRecord:
    """Return the commit record of a row."""
    values = list(row)
    error, warnings = values[6:8]
    values[6:8] = None if error is None else value_of(error), value_of(warnings)
    values[11] = None if values[11] is None else value_of(values[11])
    return CommitRecord(*values)
