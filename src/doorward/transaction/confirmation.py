"""Commits that go back by themselves unless they are confirmed, through crashes and restarts (protocol, section 13)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import structlog

from doorward.store.port import Confirmation, Store
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Order, Pipeline
from doorward.tree.problems import MeaningRefused

log = structlog.get_logger()

_TRY_AGAIN_SECONDS = 30.0
LONGEST = 3600
"""Most seconds that anybody may take to confirm."""


def definite(pipeline: Pipeline) -> Running | None:
    """Return what runs for good: the running configuration, or what it was before a commit that awaits its confirmation.

    None where this release does not take what was there before. May be called in any thread.
    """
    store = pipeline.store
    while True:
        pending, running = store.confirmation(), pipeline.running
        if store.confirmation() == pending:
            break
    if pending is None:
        return running
    before, candidate = store.revision(pending.revision - 1), Candidate.on(running)
    try:
        restore(pipeline.tree, store, candidate, pending.revision - 1, membership=True)
    except MeaningRefused:
        return None
    return Running(pending.revision - 1, before.hash if before else "", candidate.snapshot)


class Confirmations:
    """Knows the pending confirmation. ``in_commit_thread`` runs work where commits run.

    The seconds count by the monotonic clock: a commit may well be what sets the time of day. Only over a restart that has to do,
    and then for no longer than anybody could have asked for.
    """

    def __init__(self, store: Store, pipeline: Pipeline, in_commit_thread: Callable[[Callable[[], None]], object]) -> None:
        self._store, self._pipeline, self._in_commit_thread = store, pipeline, in_commit_thread
        self._clock = pipeline.clock
        self._timer: threading.Timer | None = None
        self.pending: Confirmation | None = None
        self._until = 0.0

    def load(self) -> None:
        """Read the pending confirmation; one whose time is over goes back at once. Called before serving and after commits."""
        self.pending = self._store.confirmation()
        self._cancel()
        if self.pending is None:
            return
        left = min(self.pending.deadline - self._clock.time(), LONGEST)
        self._until = self._clock.monotonic() + left
        if left <= 0:
            self.go_back()
        else:
            self._arm(left)

    @property
    def remaining_seconds(self) -> int | None:
        """Whole seconds until the pending commit goes back; None when none is pending."""
        return None if self.pending is None else max(0, round(self._until - self._clock.monotonic()))

    def confirm(self, confirmation: Confirmation) -> None:
        """Make the pending commit definite. Runs in the commit thread."""
        ticket = self._store.ticket(confirmation.ticket)
        if ticket is not None:
            self._store.confirmed(replace(ticket, state="done"))
        self.pending = None
        self._cancel()

    def go_back(self) -> None:
        """Take the pending commit back, as a commit of its own. Runs in the commit thread. Tried again whatever goes wrong."""
        try:
            self._go_back()
        except (ApplyFailed, MeaningRefused, MergeConflict) as error:
            log.error("a commit that was not confirmed could not be taken back", reason=str(error))
            self._arm(_TRY_AGAIN_SECONDS)
        except Exception:
            log.exception("a commit that was not confirmed could not be taken back")
            self._arm(_TRY_AGAIN_SECONDS)

    def _go_back(self) -> None:
        pending = self.pending = self._store.confirmation()
        if pending is None:
            return
        candidate = Candidate.on(self._pipeline.running)
        message = f"Revision {pending.revision} was not confirmed in time."
        restore(self._pipeline.tree, self._store, candidate, pending.revision - 1, membership=True)
        self._pipeline.commit(candidate, Order(SYSTEM, "", message, everything=True))
        ticket = self._store.ticket(pending.ticket)
        if self._store.confirmation() is not None and ticket is not None:  # there was nothing to take back
            self._store.confirmed(replace(ticket, state="reverted"))
        self.pending = None
        log.warning("a commit was not confirmed and taken back", revision=pending.revision)

    def _arm(self, seconds: float) -> None:
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._in_commit_thread, [self.go_back])
        self._timer.daemon = True
        self._timer.start()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Stop the timer; the deadline is in the store."""
        self._cancel()
