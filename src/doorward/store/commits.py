"""Rows of commits in the SQLite store: their records, and the one that awaits its confirmation. Within somebody's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from doorward.store.port import CommitRecord, Confirmation, DamagedRecordError
from doorward.store.records import checksum
from doorward.tree.jsontext import decode_own, encode

COLUMNS = (
    "id", "user", "started", "state", "finished", "revision", "error", "warnings", "idempotency_key", "request", "account",
    "results",
)  # fmt: skip
"""The columns of a commit record, in the order of its members."""
_JSON = {"error", "warnings", "results"}

ROW = ", ".join(name if name == "revision" else f"CAST({name} AS BLOB)" for name in COLUMNS) + ", CAST(checksum AS BLOB)"
"""What is read of a commit record; as bytes for the same reason as other records."""
CONFIRMATION = "ticket, user, revision, deadline, seconds, boot, moment, failure"
"""The columns of a commit that awaits its confirmation."""

_UPDATED = ", ".join(f"{name} = excluded.{name}" for name in (*COLUMNS[3:], "checksum"))
_PUT = (
    f"INSERT INTO commits ({', '.join(COLUMNS)}, checksum) VALUES ({', '.join('?' * len(COLUMNS))}, ?) "  # noqa: S608 - constant columns
    f"ON CONFLICT (id) DO UPDATE SET {_UPDATED} RETURNING user, started"
)


def put_commit_record(connection: sqlite3.Connection, commit_record: CommitRecord) -> None:
    """Write a commit record."""
    values: list[Any] = [getattr(commit_record, name) for name in COLUMNS]
    for at, name in enumerate(COLUMNS):
        if name in _JSON and values[at] is not None:
            values[at] = encode(values[at]).decode()
    [(user, started)] = connection.execute(_PUT, (*values, sum_of(commit_record))).fetchall()
    if (user, started) != (commit_record.user, commit_record.started):  # one that is known began when it did
        whole = sum_of(replace(commit_record, user=user, started=started))
        connection.execute("UPDATE commits SET checksum = ? WHERE id = ?", (whole, commit_record.id))


def sum_of(commit_record: CommitRecord) -> str:
    """Return the checksum of a commit record."""
    return checksum(encode(commit_record))


def commit_record_of(row: Sequence[Any], *, is_checked: bool = True) -> CommitRecord:
    """Return the commit record of a row made of ``ROW``. Raises DamagedRecordError."""
    damaged = DamagedRecordError(f"The commit record {bytes(row[0]).decode('utf-8', 'replace')}")
    try:
        found = CommitRecord(*(_value(name, value) for name, value in zip(COLUMNS, row[:-1], strict=True)))
    except ValueError:
        raise damaged from None
    if is_checked and sum_of(found).encode() != row[-1]:
        raise damaged
    return found


def _value(column: str, value: Any) -> Any:
    if value is None or column == "revision":
        return value
    return decode_own(value) if column in _JSON else value.decode()


def put_confirmation(connection: sqlite3.Connection, pending: Confirmation, commit_record: CommitRecord | None = None) -> None:
    """Write which commit awaits its confirmation, and its record; there is one at a time."""
    values = (
        pending.commit_id, pending.user, pending.revision, pending.deadline, pending.seconds, pending.boot, pending.moment,
        pending.failure,
    )  # fmt: skip
    sql = f"INSERT OR REPLACE INTO confirmation (only, {CONFIRMATION}) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - constant columns
    connection.execute(sql, values)
    if commit_record:
        put_commit_record(connection, commit_record)


def mark_reverted(connection: sqlite3.Connection) -> None:
    """Note of the commit that awaits its confirmation that it was taken back. One whose record is damaged is left alone."""
    sql = f"SELECT {ROW} FROM commits WHERE id IN (SELECT ticket FROM confirmation)"  # noqa: S608 - constant columns
    for row in connection.execute(sql).fetchall():
        try:
            put_commit_record(connection, replace(commit_record_of(row), state="reverted", error=None))
        except DamagedRecordError:
            continue


def forget_keys(connection: sqlite3.Connection, before: str) -> None:
    """Forget the Idempotency-Keys of records that started before a time, with what became of each change."""
    sql = f"SELECT {ROW} FROM commits WHERE idempotency_key IS NOT NULL AND started < ?"  # noqa: S608 - constant columns
    for row in connection.execute(sql, (before,)).fetchall():
        try:
            put_commit_record(connection, replace(commit_record_of(row), idempotency_key=None, results=None))
        except DamagedRecordError:
            connection.execute("UPDATE commits SET idempotency_key = NULL WHERE CAST(id AS BLOB) = ?", (row[0],))
