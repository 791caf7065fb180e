"""The format of the SQLite store: its tables, what became of older ones, and which release may open it."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

from doorward import __version__
from doorward.store.commits import ROW as COMMIT
from doorward.store.commits import commit_record_of, sum_of
from doorward.store.port import DamagedRecordError, StoreDamagedError
from doorward.store.records import checksum

FORMAT = "1"
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
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ALTER TABLE commits ADD COLUMN account TEXT NOT NULL DEFAULT ''")
    connection.executemany("UPDATE commits SET account = ? WHERE rowid = ?", owned)
    connection.execute("DROP INDEX IF EXISTS commits_by_key")
    connection.execute("CREATE INDEX commits_by_account ON commits (account, idempotency_key) WHERE idempotency_key IS NOT NULL")
    connection.execute("COMMIT")


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that are not there yet."""
    script = files("doorward.store").joinpath("schema.sql").read_text()
    connection.executescript("BEGIN IMMEDIATE;" + script + "COMMIT;")


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
    """Give records checksums, in one step."""
    connection.execute("BEGIN IMMEDIATE")
    for table in ("commits", "records"):
        if not _has_checksums(connection, table):
            connection.execute(CHECKSUMS.format(table))
    for statement in OBJECTS.split(";")[:-1]:
        connection.execute(statement)
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
    connection.execute("COMMIT")


def _has_checksums(connection: sqlite3.Connection, table: str) -> bool:
    sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = 'checksum'"
    return connection.execute(sql, (table,)).fetchone() is not None


def bring_up(connection: sqlite3.Connection, path: Path, *, note_release: bool) -> None:
    """Make the tables of this release in a file, unless another one that it can't follow was there.

    ``note_release``: note that this release has used it. Raises StoreDamagedError.
    """
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        make_tables(connection)
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta.get("format") != FORMAT:
        raise StoreDamagedError(f"{path} has format {meta.get('format')}; this release reads format {FORMAT}.")
    if newer(meta.get("release", __version__)):
        raise StoreDamagedError(f"{path} was used by release {meta['release']}; this is {__version__}, which would lose some.")
    upgrade(connection)
    if note_release and meta.get("release") != __version__:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('release', ?)", (__version__,))


def upgrade(connection: sqlite3.Connection) -> None:
    """Bring the tables of a store that an earlier release made to those of now."""
    if not connection.execute("SELECT 1 FROM pragma_table_info('commits') WHERE name = 'account'").fetchone():
        give_accounts(connection)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tally'").fetchone():
        make_tables(connection)  # the youngest table: the store was made before there was one
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mails'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE;{MAILS_INTO_RECORDS}COMMIT;")
    if not connection.execute("SELECT 1 FROM pragma_table_info('confirmation') WHERE name = 'boot'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE;{CONFIRMATION_COLUMNS}COMMIT;")
    if not connection.execute("SELECT 1 FROM pragma_table_info('commits') WHERE name = 'results'").fetchone():
        connection.execute(RESULTS_OF_CHANGES)
    if not all(_has_checksums(connection, table) for table in ("commits", "records")):
        add_checksums(connection)
    if not connection.execute("SELECT 1 FROM pragma_table_info('revisions') WHERE name = 'signature'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE;{SIGNED_HISTORY}COMMIT;")
    if not connection.execute("SELECT 1 FROM pragma_table_info('revisions') WHERE name = 'approvers'").fetchone():
        connection.executescript(f"BEGIN IMMEDIATE;{APPROVALS}COMMIT;")


def newer(release: str) -> bool:
    """Whether a release is of a later minor than this one, which then does not know all it wrote. Raises StoreDamagedError."""
    return _minor(release) > _minor(__version__)


def _minor(release: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in release.split(".")[:2])
    except ValueError:
        raise StoreDamagedError(f"The database names {release} as the release that used it last, which is none.") from None
