"""The format of the SQLite store: its tables, what became of older ones, and which release may open it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Final

from doorward import __version__
from doorward.store.commits import ROW as COMMIT
from doorward.store.commits import commit_record_of, sum_of
from doorward.store.migration import TALLY, FormatError, Formats, has_column, has_table, run
from doorward.store.port import DamagedRecordError, StoreDamagedError
from doorward.store.records import checksum

RECORDS = """
CREATE TABLE IF NOT EXISTS records (
  number INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (kind, id)
) STRICT
"""
"""The youngest table, which the first stores did not have."""

MAILS_INTO_RECORDS = """
INSERT OR IGNORE INTO records (kind, id, body)
  SELECT 'mail', id, json_object('due', due, 'queued', queued, 'recipient', recipient, 'subject', subject, 'text', text)
  FROM mails;
DROP TABLE mails;
"""
"""Run once on a store that still has a table for mails."""

RESULTS_OF_CHANGES = "ALTER TABLE commits ADD COLUMN results TEXT"
"""Run once on a store whose commit records have no such column."""

SIGNED_HISTORY = """
ALTER TABLE revisions ADD COLUMN signature TEXT NOT NULL DEFAULT '';
CREATE INDEX IF NOT EXISTS changes_by_place ON changes (path, key, revision);
"""
"""Run once on a store whose revisions have no signatures, and whose changes are not found by their place."""

APPROVALS = """
ALTER TABLE revisions ADD COLUMN approvers TEXT NOT NULL DEFAULT '';
ALTER TABLE revisions ADD COLUMN emergency INTEGER NOT NULL DEFAULT 0;
"""
"""Run once on a store whose revisions do not say who approved them."""

CONFIRMATION_COLUMNS = """
ALTER TABLE confirmation ADD COLUMN seconds REAL NOT NULL DEFAULT 3600;
ALTER TABLE confirmation ADD COLUMN boot TEXT NOT NULL DEFAULT '';
ALTER TABLE confirmation ADD COLUMN moment REAL NOT NULL DEFAULT 0;
ALTER TABLE confirmation ADD COLUMN failure TEXT;
"""
"""Run once on a store that knows of a commit that awaits its confirmation only when that ends."""


_USERS = "/api/configuration/aaa/local_database/users"
_NAMES = """
SELECT key, coalesce(json_extract(new, '$.name'), ''), time FROM changes JOIN revisions ON number = revision
  WHERE path = ? ORDER BY revision, ordinal
"""


def give_accounts(connection: sqlite3.Connection) -> None:
    """Give commit records that have only the name of who committed the key of the account that had the name at that time.

    A name that had passed on to another account meanwhile gives no claim to what was committed under it before.
    """
    named: dict[str, str] = {}
    since: dict[str, tuple[str, str]] = {}
    for key, name, time in connection.execute(_NAMES, (_USERS,)):
        before = named.get(key, "")
        if name != before:
            if since.get(before, ("", ""))[0] == key:
                del since[before]
            named[key], since[name] = name, (key, time)
    rows = connection.execute("SELECT rowid, user, started FROM commits").fetchall()
    owned = [(since[user][0], number) for number, user, started in rows if user in since and started >= since[user][1]]
    connection.execute("ALTER TABLE commits ADD COLUMN account TEXT NOT NULL DEFAULT ''")
    connection.executemany("UPDATE commits SET account = ? WHERE rowid = ?", owned)
    connection.execute("DROP INDEX IF EXISTS commits_by_key")
    connection.execute("CREATE INDEX commits_by_account ON commits (account, idempotency_key) WHERE idempotency_key IS NOT NULL")


def _schema() -> str:
    return files("doorward.store").joinpath("schema.sql").read_text()


CHECKSUMS = "ALTER TABLE {} ADD COLUMN checksum TEXT NOT NULL DEFAULT ''"
"""Run once on each table of records that has none."""

_IS_TEXT = "CASE WHEN json_valid(body) THEN json_type(body) END = 'text'"  # a damaged body is no JSON
OBJECTS = f"""
UPDATE records SET body = json_object('uuid', json_extract(body, '$')) WHERE kind = 'node' AND {_IS_TEXT};
UPDATE records SET body = json_object('sealed', json_extract(body, '$')) WHERE kind = 'restored_file' AND {_IS_TEXT};
UPDATE records SET kind = 'cluster_removal', id = 'node', body = json_object('at', json_extract(body, '$'))
  WHERE kind = 'cluster_sync' AND id = 'removed' AND {_IS_TEXT};
"""  # noqa: S608 - constant conditions
"""Run once on records without checksums: the body of each is an object from now on."""


def add_checksums(connection: sqlite3.Connection) -> None:
    """Give records checksums."""
    for table in ("commits", "records"):
        if not has_column(connection, table, "checksum"):
            connection.execute(CHECKSUMS.format(table))
    run(connection, OBJECTS)
    casts = ", ".join(f"CAST({name} AS BLOB)" for name in ("kind", "id", "body"))
    records = connection.execute(f"SELECT number, {casts} FROM records").fetchall()  # noqa: S608 - constant columns
    sums = [(checksum(*parts), number) for number, *parts in records]
    connection.executemany("UPDATE records SET checksum = ? WHERE number = ?", sums)
    rows = connection.execute(f"SELECT rowid, {COMMIT} FROM commits").fetchall()  # noqa: S608 - constant columns
    sums = []
    for number, *row in rows:
        with suppress(DamagedRecordError):  # it stays without one, and is found
            sums.append((sum_of(commit_record_of(row, is_checked=False)), number))
    connection.executemany("UPDATE commits SET checksum = ? WHERE rowid = ?", sums)


def number_formats(connection: sqlite3.Connection) -> None:
    """Lead from format 1, which had several shapes before formats were counted, to format 2: each is known by what it lacks."""
    if not has_column(connection, "commits", "account"):
        give_accounts(connection)
    run(connection, RECORDS)
    if has_table(connection, "mails"):
        run(connection, MAILS_INTO_RECORDS)
    if not has_column(connection, "confirmation", "boot"):
        run(connection, CONFIRMATION_COLUMNS)
    if not has_column(connection, "commits", "results"):
        run(connection, RESULTS_OF_CHANGES)
    if not all(has_column(connection, table, "checksum") for table in ("commits", "records")):
        add_checksums(connection)
    if not has_column(connection, "revisions", "signature"):
        run(connection, SIGNED_HISTORY)
    if not has_column(connection, "revisions", "approvers"):
        run(connection, APPROVALS)
    run(connection, TALLY)


FORMATS: Final = Formats((number_formats,))
"""A change of the tables adds a step here; schema.sql has them as they are now, and no step uses it."""


def bring_up(connection: sqlite3.Connection, path: Path, *, is_user: bool) -> None:
    """Make the tables of this release in a file, unless another one that it can't follow was there.

    ``is_user``: note that this release has used it, and bring an older one up. Who only looks leaves everything as it is.
    Raises StoreDamagedError.
    """
    try:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            FORMATS.make(connection, _schema())
        if not is_user:
            if FORMATS.check(connection, path) < FORMATS.current:
                raise StoreDamagedError(f"{path} is as an earlier release left it; the next start of the server brings it up.")
            return
        FORMATS.bring_up(connection, path)
    except FormatError as error:
        raise StoreDamagedError(str(error)) from error
    noted = connection.execute("SELECT value FROM meta WHERE name = 'release'").fetchone()
    if noted != (__version__,):
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('release', ?)", (__version__,))
