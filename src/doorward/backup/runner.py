"""Runs in their turn: what is due is noticed by one thread and carried out by another, one run at a time (section 6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from msgspec import Struct

from doorward.access.rights import Allowed, always
from doorward.areas.worker import Worker
from doorward.backup.failure import NOT_ALLOWED, BackupError
from doorward.backup.records import Clock, Log, Run, utc_now
from doorward.backup.runs import CANCELLED, RunStop
from doorward.backup.schedule import NAME, Due, DueJobs
from doorward.tree.times import stamp

log = structlog.get_logger()

TICK_SECONDS = 20.0
"""How often the clock is looked at; it may be set at any time."""
STEP_SECONDS = 5.0
"""By how much the clock may be ahead of what really passed before it counts as set."""
MISSED_SECONDS = 10.0
"""How long after a start a missed run begins, at least."""

_MAX_BROKEN = 3
"""After so many runs in a row that ended with the server, nothing is caught up: the run itself may end it."""
_STOP_SECONDS = 10.0
_NICENESS = 10
"""Of the thread of the runs, which is all that Linux changes, and of the programs that it starts: commits go first."""


class Selected(Struct, frozen=True):
    """The policy by which backups are made now: its key and its body."""

    key: str
    body: Mapping[str, Any]


class AlreadyWaitingError(Exception):
    """A run waits for its turn already."""

    def __init__(self, run: Run) -> None:
        self.run = run
        super().__init__(run.id)


class Runner:
    """Decides what runs when.

    ``selected`` returns the policy of the running revision, ``carry_out`` does the work of a run and returns it as it ended,
    ``ended`` is told of every run that is over; both are called in a worker of the runner.
    """

    def __init__(
        self,
        runs: Log[Run],
        table: DueJobs,
        selected: Callable[[], Selected | None],
        carry_out: Callable[[Run, Selected, RunStop], Run],
        ended: Callable[[Run], None],
        clock: Clock = utc_now,
    ) -> None:
        self._log, self._table, self._selected, self._carry_out, self._ended = runs, table, selected, carry_out, ended
        self._clock = clock
        self._changing = threading.RLock()
        self._waiting: Run | None = None
        self._not_before = 0.0
        self._working: Run | None = None
        self._is_allowed: dict[str, Allowed] = {}
        """By id of an unfinished run that somebody asked for: whether that account still may have it."""
        self._stop = RunStop(threading.Event())
        self._closing = False
        self._seen = clock()
        self._ticked = time.monotonic()
        self._schedule = Worker("backup-schedule", self._watch, stop_seconds=_STOP_SECONDS)
        self._runs = Worker("backup", self._work, niceness=_NICENESS, stop_seconds=_STOP_SECONDS)
        table.changed = self._wake

    # What others ask

    @property
    def working(self) -> Run | None:
        """The run at work."""
        return self._working

    def start(self) -> None:
        """Catch up with what was missed, then go by the table. The table is as the running revision says by now."""
        broken = self._close_unfinished()
        due = self._table.take_due()
        if broken or due:
            self._serve(due, missed=True)
        self._schedule.start()
        self._runs.start()

    def stop(self) -> None:
        """Break off what is at work; the next start makes up for it."""
        with self._changing:
            self._closing = True
            if self._waiting is not None:
                self._drop(self._waiting, "cancelled", "shutdown", "The server was shut down.")
            self._stop.set("shutdown")
        self._schedule.stop()
        self._runs.stop()

    def ask(self, author: str, is_allowed: Allowed = always) -> Run:
        """Queue a run that somebody asks for, and who has to be allowed to until it is over.

        Raises AlreadyWaitingError; BackupError where no policy is selected.
        """
        with self._changing:
            selected = self._selected()
            if selected is None:
                raise BackupError("policy_changed", "No backup policy is selected.")
            if self._waiting is not None:
                raise AlreadyWaitingError(self._waiting)
            run = self._line_up(Run(reason="manual", author=author, policy=selected.key))
            self._is_allowed[run.id] = is_allowed
            return run

    def cancel(self, run_id: str) -> bool:
        """Break a run off; whether it was not over yet."""
        with self._changing:
            if self._waiting is not None and self._waiting.id == run_id:
                self._drop(self._waiting, "cancelled", "cancelled", CANCELLED)
                return True
            if self._working is not None and self._working.id == run_id:
                self._stop.set("cancelled", CANCELLED)
                return True
            return False

    def published(self) -> None:
        """Drop runs that a revision took away what they need: the policy of one that waits, the right of who asked for one."""
        with self._changing:
            self._cancel_forbidden()
            if self._waiting is not None and ((selected := self._selected()) is None or selected.key != self._waiting.policy):
                why = "Another policy was selected, or none, before its turn came."
                self._drop(self._waiting, "skipped", "policy_changed", why)

    def _cancel_forbidden(self) -> None:
        if self._waiting is not None and not self._may_go_on(self._waiting):
            self._drop(self._waiting, "cancelled", "cancelled", NOT_ALLOWED)
        if self._working is not None and not self._may_go_on(self._working):
            self._stop.set("cancelled", NOT_ALLOWED)

    def _may_go_on(self, run: Run) -> bool:
        is_allowed = self._is_allowed.get(run.id)
        return is_allowed is None or is_allowed()

    # What is due

    def tick(self) -> None:
        """Look at the clock and queue what is due."""
        with self._changing:
            now, moved = self._clock(), time.monotonic()
            before, passed = self._seen, moved - self._ticked
            self._seen, self._ticked = now, moved
            due = self._table.take_due()
            if due and not self._closing:
                was_set = (now - before).total_seconds() > passed + STEP_SECONDS
                self._serve(due, missed=was_set or due[-1].at <= before)

    def _serve(self, due: list[Due], *, missed: bool) -> None:
        """Queue one run for all that is due; for what was missed a little later."""
        with self._changing:
            selected = self._selected()
            if selected is None:
                return
            at = stamp(due[-1].at) if due else None
            run = Run(reason="missed" if missed else "schedule", policy=selected.key, scheduled_for=at)
            if self._waiting is None:
                self._line_up(run, MISSED_SECONDS if missed else 0.0)
            else:
                message = f"The run {self._waiting.id} was still waiting for its turn."
                self._ended(self._log.save(run.end("skipped", self._clock(), "overlap", message)))
            self._table.served(due)

    def _close_unfinished(self) -> bool:
        """End what an earlier process left; whether its last run ended with the server, lately and not again and again."""
        latest = self._log.find(limit=_MAX_BROKEN)
        for run in latest:
            if not run.finished:
                ended = run.end("cancelled", self._clock(), "shutdown", "The server ended during the run.")
                self._ended(self._log.save(ended))
        latest = self._log.find(limit=_MAX_BROKEN)
        oldest = stamp(self._clock() - timedelta(hours=24))
        if not latest or latest[0].code != "shutdown" or (latest[0].ended or "") < oldest:
            return False
        return len(latest) < _MAX_BROKEN or any(run.code != "shutdown" for run in latest)

    # The line

    def _line_up(self, run: Run, seconds: float = 0.0) -> Run:
        self._log.save(run)
        self._waiting, self._not_before = run, time.monotonic() + seconds
        self._wake()
        return run

    def _drop(self, run: Run, result: Any, code: str, message: str) -> None:
        self._waiting = None
        self._is_allowed.pop(run.id, None)
        ended = run.end(result, self._clock(), code, message)
        self._keep(ended)
        self._ended(ended)

    def _wake(self) -> None:
        self._schedule.wake()
        self._runs.wake()

    def _watch(self) -> float:
        """Look what is due; return after how many seconds to look again."""
        self.tick()
        due = self._table.next_due(NAME)
        left = TICK_SECONDS if due is None else (due - self._clock()).total_seconds()
        return max(0.05, min(TICK_SECONDS, left))

    def _work(self) -> float | None:
        """Carry the run out whose turn it is; return after how many seconds that of the next one may come, None: none waits."""
        with self._changing:
            if self._closing or self._waiting is None:
                return None
            left = self._not_before - time.monotonic()
            if left > 0:
                return left
            run, self._waiting, selected = self._waiting, None, self._selected()
            self._working, self._stop = run, RunStop(threading.Event())
        self._finish(run, selected)
        return 0.0

    def _finish(self, run: Run, selected: Selected | None) -> None:
        """Carry a run out; whatever happens, it ends."""
        try:
            if selected is None:
                ended = run.end("skipped", self._clock(), "policy_changed", "No policy is selected any more.")
            elif not self._may_go_on(run):
                ended = run.end("cancelled", self._clock(), "cancelled", NOT_ALLOWED)
            else:
                ended = self._carry_out(run, selected, self._stop)
        except Exception:
            log.exception("a backup run failed unexpectedly", run=run.id)
            message = "An internal error occurred; the log has the details."
            ended = self._so_far(run).end("failed", self._clock(), "store_error", message)
        self._keep(ended)
        with self._changing:
            self._working = None
            self._is_allowed.pop(run.id, None)
        self._ended(ended)

    def _so_far(self, run: Run) -> Run:
        """Return a run as it was kept last; as it began where the store can't tell."""
        try:
            return self._log.get(run.id) or run
        except Exception:
            log.exception("the record of a backup run could not be read", run=run.id)
            return run

    def _keep(self, run: Run) -> None:
        """Keep the record of a run that is over. It is over all the same where the store refuses."""
        try:
            self._log.save(run)
            self._log.prune(self._clock())
        except Exception:
            log.exception("the record of a backup run could not be kept", run=run.id)
