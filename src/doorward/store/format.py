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
