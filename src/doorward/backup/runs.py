"""One run, from its turn to its end: prepare, upload, verify, and again after a failure that may pass (section 7)."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import structlog
from msgspec.structs import replace

from doorward.backup.archive import Prepared
from doorward.backup.failure import BackupError, Check, on_this_node
from doorward.backup.names import MANIFEST
from doorward.backup.records import Clock, Drill, Run, utc_now
from doorward.backup.targets.port import Target
from doorward.tracing import span
from doorward.tree.times import stamp

log = structlog.get_logger()

PAUSES = (60.0, 300.0, 900.0)
"""Seconds before each further attempt."""
ATTEMPT_SECONDS = 1200.0
RUN_SECONDS = 3600.0
"""How long a run may take with all its attempts."""

CANCELLED = "The run was cancelled."
"""Why a run ended that somebody cancelled."""

_READ_BACK_DIFFERS = frozenset({"verify_failed", "drill_failed"})


class RunParts(Protocol):
    """What a run is made of. Everything blocks and raises BackupError."""

    def prepare(self, spool: Path, check: Check) -> Prepared:
        """Make the archive of the running configuration and prove it; ``check`` raises when that is to be broken off."""

    def connect(self, policy: Mapping[str, Any], stop: threading.Event, workdir: Path, seconds: float) -> Target:
        """Log in on the target of a policy."""

    def drill(self, target: Target, prepared: Prepared, drill: Drill, workdir: Path) -> Drill:
        """Prove what is stored. Returns the drill with its levels, failed or not; raises only where nothing can be read."""

    def clean_up(self, target: Target, policy: Mapping[str, Any], workdir: Path) -> None:
        """Delete old backups as the policy says, and what broken uploads left."""

    def withdraw(self, target: Target, prepared: Prepared, workdir: Path) -> None:
        """Delete a pair that reads back differently, if it is provably ours."""


@dataclass
class RunStop:
    """Breaks a run off: ``code`` and ``message`` say why."""

    event: threading.Event
    code: str = "cancelled"
    message: str = CANCELLED

    def set(self, code: str, message: str = "The server was shut down.") -> None:
        """Break off."""
        self.code, self.message = code, message
        self.event.set()


class Work:
    """Carries one run out. ``save`` keeps a state of the run or of its drill, and tells whoever watches."""

    def __init__(
        self,
        parts: RunParts,
        policy: Mapping[str, Any],
        spool: Path,
        stop: RunStop,
        save: Callable[[Run | Drill], None],
        clock: Clock = utc_now,
    ) -> None:
        self._parts, self._policy, self._spool, self._stop, self._save, self._clock = parts, policy, spool, stop, save, clock
        self._prepared: Prepared | None = None
        self._end = 0.0
        self.paths: tuple[str, ...] = ()
        """What the archive holds, for the mail."""

    def __call__(self, run: Run) -> Run:
        """Return the run as it ended; it is not saved yet."""
        with span("backup", doorward__run=run.id) as traced:
            ended = self._carry_out(run)
            if ended.result != "succeeded":
                traced.fail(ended.code or "cancelled")
            return ended

    def _carry_out(self, run: Run) -> Run:
        self._end = time.monotonic() + RUN_SECONDS
        run = replace(run, started=stamp(self._clock()))
        try:
            for pause in (*PAUSES, None):
                run, failure = self._attempt(run)
                if failure is None:
                    return run.end("succeeded", self._clock())
                if self._stop.event.is_set():
                    return self._broken_off(run)
                if not failure.transient or pause is None or time.monotonic() + pause >= self._end:
                    return run.end("failed", self._clock(), failure.code, failure.message)
                log.warning("a backup will be tried again", run=run.id, code=failure.code, message=failure.message, seconds=pause)
                self._save(run)
                if self._stop.event.wait(pause):
                    return self._broken_off(run)
        finally:
            shutil.rmtree(self._spool, ignore_errors=True)
        raise AssertionError("the last attempt decides")

    def _broken_off(self, run: Run) -> Run:
        return run.end("cancelled", self._clock(), self._stop.code, self._stop.message)

    def _attempt(self, run: Run) -> tuple[Run, BackupError | None]:
        """Try once; return the run so far, and why it failed."""
        begun = stamp(self._clock())
        failure: BackupError | None = None
        steps = _Steps(self, run)
        try:
            with on_this_node():
                if self._prepared is None:
                    with span("backup.prepare"):
                        self._prepared = self._prepare(steps)
                    begun = stamp(self._clock())
                self._deliver(steps, self._prepared)
        except BackupError as failed:
            failure = failed
        except Exception:
            log.exception("a backup failed unexpectedly", run=run.id)
            failure = BackupError("store_error", "An internal error occurred; the log has the details.")
        if failure is not None and failure.code in _READ_BACK_DIFFERS:
            self._prepared = None  # what has that name on the target is not it: the next attempt takes another name
        code, message = (failure.code, failure.message) if failure else (None, None)
        attempt = {"code": code, "ended": stamp(self._clock()), "message": message, "started": begun}
        return replace(steps.run, attempts=[*steps.run.attempts, attempt]), failure

    def _prepare(self, steps: _Steps) -> Prepared:
        steps.go(status="preparing")
        shutil.rmtree(self._spool, ignore_errors=True)
        self._spool.mkdir(mode=0o700, parents=True)
        prepared = self._parts.prepare(self._spool, self._check_stop)
        self.paths = prepared.paths
        files = [{"name": prepared.name, "sha256": prepared.sha256, "size": prepared.size}]
        steps.go(files=files, revision=dict(prepared.revision))
        return prepared

    def _deliver(self, steps: _Steps, prepared: Prepared) -> None:
        steps.go(status="uploading")
        self._check_stop()
        seconds = min(ATTEMPT_SECONDS, self._end - time.monotonic())
        with self._parts.connect(self._policy, self._stop.event, self._spool, seconds) as target:
            target.prepare()
            with span("backup.upload", doorward__bytes=prepared.size):
                self._upload(steps, target, prepared)
            steps.go(status="verifying")
            with span("backup.drill"):
                self._drill(steps, target, prepared)
            try:
                self._parts.clean_up(target, self._policy, self._spool)
            except BackupError as failure:
                steps.run = steps.run.with_warning("retention_failed", failure.message)
            except Exception:
                log.exception("old backups could not be deleted")
                steps.run = steps.run.with_warning(
                    "retention_failed", "Old backups could not be deleted; the log has the details."
                )

    def _upload(self, steps: _Steps, target: Target, prepared: Prepared) -> None:
        """Write the archive, then its manifest; what was written goes again when that fails."""
        written: list[str] = []
        try:
            for name, content in ((prepared.name, prepared.archive), (prepared.name + MANIFEST, prepared.manifest)):
                written.append(name)
                target.put(name, content)
        except BackupError as failure:
            # The last one did not get there, or under another's name; only what reads back differently is ours all the same.
            for name in written if failure.code == "verify_failed" else written[:-1]:
                self._remove(steps, target, name)
            raise

    def _remove(self, steps: _Steps, target: Target, name: str) -> None:
        try:
            target.delete(name)
        except BackupError as failure:
            message = f"{name} stays on the target until a later run deletes it. {failure.message}"
            steps.run = steps.run.with_warning("partial_backup_left", message)

    def _drill(self, steps: _Steps, target: Target, prepared: Prepared) -> None:
        begun = Drill(reason="run", file=prepared.name, started=stamp(self._clock()))
        drill = self._parts.drill(target, prepared, begun, self._spool)
        drill = replace(drill, ended=stamp(self._clock()))
        self._save(drill)
        steps.go(drill=drill.id)
        if drill.result == "failed":
            try:
                self._parts.withdraw(target, prepared, self._spool)
            except BackupError as failure:
                steps.run = steps.run.with_warning("damaged_file_left", failure.message)
            raise BackupError("drill_failed", drill.message or "What is stored is not what was sent.")

    def _check_stop(self) -> None:
        if self._stop.event.is_set():
            raise BackupError(self._stop.code, "The run was broken off.")

    def keep(self, run: Run) -> None:
        """Keep a state of the run."""
        self._save(run)


@dataclass
class _Steps:
    """The run as it goes on."""

    work: Work
    run: Run

    def go(self, **changes: Any) -> None:
        """Note a change and keep it."""
        self.run = replace(self.run, **changes)
        self.work.keep(self.run)
