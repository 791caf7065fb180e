"""Backups of a node, put together: what the API asks, and what runs by itself."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from msgspec.structs import replace

from doorward.access.rights import Allowed, always
from doorward.areas.area import Area, Metric
from doorward.areas.worker import Worker
from doorward.backup import drills
from doorward.backup.failure import NOT_ALLOWED, BackupError, on_this_node
from doorward.backup.files import StoredArchives, StoredFile
from doorward.backup.node import NodeView
from doorward.backup.notices import RunNotices
from doorward.backup.parts import NodeParts
from doorward.backup.records import Clock, Drill, Log, Run, utc_now
from doorward.backup.runner import Runner, Selected
from doorward.backup.runs import RunStop, Work
from doorward.backup.schedule import DueJobs
from doorward.backup.status import BackupWatch, Freshness, freshness
from doorward.backup.targets.limits import MAX_ARCHIVE
from doorward.backup.targets.port import Target, describe
from doorward.backup.targets.probes import Probes
from doorward.configuration.management import system_backup
from doorward.configuration.policies import backup_policies
from doorward.events.notifications import Notifications
from doorward.host import unprivileged
from doorward.store.port import Edit
from doorward.transaction.candidate import Running
from doorward.tree.places import Place
from doorward.tree.times import stamp

log = structlog.get_logger()

LIVE_SECONDS = 50.0
"""How long the target may be looked at while somebody waits for the answer."""
DRILL_SECONDS = 1200.0

Upload = Callable[[str], Path | None]
"""Gives the file of an upload by its id."""


class DrillRunningError(Exception):
    """A drill is not finished yet."""

    def __init__(self, drill: Drill) -> None:
        self.drill = drill
        super().__init__(drill.id)


class Backups(Area):
    """What a node does about backups. ``table`` is the one that the host schedules jobs in, ``upload`` finds an upload."""

    def __init__(
        self, node: NodeView, table: DueJobs, notifications: Notifications, checks: drills.DrillChecks, upload: Upload,
        clock: Clock = utc_now,
    ) -> None:  # fmt: skip
        self.node, self._table, self._checks, self._upload, self._clock = node, table, checks, upload, clock
        store = node.pipeline.store
        self._spool = node.spool
        self.runs, self.drills = Log(store, Run), Log(store, Drill)
        self._files = StoredArchives(node)
        self._parts = NodeParts(node, self._files, checks, clock)
        self._notices = RunNotices(notifications.events, notifications.mails.post, lambda: node.pipeline.running.snapshot)
        self._went_by: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {}
        self.runner = Runner(self.runs, table, self.selected, self._carry_out, self._ended, clock)
        self.watch = BackupWatch(notifications.events, self.runs, table, clock)
        self._stop = RunStop(threading.Event())
        self._drilling = Worker("backup-drill", self._work_on_drill, delay=None, stop_seconds=None)
        self._drill: Drill | None = None
        self._begun: Callable[[], None] | None = None
        """The work of the drill, until the worker takes it."""
        self._lock = threading.Lock()

    # Life

    def start(self) -> None:
        """Go by the due table. The host is as the running revision says by now."""
        shutil.rmtree(self._spool, ignore_errors=True)  # of a process that was killed
        unprivileged.sweep(self.node.id[:8])
        for drill in self.drills.find(limit=10):
            if not drill.finished:
                ended = replace(drill, ended=stamp(self._clock()), result="failed", code="shutdown")
                self.drills.save(replace(ended, message="The server ended during the drill."))
        self.runner.start()
        self._drilling.start()

    def stop(self) -> None:
        """Break off what is at work."""
        self._stop.set("shutdown")
        self.runner.stop()
        self._drilling.stop()

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Drop what a revision took away what it needs."""
        del before, after, edits
        self.runner.published()

    # Runs

    def selected(self) -> Selected | None:
        """Return the policy by which backups are made now."""
        snapshot = self.node.pipeline.running.snapshot
        reference = snapshot.read(system_backup.NODE).backup_policy
        body = self.policy(reference.key) if reference is not None else None
        return None if reference is None or body is None else Selected(reference.key, body)

    def _policy(self) -> Mapping[str, Any]:
        """Return the body of the selected policy. Raises BackupError where none is."""
        selected = self.selected()
        if selected is None:
            raise BackupError("policy_changed", "No backup policy is selected.")
        return selected.body

    def policy(self, key: str) -> Mapping[str, Any] | None:
        """Return the body of a policy of the running configuration."""
        document = self.node.pipeline.running.snapshot.document(Place(backup_policies.PATH, key))
        return document.value if document is not None else None

    def _carry_out(self, run: Run, selected: Selected, stop: RunStop) -> Run:
        run = self.runs.save(replace(run, policy=selected.key, target=describe(selected.body["target"])))
        work = Work(self._parts, selected.body, self._spool / run.id, stop, self._save, self._clock)
        self._went_by[run.id] = (selected.body, ())
        ended = work(run)
        self._went_by[run.id] = (selected.body, work.paths)
        return self._notices.checked(ended, selected.body)

    def _save(self, kept: Run | Drill) -> None:
        if isinstance(kept, Run):
            self.runs.save(kept)
        else:
            self.drills.save(kept)
            self.drills.prune(self._clock())

    def _ended(self, run: Run) -> None:
        """Tell of a run that is over; that can't change it any more."""
        policy, paths = self._went_by.pop(run.id, (self.policy(run.policy), ()))
        try:
            self._notices(run, policy, self.drills.get(run.drill) if run.drill else None, paths)
        except Exception:
            log.exception("nobody could be told of a backup run", run=run.id)

    # The target

    @contextmanager
    def _target(self, policy: Mapping[str, Any], seconds: float) -> Iterator[tuple[Target, Path]]:
        """A connection to the target of a policy, and a directory to fetch into."""
        directory = self._spool / f"live-{threading.get_ident()}-{time.monotonic_ns()}"
        try:
            with on_this_node():
                directory.mkdir(mode=0o700, parents=True)
                with self._parts.connect(policy, self._stop.event, directory, seconds) as target:
                    yield target, directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def files(self, policy: Mapping[str, Any], limit: int, offset: int) -> list[StoredFile]:
        """Return what is on the target, newest first. Blocks; raises BackupError."""
        with self._target(policy, LIVE_SECONDS) as (target, directory):
            return self._files.list(target, describe(policy["target"]), directory, limit, offset)

    def file(self, policy: Mapping[str, Any], name: str) -> StoredFile | None:
        """Return one file on the target. Blocks; raises BackupError."""
        with self._target(policy, LIVE_SECONDS) as (target, directory):
            return self._files.one(target, describe(policy["target"]), directory, name)

    def download(self, policy: Mapping[str, Any], name: str) -> Path | None:
        """Fetch a file of the target into a new local file, which is the caller's. Blocks; raises BackupError."""
        with self._target(policy, DRILL_SECONDS) as (target, directory):
            file = self._files.one(target, describe(policy["target"]), directory, name)
            if file is None:
                return None
            fetched = directory / name
            target.fetch(name, fetched, file.most)
            return fetched.rename(self._spool / f"{directory.name}.download")

    def fetch(self, name: str, into: Path) -> None:
        """Copy a file on the target of the selected policy to a new local file. Blocks; raises BackupError."""
        policy = self._policy()
        with self._target(policy, DRILL_SECONDS) as (target, directory):
            file = self._files.one(target, describe(policy["target"]), directory, name)
            target.fetch(name, into, file.most if file is not None else MAX_ARCHIVE)

    def try_target(self, target: Mapping[str, Any], *, per_node: bool) -> dict[str, Any]:
        """Try a target; return how it went. Blocks for 45 s at most."""
        from doorward.backup.targets.probe import try_target

        node = self.node
        return try_target(
            target, node.pipeline.secrets.text, certificate=node.certificate, node=node.id, per_node=per_node,
            workdir=self._spool, probes=Probes(node.signing), stop=self._stop.event,
        ).body()  # fmt: skip

    def host_keys(self, server: str, port: int) -> dict[str, Any]:
        """Return the host keys that an SSH server shows. Blocks for half a minute at most."""
        from doorward.backup.targets.hostkeys import host_keys

        return host_keys(server, port, workdir=self._spool, stop=self._stop.event).body()

    # Drills

    def drill_stored(self, name: str | None, author: str, is_allowed: Allowed = always) -> Drill:
        """Begin a drill of a file on the target of the selected policy; None: the newest of ours. Raises DrillRunningError."""
        policy = self._policy()
        return self._begin(Drill(file=name, author=author), lambda drill: self._drill_stored(policy, drill), is_allowed)

    def drill_upload(self, upload: str, password: str | None, author: str, is_allowed: Allowed = always) -> Drill | None:
        """Begin a drill of an upload; None where there is no such upload. Raises DrillRunningError."""
        path = self._upload(upload)
        if path is None:
            return None

        def look(levels: drills.Levels) -> str | None:
            return self._look_for(drills.content_digest(path), levels)

        def work(drill: Drill) -> Drill:
            return drills.uploaded(self._checks, path, password, drill, look)

        return self._begin(Drill(author=author), work, is_allowed)

    def _begin(self, drill: Drill, work: Callable[[Drill], Drill], is_allowed: Allowed) -> Drill:
        with self._lock:
            if self._drill is not None:
                raise DrillRunningError(self._drill)
            self._drill = drill = self.drills.save(replace(drill, started=stamp(self._clock())))
            self._begun = partial(self._work_on, drill, work, is_allowed)
            self._drilling.wake()
            return drill

    def _work_on_drill(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun()

    def _work_on(self, drill: Drill, work: Callable[[Drill], Drill], is_allowed: Allowed) -> None:
        try:
            ended = work(drill)
        except BackupError as failure:
            code = "shutdown" if self._stop.event.is_set() else failure.code
            ended = replace(drill, result="failed", code=code, message=failure.message)
        except Exception:
            log.exception("a restore drill failed unexpectedly", drill=drill.id)
            message = "An internal error occurred; the log has the details."
            ended = replace(drill, result="failed", code="store_error", message=message)
        if not is_allowed():  # what it found is not for whoever lost the right to look
            ended = replace(drill, result="cancelled", code="cancelled", message=NOT_ALLOWED)
        try:
            self._save(replace(ended, ended=stamp(self._clock())))
        except Exception:
            log.exception("the record of a restore drill could not be kept", drill=drill.id)
        finally:
            with self._lock:
                self._drill = None

    def _drill_stored(self, policy: Mapping[str, Any], drill: Drill) -> Drill:
        with self._target(policy, DRILL_SECONDS) as (target, directory):
            name = drill.file
            if name is None:
                found = self._files.each(target, describe(policy["target"]), directory)
                name = next((file.parsed.name for file in found if file.ours), None)
            if name is None:
                raise BackupError("no_such_path", "There is no backup of this node on the target.")
            drill = replace(drill, file=name)
            return drills.stored(self._checks, target, name, drill, directory, proven=self._proven(name))

    def _look_for(self, digest: str, levels: drills.Levels) -> str | None:
        """Look for our file on the target whose content has a digest, and try the level ``stored`` on it; return its name."""
        selected = self.selected()
        if selected is None:
            return None
        try:
            with self._target(selected.body, DRILL_SECONDS) as (target, directory):
                for file in self._files.each(target, describe(selected.body["target"]), directory):
                    if file.ours and file.claims.manifest["content"]["sha256"] == digest:
                        with drills.read_back(self._checks, levels, target, file.parsed.name, directory):
                            return file.parsed.name
        except BackupError as failure:  # the upper levels are proven all the same
            log.warning("the target of a drill can't be read", code=failure.code, message=failure.message)
        return None

    def _proven(self, name: str) -> bool:
        """Whether the archive of this name passed its own check when this node made it: its digest then ties the file to it."""
        return any(run.result == "succeeded" and run.files and run.files[0]["name"] == name for run in self.runs.find())

    # How it goes

    def freshness(self) -> Freshness:
        """Return how fresh the backups are. Blocks."""
        return freshness(self.runs, self.drills, self._table, self._clock())

    def metrics(self) -> Iterator[Metric]:
        """Yield when a backup last succeeded and last failed, when a drill last passed, and whether a backup is overdue."""
        fresh = self.freshness()
        success, failure, drill = (kept.ended_at if kept else 0 for kept in (fresh.success, fresh.failure, fresh.drill))
        yield Metric("doorward_backup_last_success_timestamp_seconds", "When the last backup succeeded; 0: never.", success)
        yield Metric("doorward_backup_last_failure_timestamp_seconds", "When the last backup failed; 0: never.", failure)
        yield Metric("doorward_backup_last_drill_timestamp_seconds", "When a restore drill last passed; 0: never.", drill)
        yield Metric("doorward_backup_overdue", "1 while a backup is overdue.", fresh.overdue)
