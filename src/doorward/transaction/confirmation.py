"""Commits that go back by themselves unless they are confirmed, through crashes and restarts (protocol, section 13)."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from msgspec.structs import replace

from doorward.store.port import Confirmation, Store
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Pipeline
from doorward.tree.problems import SemanticError

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 30.0, 600.0
"""How long is waited before going back is tried again: twice as long each time."""
_NOTED_SECONDS = 1.0
"""How old the seconds that are left may be without being written down anew, as they are right after the commit."""
MAX_CONFIRM_SECONDS = 3600
"""Most seconds that anybody may take to confirm."""


def confirmed_revision(pipeline: Pipeline) -> Running | None:
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
    except SemanticError:
        return None
    return Running(pending.revision - 1, before.hash if before else "", candidate.snapshot)


class Confirmations:
    """Knows the pending confirmation. ``in_commit_thread`` runs work where commits run.

    The seconds count by the monotonic clock: a commit may well be what sets the time of day. Another boot has another one; then
    the time of day has to do, and never for longer than was left when it was last looked at.

    A commit that can't be taken back goes on awaiting its confirmation, with the reason, until that works or it is confirmed.
    """

    def __init__(self, store: Store, pipeline: Pipeline, in_commit_thread: Callable[[Callable[[], None]], object]) -> None:
        self._store, self._pipeline, self._in_commit_thread = store, pipeline, in_commit_thread
        self._clock = pipeline.clock
        self._timer: threading.Timer | None = None
        self._pause = _FIRST_PAUSE_SECONDS
        self._record = ""
        """The id of the one record of all tries to go back."""
        self.pending: Confirmation | None = None
        self._until = 0.0

    def load(self) -> None:
        """Read the pending confirmation; one whose time is over goes back at once. Called before serving and after commits."""
        self.pending = self._store.confirmation()
        self._cancel()
        self._pause, self._record = _FIRST_PAUSE_SECONDS, str(uuid.uuid4())
        if self.pending is None:
            return
        left = self._left(self.pending)
        self._until = self._clock.monotonic() + left
        if left <= 0:
            self.go_back()
        else:
            self._arm(left)

    def _left(self, pending: Confirmation) -> float:
        """Return the seconds that are left. At a start they are written down anew: another boot can only shorten them."""
        boot, moment = self._clock.boot(), self._clock.monotonic()
        left = min(pending.deadline - self._clock.time(), pending.seconds)
        if boot and pending.boot == boot and moment >= pending.moment:
            left = pending.seconds - (moment - pending.moment)
            if moment - pending.moment < _NOTED_SECONDS:
                return left
        self.pending = replace(pending, seconds=left, boot=boot, moment=moment)
        try:
            self._store.await_confirmation(self.pending)
        except Exception as error:  # noqa: BLE001 - it counts all the same, only a further restart begins again
            log.error("the time left to confirm could not be kept", error=str(error))
        return left

    @property
    def remaining_seconds(self) -> int | None:
        """Whole seconds until the pending commit goes back; None when none is pending."""
        return None if self.pending is None else max(0, round(self._until - self._clock.monotonic()))

    @property
    def reason(self) -> str | None:
        """Why nobody else may commit, in a sentence for them; None when nothing is pending."""
        pending = self.pending
        if pending is None:
            return None
        if pending.failure is None:
            return "A commit awaits its confirmation."
        return (
            f"Revision {pending.revision} was not confirmed in time, and the host refuses to go back: {pending.failure}."
            " It is tried again by itself; to keep what runs instead, confirm that revision."
        )

    @property
    def failure(self) -> tuple[str, str] | None:
        """What health says of a commit that could not be taken back, and its record; None where nothing is wrong."""
        pending = self.pending
        if pending is None or pending.failure is None or self.reason is None:
            return None
        return self.reason, f"/api/commits/{pending.commit_id}"

    def confirm(self, confirmation: Confirmation) -> None:
        """Confirm the pending commit. Runs in the commit thread."""
        record = self._store.commit_record(confirmation.commit_id)
        if record is not None:
            self._store.confirmed(replace(record, state="done", error=None))
        self.pending = None
        self._cancel()

    def go_back(self) -> None:
        """Take the pending commit back, as a commit of its own. Runs in the commit thread. Tried again whatever goes wrong."""
        try:
            self._go_back()
        except ApplyFailed as failed:
            details = {"action": failed.action, "path": failed.path, "reason": failed.reason, "restored": failed.restored}
            self._refused(f"{failed.action}: {failed.reason}", details)
        except (SemanticError, MergeConflict) as refused:
            self._refused(str(refused).rstrip("."), {"reason": str(refused)})
        except Exception as error:
            log.exception("a commit that was not confirmed could not be taken back")
            self._refused(str(error) or type(error).__name__, {"reason": "an internal error occurred; the log has the details"})

    def _go_back(self) -> None:
        pending = self._store.confirmation()
        if pending is None:
            self.pending = None
            return
        candidate = Candidate.on(self._pipeline.running)
        message = f"Revision {pending.revision} was not confirmed in time."
        restore(self._pipeline.tree, self._store, candidate, pending.revision - 1, membership=True)
        # What ran before ran with everybody's approval.
        order = Order(SYSTEM, "", message, commit_id=self._record, everything=True, when_guarded="pass")
        self._pipeline.commit(candidate, order)
        record = self._store.commit_record(pending.commit_id)
        if self._store.confirmation() is not None and record is not None:  # there was nothing to take back
            self._store.confirmed(replace(record, state="reverted", error=None))
        self.pending = None
        log.warning("a commit was not confirmed and taken back", revision=pending.revision)

    def _refused(self, reason: str, error: dict[str, Any]) -> None:
        """Remember why a commit could not be taken back, and try again after a while."""
        pending = self.pending
        if pending is not None:
            known = pending.failure is not None
            self.pending = pending = replace(pending, seconds=0.0, failure=reason)
            (log.error if known else log.critical)(
                "a commit that was not confirmed could not be taken back",
                revision=pending.revision, reason=reason, path=error.get("path") or "", again_in_seconds=self._pause,
            )  # fmt: skip
            try:
                record = self._store.commit_record(pending.commit_id)
                self._store.await_confirmation(pending, record and replace(record, state="revert_failed", error=error))
            except Exception as problem:  # noqa: BLE001 - health tells of it all the same
                log.error("no record of a commit that could not be taken back", error=str(problem))
        self._arm(self._pause)
        self._pause = min(2 * self._pause, _MAX_PAUSE_SECONDS)

    def _arm(self, seconds: float) -> None:
        self._cancel()
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
