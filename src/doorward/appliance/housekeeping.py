"""What is done by itself: every hour what is too old is forgotten, among it Idempotency-Keys and secrets nobody came to own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from doorward.areas.area import Area, Issue, Metric
from doorward.areas.worker import Worker
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.transaction.sweep import unowned
from doorward.tree.times import stamp

_EVERY_SECONDS = 3600.0


class Housekeeping(Area):
    """Has everything that is too old forgotten, every hour."""

    def __init__(self, tidy: Callable[[], None]) -> None:
        self._tidy = tidy
        self._worker = Worker("housekeeping", self._turn, delay=_EVERY_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End. A commit that is under way is not waited for here."""
        self._worker.stop(wait=False)

    def _turn(self) -> float:
        self._tidy()
        return _EVERY_SECONDS


class Transactions(Area):
    """The transactions of a node: what their commits leave, and one that could not be taken back."""

    is_early = True

    def __init__(self, pipeline: Pipeline, queue: CommitQueue, confirmations: Confirmations) -> None:
        self._pipeline, self._queue, self._confirmations = pipeline, queue, confirmations
        self._began = pipeline.clock.time(), pipeline.clock.monotonic()

    def start(self) -> None:
        """Find out what became of proposals while the node was down."""
        self._pipeline.proposals.settle()

    def issues(self) -> Iterator[Issue]:
        """Yield what is wrong where a commit that nobody confirmed could not be taken back."""
        if (failure := self._confirmations.failure) is not None:
            yield Issue(*failure, level="error")

    def metrics(self) -> Iterator[Metric]:
        """Yield whether a commit awaits its confirmation, and whether it could not be taken back."""
        awaited, failed = self._confirmations.pending is not None, self._confirmations.failure is not None
        yield Metric("doorward_commit_awaits_confirmation", "1 while a commit awaits its confirmation.", awaited)
        yield Metric("doorward_commit_revert_failed", "1 while a commit that nobody confirmed can't be taken back.", failed)

    def tidy(self) -> None:
        """Forget what is older than a day: Idempotency-Keys, and secrets that nothing came to refer to."""
        self._queue.wait(self._sweep)

    def _sweep(self) -> None:
        """Runs in the commit thread."""
        before = stamp(self._present() - timedelta(days=1))
        pipeline = self._pipeline
        pipeline.store.forget_commit_records(before)
        pipeline.proposals.tidy()
        candidate = unowned(pipeline.tree, pipeline.running, before)
        if candidate is not None and self._confirmations.pending is None:
            pipeline.commit(candidate, Order(SYSTEM, "", "Secrets that nothing came to refer to.", when_guarded="pass"))

    def _present(self) -> datetime:
        """Return the time by which things are old; a clock that was stepped ahead since the start makes nothing old."""
        (began, moment), clock = self._began, self._pipeline.clock
        return datetime.fromtimestamp(min(clock.time(), began + clock.monotonic() - moment), UTC)
