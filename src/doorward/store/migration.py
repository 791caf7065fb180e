"""Formats of SQLite files: a file is brought from an older one to that of this release in one step, or is left as it was.

The transaction of SQLite is the journal: after a crash the file has the old format or the new one. The table ``migrations`` says
which release made or changed the file, and when. A file of a newer release is refused before anything is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct

from doorward import __version__

Step = Callable[[sqlite3.Connection], object]
"""Changes the tables of a file of one format to those of the next. Within somebody's transaction."""

_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS migrations (format INTEGER PRIMARY KEY, release TEXT NOT NULL, time TEXT NOT NULL) STRICT
"""

TALLY: Final = """
CREATE TABLE IF NOT EXISTS tally (only INTEGER PRIMARY KEY CHECK (only = 1), totals BLOB NOT NULL, mark TEXT NOT NULL) STRICT
"""
"""What both databases have got within format 1."""

log = structlog.get_logger()


class FormatError(Exception):
    """The file has a format that this release can't use. The text names it and the file."""


class NewerFormatError(FormatError):
    """A newer release has written the file; it is as that release left it. The text names both releases."""


class Formats(Struct, frozen=True):
    """The formats of a file: ``steps[0]`` leads from format 1 to 2, and so on up to that of this release."""

    steps: tuple[Step, ...]

    @property
    def current(self) -> int:
        """The format of this release."""
        return len(self.steps) + 1

    def make(self, connection: sqlite3.Connection, script: str) -> None:
        """Make the tables of a new file; none that is there is touched."""
        with transaction(connection):
            run(connection, script)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (str(self.current),))
            self._note(connection)

    def bring_up(self, connection: sqlite3.Connection, path: Path) -> None:
        """Bring a file to the format of this release. Raises FormatError, NewerFormatError, sqlite3.Error."""
        found = self.check(connection, path)
        if found == self.current:
            return
        with transaction(connection):
            for step in self.steps[found - 1 :]:
                step(connection)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (str(self.current),))
            self._note(connection)
        log.info("brought to the format of this release", file=str(path), before=found, format=self.current)

    def check(self, connection: sqlite3.Connection, path: Path) -> int:
        """Return the format of a file. Raises FormatError, NewerFormatError, sqlite3.Error."""
        meta = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('format', 'release')"))
        text = str(meta.get("format", "none"))
        number = int(text) if text.isascii() and text.isdecimal() else 0
        release = str(meta.get("release", __version__))
        if number > self.current:
            writer = _writer(connection, meta.get("release"))
            raise NewerFormatError(
                f"{path} was written by {writer} (format {text}); this is release {__version__}, "
                f"which knows formats up to {self.current}. Nothing was changed: use that release, or restore a backup."
            )
        if number == 0:
            raise FormatError(f"{path} has format {text}; this release reads formats 1 to {self.current}.")
        if is_newer(release, path):
            raise NewerFormatError(
                f"{path} was used by release {release}; this is {__version__}, which would lose some of it. "
                "Nothing was changed: use that release, or restore a backup."
            )
        return number

    def refuse_newer(self, path: Path) -> None:
        """Raise NewerFormatError where a newer release has written a file. Nothing is written; other faults pass."""
        if not path.exists():
            return
        log_file = path.with_name(f"{path.name}-wal")
        # A file without a log is not touched at all by who takes it for unchangeable.
        way = "mode=ro" if log_file.exists() else "immutable=1"
        with suppress(sqlite3.Error, UnicodeDecodeError), closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)
        ) as connection:  # fmt: skip
            try:
                self.check(connection, path)
            except NewerFormatError:
                raise
            except FormatError:
                return  # whoever opens it says so

    def _note(self, connection: sqlite3.Connection) -> None:
        connection.execute(_JOURNAL)
        row = (self.current, __version__, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        connection.execute("INSERT OR IGNORE INTO migrations VALUES (?, ?, ?)", row)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of a block in one transaction, or nothing of it. The connection begins none by itself."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def run(connection: sqlite3.Connection, script: str) -> None:
    """Run statements within a transaction, which ``executescript`` would end."""
    statement = ""
    for piece in script.split(";"):
        statement += f"{piece};"
        # Comments and texts may hold semicolons too.
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def has_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Return whether a table is there and has a column."""
    sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return connection.execute(sql, (table, column)).fetchone() is not None


def has_table(connection: sqlite3.Connection, table: str) -> bool:
    """Return whether a table is there."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone() is not None


def is_newer(release: str, path: Path) -> bool:
    """Return whether a release is of a later minor than this one, which then does not know all it wrote. Raises FormatError."""
    try:
        return _minor(release) > _minor(__version__)
    except ValueError:
        raise FormatError(f"{path} names {release} as the release that used it last, which is none.") from None


def _minor(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])


def _writer(connection: sqlite3.Connection, release: object) -> str:
    """Return who wrote a file, as far as it says so."""
    with suppress(sqlite3.Error):
        found = connection.execute("SELECT release FROM migrations ORDER BY format DESC LIMIT 1").fetchone()
        release = found[0] if found is not None else release
    return f"release {release}" if release is not None else "another release"
