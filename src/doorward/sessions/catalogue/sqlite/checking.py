"""Whether the file of sessions is what was written: for ``doorward verify``, beside a server or without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from doorward.sessions.catalogue.checking import damaged_rows
from doorward.sessions.catalogue.sqlite.tables import CHECKED, COUNTED, TALLIED
from doorward.store.tally import check


def check_catalogue(path: Path, key: bytes | None = None) -> Iterator[str]:
    """Yield what is wrong with the rows of sessions, a sentence each. A file of an earlier release has no sums to check.

    Found are damage and edits of a row, of what is searched of it, and one that lost its body; with the ``key`` of the tally also
    whole rows that others than retention removed, and those that were put in.
    """
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            torn = [row[0] for row in connection.execute("PRAGMA quick_check(10)") if row[0] != "ok"]
            if torn:
                yield from (f"{path} is damaged: {' '.join(text.split())}." for text in torn)
                return
            yield from _rows(connection)
            if key is not None and connection.execute(TALLIED).fetchone():
                yield from check(connection, COUNTED, key, follows_key=True)
    except sqlite3.Error as error:
        yield f"{path} can't be read: {error}."


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    if not connection.execute(CHECKED).fetchone():
        return
    strays = "SELECT count(*) FROM bodies WHERE id NOT IN (SELECT id FROM sessions)"
    if found := connection.execute(strays).fetchone()[0]:
        yield f"The catalogue holds bodies of {found} sessions that are not there."
    yield from damaged_rows(connection)
