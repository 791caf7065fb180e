"""Deletes old sessions: daily at 22:01, or at the next start where that was missed. Row, text and trail go together.

How long sessions are kept is said by ``channel_database_cleanup`` of their connection policy, and of ``ssh/options`` for all.
Those that wait to be archived stay until that is done. Where the clock was stepped ahead, nothing is deleted for that until it
has stood for a day.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from cronsim import CronSim
from msgspec import Struct, field

from doorward.events.node import zone
from doorward.sessions.catalogue.port import CatalogueUnavailableError, SessionCatalogue
from doorward.sessions.catalogue.results import TooSlowError
from doorward.sessions.catalogue.rows import SessionRow
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

    def __init__(self, catalogue: SessionCatalogue, trails: Trails, snapshot: Callable[[], Snapshot]) -> None:
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
        """Delete what is due; return how many sessions. Raises CatalogueUnavailableError, TooSlowError."""
        what, deleted = terms(self._snapshot()), 0
        _, before_last = self._catalogue.cleaned()
        time = believed(now, before_last or now)
        if time < now:
            log.warning("the clock is far ahead of the last clean-ups; what is old by it alone stays for a day", by=stamp(now))
        while not self._stop.is_set():
            batch = self._due(what, time)
            if not batch:
                break
            self._remove(self._catalogue.delete(batch).result())
            deleted += len(batch)
        self._remove(self._catalogue.doomed())
        before = int((time - _MARKS_KEPT).timestamp() * 1000)
        self._catalogue.tidy(before, now, has_deleted=bool(deleted))
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
            except (CatalogueUnavailableError, TooSlowError, OSError) as error:
                log.error("old sessions could not be deleted", reason=str(error))
                due = now + timedelta(hours=1)
            # In steps, since the clock, its zone and the machine's sleep move the hour.
            self._stop.wait(min((due - now).total_seconds(), 60.0))

    def _next(self, now: datetime) -> datetime:
        """Return when it is due: the first 22:01 after the last time it was done."""
        last, _ = self._catalogue.cleaned()
        if last is None:
            self._catalogue.note_cleaned(now)
        begun = last or now
        due: datetime = next(CronSim(AT, min(begun, now).astimezone(zone(self._snapshot()))))
        return due.astimezone(UTC)

    def _due(self, what: Terms, now: datetime) -> list[int]:
        """Return the ids of some sessions that are kept long enough."""
        limits: list[tuple[str | None, int]] = [(None, what.all)] if what.all is not None else []
        limits += what.policies.items()
        for policy_key, days in limits:
            before = int((now - timedelta(days=days)).timestamp() * 1000)
            if found := self._catalogue.due(policy_key, before, AT_A_TIME, what.wait_for):
                return found
        return []

    def _remove(self, paths: list[str]) -> None:
        gone = []
        for path in paths:
            try:
                self._trails.delete(path)
            except OSError as error:
                log.error("a trail could not be deleted", path=path, reason=error.strerror)
            else:
                gone.append(path)
        if gone:
            self._catalogue.forget_doomed(gone)
