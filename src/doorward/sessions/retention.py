"""Deletes old sessions: daily at 22:01, or at the next start where that was missed. Row, text and trail go together.

How long sessions are kept is said by ``channel_database_cleanup`` of their connection policy, and of ``ssh/options`` for all.
Those that wait to be archived stay until that is done. Where the clock was stepped ahead, nothing is deleted for that until it
has stood for a day.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

import structlog
from cronsim import CronSim
from msgspec import Struct, field

from doorward.events.node import zone
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.tables import decode_row
from doorward.sessions.trails import Trails
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import believed, stamp

log = structlog.get_logger()

AT: Final = "1 22 * * *"
"""When it is done (Administration Guide: at 22:01)."""
OPTIONS: Final = "/api/configuration/ssh/options"
CONNECTIONS: Final = "/api/configuration/ssh/connections"
ARCHIVES: Final = "/api/configuration/policies/archive_cleanup_policies"
AT_A_TIME: Final = 20
"""Sessions that are deleted in one go, so that others write in between."""
_MARKS_KEPT = timedelta(days=1)
_MEMORY, _BEFORE = "cleanup", "cleanup before"
"""When it was done last, and the time before that."""
_MERGED_PAGES = 500


class Terms(Struct, frozen=True):
    """How many days sessions are kept after their end. ``policies`` by key; ``all``: for every session; None: for ever."""

    all: int | None = None
    policies: Mapping[str, int] = field(default_factory=dict)
    archived: frozenset[str] = frozenset()
    """Keys of the connection policies whose trails go to an archive first."""

    def wait_for(self, row: SessionRow) -> bool:
        """Whether a session stays, however old it is, since its trail is nowhere else yet."""
        return row.policy_key in self.archived and row.has_local_trail and not row.is_archived


def terms(snapshot: Snapshot) -> Terms:
    """Return how long sessions are kept by the running configuration."""
    found = {key: days for key, document in snapshot.objects(CONNECTIONS).items() if (days := _days(document.value)) is not None}
    return Terms(_days(snapshot.value(OPTIONS)), found, archived_connections(snapshot))


def archived_connections(snapshot: Snapshot) -> frozenset[str]:
    """Return the keys of the connection policies whose trails are sent to an archive."""
    found = set()
    for key, document in snapshot.objects(CONNECTIONS).items():
        chosen = document.value.get("policies", {}).get("archive_cleanup_policy")
        policy = snapshot.document(Place(ARCHIVES, chosen)) if chosen else None
        if policy is not None and policy.value["target"]["type"] != "none":
            found.add(key)
    return frozenset(found)


def _days(body: Mapping[str, Any]) -> int | None:
    switch = body.get("channel_database_cleanup") or {}
    return int(switch["days"]) if switch.get("enabled") else None


class SessionRetention:
    """Deletes what is due. ``snapshot`` returns the running configuration; it is asked anew each time."""

    def __init__(self, catalogue: SqliteCatalogue, trails: Trails, snapshot: Callable[[], Snapshot]) -> None:
        self._catalogue, self._trails, self._snapshot = catalogue, trails, snapshot
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin to watch the clock."""
        self._thread.start()

    def stop(self) -> None:
        """End, between two sessions."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def clean(self, now: datetime) -> int:
        """Delete what is due; return how many sessions. Raises CatalogueUnavailableError, sqlite3.Error."""
        what, deleted = terms(self._snapshot()), 0
        time = believed(now, self._done(_BEFORE) or now)
        if time < now:
            log.warning("the clock is far ahead of the last clean-ups; what is old by it alone stays for a day", by=stamp(now))
        while not self._stop.is_set():
            batch = self._due(what, time)
            if not batch:
                break
            self._remove(self._catalogue.delete(batch).result())
            deleted += len(batch)
        self._remove(self._doomed())
        before = int((time - _MARKS_KEPT).timestamp() * 1000)
        self._catalogue.writer.durable(lambda c: _tidy(c, before, now, has_deleted=bool(deleted))).result()
        if deleted:
            log.info("old sessions were deleted", sessions=deleted)
        return deleted

    def _run(self) -> None:
        while not self._stop.is_set():
            now = datetime.now(UTC)
            try:
                due = self._next(now)
                if due <= now:
                    self.clean(now)
                    continue
            except (CatalogueUnavailableError, sqlite3.Error, OSError) as error:
                log.error("old sessions could not be deleted", reason=str(error))
                due = now + timedelta(hours=1)
            # In steps, since the clock, its zone and the machine's sleep move the hour.
            self._stop.wait(min((due - now).total_seconds(), 60.0))

    def _next(self, now: datetime) -> datetime:
        """Return when it is due: the first 22:01 after the last time it was done."""
        last = self._done(_MEMORY)
        begun = last or now
        if last is None:
            self._catalogue.writer.durable(lambda c: _remember(c, now)).result()
        due: datetime = next(CronSim(AT, min(begun, now).astimezone(zone(self._snapshot()))))
        return due.astimezone(UTC)

    def _done(self, which: str) -> datetime | None:
        """Return when it was done, the last time or the one before."""
        with self._catalogue.readers.reading() as connection:
            found = connection.execute("SELECT value FROM meta WHERE name = ?", (which,)).fetchone()
        return datetime.fromisoformat(found[0]) if found else None

    def _due(self, what: Terms, now: datetime) -> list[int]:
        """Return the ids of some sessions that are kept long enough."""
        limits: list[tuple[str, tuple[str, ...], int]] = [("1", (), what.all)] if what.all is not None else []
        limits += [("policy_key = ?", (key,), days) for key, days in what.policies.items()]
        with self._catalogue.readers.reading() as connection:
            for condition, values, days in limits:
                before = int((now - timedelta(days=days)).timestamp() * 1000)
                sql = (
                    "SELECT id, body FROM sessions JOIN bodies USING (id) "  # noqa: S608 - fixed texts
                    f"WHERE {condition} AND ended < ?"
                )
                rows = ((number, decode_row(body)) for number, body in connection.execute(sql, (*values, before)))
                if found := list(islice((number for number, row in rows if not what.wait_for(row)), AT_A_TIME)):
                    return found
        return []

    def _doomed(self) -> list[str]:
        """Return the trails whose rows are gone; those of a process that was killed in between too."""
        with self._catalogue.readers.reading() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM doomed")]

    def _remove(self, paths: list[str]) -> None:
        gone = []
        for path in paths:
            try:
                self._trails.delete(path)
            except OSError as error:
                log.error("a trail could not be deleted", path=path, reason=error.strerror)
            else:
                gone.append((path,))
        if gone:
            self._catalogue.writer.durable(lambda c: c.executemany("DELETE FROM doomed WHERE path = ?", gone)).result()


def _tidy(connection: sqlite3.Connection, before: int, now: datetime, *, has_deleted: bool) -> None:
    """Forget what helps against repetition once nothing is repeated any more; take words of deleted text out of the index."""
    connection.execute("DELETE FROM marks WHERE session IN (SELECT id FROM sessions WHERE ended < ?)", (before,))
    if has_deleted:
        connection.execute("INSERT INTO text_index (text_index, rank) VALUES ('merge', ?)", (_MERGED_PAGES,))
    _remember(connection, now)


def _remember(connection: sqlite3.Connection, now: datetime) -> None:
    connection.execute("INSERT OR REPLACE INTO meta SELECT ?, value FROM meta WHERE name = ?", (_BEFORE, _MEMORY))
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_MEMORY, now.isoformat()))
