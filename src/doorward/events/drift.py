"""Watches whether the host still is what the running revision says, tells of it, and puts it back where that is wanted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

import structlog
from msgspec import Struct

from doorward.areas.area import Area, Issue, Metric
from doorward.areas.worker import Worker
from doorward.configuration.management import drift as settings
from doorward.events.alarm import Alarm
from doorward.events.events import Events
from doorward.host.changes import HostChanges
from doorward.host.plan import HostWarning
from doorward.host.resources import Daemon, HostResource
from doorward.store.port import CommitRecord, Edit
from doorward.transaction.pipeline import ApplyFailed, Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.transaction.repair import repair
from doorward.tree.times import stamp

log = structlog.get_logger()

EVERY_SECONDS = 30.0
"""How often everything is looked at where nothing tells of a change."""
MAX_REPAIRS, REPAIR_SECONDS = 3, 600.0
"""So many repairs in so long: whoever changes it back is stronger."""
_SETTLE_SECONDS = {"configuration_drift": 0.3, "daemon_down": 3.0}
"""For how long a difference has to be seen before it counts; a daemon may be between two starts."""
_SOON_SECONDS = 0.3
_CALM_SECONDS = 0.1
"""What changes together is looked at together."""
_AFTER_COMMIT_SECONDS = 0.5
"""How long after a commit that concerns the host. The commit has just verified it, and the next one should not have to share."""


class DriftEntry(Struct, frozen=True):
    """One difference between host and running revision, and the UTC text since when it is known."""

    warning: HostWarning
    since: str


@dataclass(slots=True)
class _Seen:
    at: float
    drift: DriftEntry


class DriftWatch(Area):
    """Raises ``configuration_drift`` for each endpoint whose part of the host differs; health tells of it by itself."""

    def __init__(
        self, events: Events, pipeline: Pipeline, queue: CommitQueue, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._events, self._pipeline, self._queue, self._clock = events, pipeline, queue, clock
        self._alarms: dict[str, Alarm] = {}
        self._loop = Alarm(events, "drift_loop", settings.PATH)
        self._seen: dict[tuple[str, str, str], _Seen] = {}
        self._repairs = deque[float]()
        self._looked = self._committed = -EVERY_SECONDS
        self._looking = threading.Lock()
        self._worker = Worker("drift", self._turn)
        self._changes = HostChanges(self._changed, network=pipeline.host.name == "system")

    # Life

    def start(self) -> None:
        """Begin to look."""
        self._changes.start()
        self._worker.start()

    def stop(self) -> None:
        """Look no more."""
        self._worker.stop()
        self._changes.stop()

    def follow(self, revision: object, edits: Sequence[Edit]) -> None:
        """Look again if the host may have to be something else by now. Other rules for repairs have them begin anew."""
        del revision
        changed = {edit.place.path for edit in edits}
        if settings.PATH in changed:
            self._repairs.clear()
        if settings.PATH in changed or self._pipeline.tree.concerns_host(changed):
            self._committed = self._clock()
            self._worker.wake()

    def _changed(self) -> None:
        time.sleep(_CALM_SECONDS)
        self._worker.wake()

    # What is known

    def found(self) -> list[DriftEntry]:
        """Return what differs, as far as that is known, those first that are known longest."""
        now = self._clock()
        with self._looking:
            return [seen.drift for seen in self._seen.values() if now - seen.at >= _SETTLE_SECONDS[seen.drift.warning.code]]

    def issues(self) -> Iterator[Issue]:
        """Yield that nothing is repaired any more; what differs is looked at again whenever health is asked for."""
        if (issue := self._loop.issue) is not None:
            yield Issue(issue.message, issue.path, "error")

    def metrics(self) -> Iterator[Metric]:
        """Yield whether repairs were given up."""
        is_over = self._loop.issue is not None
        yield Metric("doorward_drift_repairs_given_up", "1 while drift is repaired no more: repairs did not last.", is_over)

    # Looking

    def _turn(self) -> float:
        now = self._clock()
        left = self._committed + _AFTER_COMMIT_SECONDS - now
        return left if left > 0 and now < self._looked + EVERY_SECONDS else self.look(now)

    def look(self, now: float) -> float:
        """Compare the host with the running revision; return when to look again.

        What is seen in the middle of a commit counts for nothing.
        """
        self._looked = now
        pipeline, running, host = self._pipeline, self._pipeline.running, self._pipeline.host
        rules = running.snapshot.read(settings.NODE)
        desired = self._wanted()
        directories = {PurePosixPath(path).parent for one in desired if (path := host.path_of(one)) is not None}
        directories |= {PurePosixPath(path).parents[1] for one in desired if isinstance(one, Daemon) for path in one.reload_on}
        self._changes.watch([host.root / str(directory).lstrip("/") for directory in sorted(directories)])
        warnings = [warning for warning in host.drift(desired) if warning.code in _SETTLE_SECONDS]
        if pipeline.now_doing or pipeline.running is not running:
            return _SOON_SECONDS
        settled, is_settled = self._noted(warnings, now)
        self._tell(settled, now)
        if settled and rules.mode == "repair":
            self._repair_settled(settled, now)
        self._loop_over(now, is_calm=not warnings)
        return EVERY_SECONDS if is_settled else _SOON_SECONDS

    def _wanted(self) -> list[HostResource]:
        """Return what the host should have, but for what may differ."""
        pipeline, snapshot = self._pipeline, self._pipeline.running.snapshot
        rules = snapshot.read(settings.NODE)
        return [one for one in pipeline.desired(snapshot) if not rules.excepts(one.origin, pipeline.host.path_of(one))]

    def _noted(self, warnings: list[HostWarning], now: float) -> tuple[list[HostWarning], bool]:
        """Return what differs for long enough to count, and whether that is all."""
        stamped = stamp(datetime.now(UTC))
        with self._looking:
            before, self._seen = self._seen, {}
            for warning in warnings:
                key = (warning.origin, warning.resource, warning.message)
                seen = before.get(key) or _Seen(now, DriftEntry(warning, stamped))
                self._seen[key] = _Seen(seen.at, DriftEntry(warning, seen.drift.since))
            settled = [
                seen.drift.warning for seen in self._seen.values() if now - seen.at >= _SETTLE_SECONDS[seen.drift.warning.code]
            ]
            return settled, len(settled) == len(self._seen)

    def _tell(self, settled: list[HostWarning], now: float) -> None:
        found: dict[str, list[str]] = {}
        for warning in settled:
            found.setdefault(warning.origin, []).append(warning.message)
        waiting = {origin for origin, _, _ in self._seen}
        for origin in {*found, *self._alarms}:
            if origin not in found and origin in waiting:
                continue  # still different, in another way
            alarm = self._alarms.setdefault(origin, Alarm(self._events, "configuration_drift", origin))
            messages = found.get(origin)
            alarm.update(now, begun=bool(messages), text="; ".join(messages) if messages else alarm.text)
            if not alarm.raised:
                del self._alarms[origin]

    # Repairing

    def _repair_settled(self, settled: list[HostWarning], now: float) -> None:
        if self._loop.raised:
            return
        while self._repairs and now - self._repairs[0] >= REPAIR_SECONDS:
            self._repairs.popleft()
        if len(self._repairs) >= MAX_REPAIRS:
            names = ", ".join(sorted({warning.resource for warning in settled}))
            text = f"{MAX_REPAIRS} repairs in {REPAIR_SECONDS / 60:.0f} minutes did not last, so there are no more: {names}"
            self._loop.update(now, begun=True, text=text)
            return
        self._repairs.append(now)
        try:
            self._queue.wait(lambda: repair(self._pipeline, self._wanted))
        except ApplyFailed as error:
            log.error("the host was not put back", reason=str(error))
        self._worker.wake()

    def repair(self, user: str) -> CommitRecord:
        """Put back what differs, as somebody asks, which counts as none of the repairs of its own. In the commit thread.

        Raises ApplyFailed.
        """
        record = repair(self._pipeline, self._wanted, user)
        self._worker.wake()
        return record

    def _loop_over(self, now: float, *, is_calm: bool) -> None:
        """Repair again once nothing was repaired for as long as repairs are counted, or somebody committed other rules."""
        is_over = not self._repairs or (is_calm and now - self._repairs[-1] >= REPAIR_SECONDS)
        if self._loop.raised and is_over:
            self._loop.update(now, begun=False, text=self._loop.text)
            self._repairs.clear()
