"""The format of the SQLite store: its tables, what became of older ones, and which release may open it."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from doorward import __version__
from doorward.store.port import StoreDamaged

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


def newer(release: str) -> bool:
    """Whether a release is of a later minor than this one, which then does not know all that it wrote. Raises StoreDamaged."""
    return _minor(release) > _minor(__version__)


def _minor(release: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in release.split(".")[:2])
    except ValueError:
        raise StoreDamaged(f"The database names {release} as the release that used it last, which is none.") from None
