"""Watches whether what the store keeps besides the configuration is whole."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.areas.area import Issue
from doorward.events.alarm import DAY, Alarm
from doorward.events.events import Events
from doorward.store.port import Store

_MAX_NAMED = 10


class RecordWatch:
    """Raises ``db_error`` when records are damaged, or gone. Looks at all of them at the start, and once a day."""

    def __init__(self, events: Events, store: Store) -> None:
        self._store = store
        self._alarm = Alarm(events, "db_error", "", DAY)
        self._looked: float | None = None

    def look(self, now: float) -> None:
        """Look at all records, unless that was done today."""
        if self._looked is not None and now - self._looked < DAY:
            return
        self._looked = now
        found = self._store.check_records() or self._store.check_tally()
        more = [f"{len(found) - _MAX_NAMED} more."] if len(found) > _MAX_NAMED else []
        self._alarm.update(now, begun=bool(found), text=" ".join(found[:_MAX_NAMED] + more) or self._alarm.text)

    def issues(self) -> Iterator[Issue]:
        """Yield which records are damaged."""
        if self._alarm.issue is not None:
            yield self._alarm.issue
