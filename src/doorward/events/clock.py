"""Watches whether the clock follows its time servers (time contract, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from doorward.areas.area import Issue
from doorward.configuration.datetime.ntp_servers import NODE, PATH
from doorward.events.alarm import Alarm
from doorward.events.events import Events
from doorward.host.time_status import TimeStatus
from doorward.tree.snapshot import Snapshot

_UNSYNCHRONISED_SECONDS = 15 * 60.0
_OFFSET_SECONDS = 5 * 60.0
_DOWN_SECONDS = 60.0
_WELL_SECONDS = 5 * 60.0
_LARGE_OFFSET = 1.0
_SMALL_OFFSET = 0.1
_FEW_SECONDS = 15 * 60.0
_ENOUGH = 3
"""Fewer sources can't outvote one that is wrong (RFC 8633, section 3.2)."""


class TimeWatch:
    """Raises ``time_sync_lost`` when one of the conditions has lasted long enough, and ends it when all is well for a while."""

    def __init__(self, events: Events, snapshot: Callable[[], Snapshot], status: Callable[[], TimeStatus]) -> None:
        self._snapshot, self._status = snapshot, status
        self._alarm = Alarm(events, "time_sync_lost", PATH)
        self._since: dict[str, float] = {}
        self._few: Issue | None = None

    def look(self, now: float) -> None:
        """Ask the time daemon how it does."""
        wanted = bool(self._snapshot().read(NODE))
        status = self._status()
        offset = status.clock.offset_seconds
        unsynchronised = wanted and not status.clock.synchronised
        far = offset is not None and abs(offset) > _LARGE_OFFSET
        well = status.daemon.running and (not wanted or status.clock.synchronised) and abs(offset or 0.0) < _SMALL_OFFSET
        reasons = [
            self._lasting("unsynchronised", now, unsynchronised, _UNSYNCHRONISED_SECONDS) and "The clock is not synchronised.",
            self._lasting("far", now, far, _OFFSET_SECONDS) and f"The clock is off by {offset or 0.0:.1f} s.",
            self._lasting("down", now, not status.daemon.running, _DOWN_SECONDS) and "The time daemon is not running.",
        ]
        over = self._lasting("well", now, well, _WELL_SECONDS)
        found = [reason for reason in reasons if reason]
        text = " ".join(found) or self._alarm.text
        sources = {f"source {source.value} {source.address or ''}".rstrip(): source.state for source in status.sources}
        self._alarm.update(now, begun=bool(found), over=over, text=text, **sources)
        answering = sum(source.reachability > 0 for source in status.sources)
        few = wanted and status.daemon.running and answering < _ENOUGH
        text = f"Of the time servers {answering} answer; with fewer than three one that is wrong can't be told from the others."
        self._few = Issue(text, PATH) if self._lasting("few", now, few, _FEW_SECONDS) else None

    def _lasting(self, name: str, now: float, holds: bool, seconds: float) -> bool:  # noqa: FBT001 - the condition itself
        """Whether a condition has held for so long."""
        if not holds:
            self._since.pop(name, None)
            return False
        return now - self._since.setdefault(name, now) >= seconds

    def issues(self) -> Iterator[Issue]:
        """Yield what is wrong with the clock."""
        if self._alarm.issue is not None:
            yield self._alarm.issue
        if self._few is not None:
            yield self._few
