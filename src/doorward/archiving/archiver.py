"""The area that archives: one worker that finds what waits, sends it, tries again, and deletes copies in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from doorward.archiving.bucket import Bucket, open_bucket
from doorward.archiving.cleaning import LocalCopies
from doorward.archiving.fetching import LOST, FetchedTrails
from doorward.archiving.notices import Activity, ArchiveNotices
from doorward.archiving.policies import UsedPolicy, used_policies
from doorward.archiving.schedule import StartTimes
from doorward.archiving.sending import TrailSender, TrailUnfitError
from doorward.archiving.waiting import WaitingTrails
from doorward.areas.area import Area, Issue, Metric
from doorward.areas.worker import Worker
from doorward.backup.failure import BackupError, on_this_node
from doorward.backup.node import NodeView
from doorward.backup.records import Clock, utc_now
from doorward.backup.runs import PAUSES
from doorward.configuration.policies.archive_cleanup_policies import PATH, ArchivePolicy
from doorward.configuration.ssh import connections
from doorward.events.notifications import Notifications
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.trails import Trails
from doorward.store.port import Edit
from doorward.tracing import span
from doorward.transaction.candidate import Running
from doorward.tree.snapshot import Snapshot

log = structlog.get_logger()

LOOK_SECONDS: Final = 5.0
"""How often it is looked for sessions that have ended."""
LATER_SECONDS: Final = 3600.0
"""After so long it is tried again what failed for good, or too often."""
MAX_BATCH: Final = 100
"""Trails that are sent over one connection."""
_OF_ONE: Final = frozenset({"name_exists", "verify_failed", "too_large"})
"""Codes of failures that say nothing about other trails."""
_CONCERNED: Final = frozenset({PATH, connections.PATH})
"""Places whose changes may bring policies into use."""
_NICENESS: Final = 10
_STOP_SECONDS: Final = 10.0


@dataclass
class Trouble:
    """What went wrong, with a policy or with one trail. ``again``: when it is tried again (``time.monotonic``)."""

    code: str
    message: str
    tries: int
    again: float


class Archiver(Area):
    """What a node does about archives of recordings. It gives ``trails`` the way to those that left it."""

    def __init__(
        self,
        node: NodeView,
        catalogue: SessionCatalogue,
        trails: Trails,
        notifications: Notifications,
        clock: Clock = utc_now,
        *,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """``sign`` makes the signature of this node, by which others know what it left in buckets."""
        self._node, self._catalogue, self._clock = node, catalogue, clock
        self._stop = threading.Event()
        store = node.pipeline.store
        self._waiting = WaitingTrails(catalogue, store, node.id)
        self._sender = TrailSender(catalogue, trails, self._stop, clock, sign)
        self._copies = LocalCopies(catalogue, trails, self._sender, node.id)
        self._times = StartTimes(store)
        self._notices = ArchiveNotices(notifications.events, notifications.mails.post, lambda: self._snapshot)
        self.fetched = FetchedTrails(node, self._not_fetched, self._stop, node.state / "trails-fetched")
        trails.archived = self.fetched
        self._activity: dict[str, Activity] = {}
        self._policies: dict[str, Trouble] = {}
        """What is wrong with policies, by key."""
        self._trails: dict[int, Trouble] = {}
        """What is wrong with single trails, by the id of their session."""
        self._counts: Mapping[str, int] = {}
        """How many sessions wait, by key of the policy."""
        self._last_success = 0.0
        self._worker = Worker("archive", self._turn, niceness=_NICENESS, stop_seconds=_STOP_SECONDS)

    @property
    def _snapshot(self) -> Snapshot:
        return self._node.pipeline.running.snapshot

    # Life

    def start(self) -> None:
        """Go on with what waits."""
        self.fetched.clear()
        self._worker.start()

    def stop(self) -> None:
        """Break off what is at work; the next start goes on with it."""
        self._stop.set()
        self._worker.stop()

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Try again what failed: another configuration may have mended it. A commit that concerns nothing here wakes nobody."""
        del before, after
        if not self._policies and not self._trails and not any(edit.place.path in _CONCERNED for edit in edits):
            return
        for trouble in (*list(self._policies.values()), *list(self._trails.values())):  # copies: the worker changes them
            trouble.again = 0.0
        self._worker.wake()

    def tidy(self) -> None:
        """Remove copies of archived trails that nobody used for a day."""
        self.fetched.tidy()

    # How it goes

    def issues(self) -> Iterator[Issue]:
        """Tell of trails that could not be archived."""
        policies, counts = used_policies(self._snapshot), self._counts
        for key, trouble in list(self._policies.items()):
            if (used := policies.get(key)) is not None:
                message = f"{counts.get(key, 0)} recordings wait to be archived by {used.policy.name}: {trouble.message}"
                yield Issue(message, used.href, level="error")
        stuck = list(self._trails.values())
        if stuck:
            yield Issue(f"{len(stuck)} recordings can't be archived, such as: {stuck[0].message}", "/api/audit", level="error")

    def metrics(self) -> Iterator[Metric]:
        """Yield how many recordings wait, whether archiving fails, and when it last succeeded."""
        yield Metric("doorward_archive_waiting", "Recordings that wait to be archived.", sum(self._counts.values()))
        about = "1 while recordings can't be archived."
        yield Metric("doorward_archive_failing", about, bool(self._policies or self._trails))
        about = "When a recording was last archived; 0: not since the start."
        yield Metric("doorward_archive_last_success_timestamp_seconds", about, self._last_success)

    # The worker

    def _turn(self) -> float | None:
        """Do what is to be done now; return after how many seconds to look again, None: after a commit."""
        snapshot, now = self._snapshot, self._clock()
        policies = used_policies(snapshot)
        self._forget(policies)
        by_connection = {key: used for used in policies.values() if used.is_sending for key in used.connections}
        self._waiting.look(by_connection, int(now.timestamp() * 1000))
        self._count(by_connection)
        has_sent = False
        for used in policies.values():
            if used.is_sending and not self._stop.is_set():
                has_sent |= self._send_some(used, snapshot)
        self._count(by_connection)
        for used in policies.values():
            if not self._stop.is_set() and self._times.is_due(used, snapshot, now):
                self._clean(used, snapshot)
        if not policies:
            return None
        return 0.0 if has_sent or self._waiting.has_more else LOOK_SECONDS

    def _forget(self, policies: Mapping[str, UsedPolicy]) -> None:
        for key in self._policies.keys() - policies.keys():
            del self._policies[key]
        for key in self._activity.keys() - policies.keys():
            del self._activity[key]
        for number in self._trails.keys() - self._waiting.ended.keys():
            del self._trails[number]

    def _count(self, by_connection: Mapping[str, UsedPolicy]) -> None:
        counts: dict[str, int] = {}
        for one in self._waiting.ended.values():
            if (used := by_connection.get(one.policy_key)) is not None:
                counts[used.key] = counts.get(used.key, 0) + 1
        self._counts = counts

    def _send_some(self, used: UsedPolicy, snapshot: Snapshot) -> bool:
        """Send some of what waits by a policy; whether there may be more to do at once."""
        now = time.monotonic()
        trouble = self._policies.get(used.key)
        if trouble is not None and now < trouble.again:
            return False
        due = [
            one for number, one in self._waiting.ended.items()
            if one.policy_key in used.connections and (number not in self._trails or now >= self._trails[number].again)
        ][:MAX_BATCH]  # fmt: skip
        rows = [(one.id, self._catalogue.session(one.key)) for one in due]
        todo = [(number, row) for number, row in rows if row is not None and row.has_local_trail and not row.is_archived]
        for number in {number for number, _ in rows} - {number for number, _ in todo}:
            self._waiting.done(number)
        if not todo:
            return bool(due)
        try:
            with on_this_node(), self._opened(used.policy, sum(row.trail_bytes for _, row in todo)) as bucket:
                for number, row in todo:
                    if not self._sent(number, row, used, bucket, snapshot):
                        return False
        except BackupError as failure:
            self._fail_policy(used, failure)
            return False
        return True

    def _opened(self, policy: ArchivePolicy, size: int = 0) -> Bucket:
        return open_bucket(self._node, policy, size, self._stop)

    def _sent(self, number: int, row: SessionRow, used: UsedPolicy, bucket: Bucket, snapshot: Snapshot) -> bool:
        """Send one trail; whether the next may be sent. Raises BackupError where all would fail alike."""
        if self._stop.is_set() or self._snapshot is not snapshot:
            return False
        try:
            with span("archive", doorward__session=row.session_id):
                place = self._sender.send(row, used, bucket, snapshot)
        except TrailUnfitError as failure:
            self._fail_trail(number, used, failure.code, failure.message, is_lasting=True)
            return True
        except BackupError as failure:
            if failure.code not in _OF_ONE:
                raise
            self._fail_trail(number, used, failure.code, failure.message, is_lasting=not failure.transient)
            return True
        self._waiting.done(number)
        self._trails.pop(number, None)
        self._policies.pop(used.key, None)
        self._last_success = self._clock().timestamp()
        self._of(used).add(used, place.path, place.size)
        log.info("a recording was archived", session=row.session_id, target=place.target, path=place.path, bytes=place.size)
        return True

    # What goes wrong

    def _fail_policy(self, used: UsedPolicy, failure: BackupError) -> None:
        if self._stop.is_set():
            return
        before = self._policies.get(used.key)
        trouble, is_told = _next(before, failure.code, failure.message, is_lasting=not failure.transient)
        self._policies[used.key] = trouble
        if is_told:
            self._tell(used, failure.code, failure.message)
        else:
            log.warning("recordings will be archived later", policy=used.key, code=failure.code, message=failure.message)

    def _fail_trail(self, number: int, used: UsedPolicy, code: str, message: str, *, is_lasting: bool) -> None:
        trouble, is_told = _next(self._trails.get(number), code, message, is_lasting=is_lasting)
        self._trails[number] = trouble
        if is_told:
            self._tell(used, code, message)

    def _tell(self, used: UsedPolicy, code: str, message: str) -> None:
        self._of(used).failures.setdefault(code, message)
        self._notices.failed(used, code, message)

    def _not_fetched(self, row: SessionRow, failure: BackupError) -> None:
        self._notices.not_fetched(row.key, failure.code, failure.message, is_lost=failure.code in LOST)

    # Copies here

    def _clean(self, used: UsedPolicy, snapshot: Snapshot) -> None:
        """Delete copies that have been here for long enough, and tell of what was done since the last time."""
        now, activity = self._clock(), self._of(used)
        cleaned = self._copies.clean(used, snapshot, now, self._opened)
        if self._stop.is_set():
            return
        activity.deleted += len(cleaned.deleted)
        for key, failure in cleaned.stayed:
            log.warning("a copy of an archived recording stays", session=key, code=failure.code, reason=failure.message)
            activity.failures.setdefault(failure.code, failure.message)
        for code, message in {failure.code: failure.message for _, failure in cleaned.stayed}.items():
            self._notices.failed(used, code, message)
        if cleaned.deleted:
            log.info("copies of archived recordings were deleted", policy=used.key, recordings=len(cleaned.deleted))
        self._times.served(used, now)
        self._notices.summary(used, activity, self._counts.get(used.key, 0), now.timestamp())
        self._activity[used.key] = Activity()

    def _of(self, used: UsedPolicy) -> Activity:
        return self._activity.setdefault(used.key, Activity())


def _next(before: Trouble | None, code: str, message: str, *, is_lasting: bool) -> tuple[Trouble, bool]:
    """Return a trouble as it is now, and whether it is to be told: what lasts, or was tried as often as a backup would be."""
    tries = 1 if before is None or before.code != code else before.tries + 1
    is_over = is_lasting or tries > len(PAUSES)
    pause = LATER_SECONDS if is_over else PAUSES[tries - 1]
    is_told = (is_lasting and tries == 1) or tries == len(PAUSES) + 1
    return Trouble(code, message, tries, time.monotonic() + pause), is_told
