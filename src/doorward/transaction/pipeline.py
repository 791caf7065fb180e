"""The life of a commit: merge, rules, plan, journal, apply, verify, publish; and what a crash in between comes to.

Everything here blocks and runs in one thread at a time: the commit thread. ``running`` may be read from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import structlog
from msgspec.structs import replace

from doorward.host.engine import ApplyError, Host, HostError
from doorward.host.ntp_probe import Prober
from doorward.host.plan import Action, Plan
from doorward.store.database import UndecidedError
from doorward.store.port import CommitRecord, Confirmation, Edit, Intent, Revision, State, Store
from doorward.tracing import span
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.history import continued, unfinished
from doorward.transaction.merge import MergeConflict
from doorward.transaction.order import Order, begun
from doorward.transaction.planner import CommitReport, Planner
from doorward.transaction.privileged import NOBODY, Committer
from doorward.transaction.proposals import Proposals
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.subscribers import CommitSubscribers
from doorward.transaction.supply import supplied
from doorward.transaction.untold import untold
from doorward.tree.problems import SemanticError, as_json
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import SystemClock, now

log = structlog.get_logger()

APPLY_SECONDS = 15.0
"""How long applying and verifying may take; after that the host is put back (protocol, section 12)."""

SYSTEM = "doorward"
"""The author of revisions that nobody asked for, such as the first one."""


class ApplyFailed(Exception):
    """The host did not take a commit. ``restored`` False: its state is unknown."""

    def __init__(self, commit_id: str, error: ApplyError) -> None:
        self.commit_id = commit_id
        self.action, self.path, self.reason, self.restored = error.action, error.origin, error.reason, error.restored
        super().__init__(f"{self.action}: {self.reason}")


class Pipeline:
    """Turns candidates into running revisions."""

    def __init__(  # noqa: PLR0913 - what a commit passes through
        self,
        tree: Tree,
        store: Store,
        host: Host,
        secrets: SecretKeeping,
        prober: Prober,
        running: Running,
        *,
        clock: SystemClock | None = None,
    ) -> None:
        self.tree, self.store, self.host, self.secrets = tree, store, host, secrets
        self.planner = Planner(tree, store, host, secrets, prober)
        self.clock = clock or SystemClock()
        self.running = running
        self.proposals = Proposals(tree, store, secrets, self.clock)
        self.awaits_confirmation = False
        """Whether the revision that is being published awaits its confirmation."""
        self.subscribers = CommitSubscribers()
        self.dropping: list[Callable[[Snapshot, Snapshot], Iterable[Action]]] = []
        """Asked in every plan what ends, from one configuration to the other, beside what the host does: sessions."""
        self.unknown: str | None = None
        """Why the state of the host is unknown; None while it is known."""
        self._undecided: set[str] = set()
        """The ids of commits that the host took back and whose revision the store may hold, until something else is written."""
        self.now_doing: dict[str, CommitRecord] = {}
        """The records of commits that wait, are carried out, or whose end the store could not take, by id. Others add to it."""

    def desired(self, snapshot: Snapshot, edits: Iterable[Edit] | None = None) -> list[Any]:
        """Return the host resources of a configuration; with ``edits`` only those that the edits can have changed."""
        return self.planner.desired(snapshot, edits)

    def plan(
        self,
        candidate: Candidate,
        message: str | None = None,
        *,
        address: str = "",
        asked: bool = True,
        by: Committer = NOBODY,
    ) -> CommitReport:
        """Work out what a commit of the candidate would do, now. See `Planner.plan`."""
        return self.planner.plan(candidate, self.running, message, address=address, asked=asked, by=by)

    def commit(self, candidate: Candidate, order: Order) -> CommitRecord:
        """Make a candidate the running configuration: stored, in effect on the host and verified when this returns.

        Raises MergeConflict, SemanticError or ApplyFailed; then the running configuration is as before.
        """
        commit_record = begun(order)
        with span("commit", doorward__commit=commit_record.id):
            return self._commit(candidate, order, commit_record)

    def _commit(self, candidate: Candidate, order: Order, commit_record: CommitRecord) -> CommitRecord:
        self.now_doing[commit_record.id] = commit_record
        try:
            if self.unknown is not None:  # first of all the host has to be what runs; what a plan says builds on it
                self._close_late()
                self.recover()
            candidate = supplied(self.tree, candidate, self.running)
            with span("commit.plan"):
                report = self.plan(candidate, order.message, address=order.address, by=Committer(order.account, order.everything))
            if report.problems:
                raise SemanticError(report.problems)
            commit_record = replace(commit_record, warnings=[*order.warnings, *as_json(report.warnings)])
            if report.asked and order.when_guarded != "pass":
                return self.proposals.make(order, commit_record, candidate, report.merged.edits, self.running)
            return self._carry_out(report, commit_record, order, candidate)
        except (MergeConflict, SemanticError) as refused:
            paths = sorted({problem.path for problem in refused.problems}) if isinstance(refused, SemanticError) else None
            self._record_refusal(commit_record, "Conflict" if paths is None else "SemanticError", str(refused), paths)
            raise
        except ApplyError as error:
            raise self.failed(commit_record, error) from error
        finally:
            if not self.now_doing[commit_record.id].finished:
                del self.now_doing[commit_record.id]

    def refuse(self, order: Order, kind: str, reason: str) -> None:
        """Keep the record of a commit whose changes could not even be put into a candidate. ``kind`` is the error type."""
        self._record_refusal(begun(order), kind, reason)

    def _record_refusal(self, commit_record: CommitRecord, kind: str, reason: str, paths: list[str] | None = None) -> None:
        error = {"reason": reason, "type": kind} | ({} if paths is None else {"paths": paths})
        try:
            self.store.save_commit_record(replace(commit_record, state="failed", finished=now(), error=error))
        except Exception as problem:  # noqa: BLE001 - the refusal matters more than its record
            log.error("no record of a refused commit", error=_why(problem))

    def _carry_out(self, report: CommitReport, commit_record: CommitRecord, order: Order, candidate: Candidate) -> CommitRecord:
        running, merged = self.running, report.merged
        self._close_late()
        if not merged.edits and not order.records:
            commit_record = replace(commit_record, state="done", finished=now(), revision=running.number)
            self.store.save_commit_record(commit_record)
            return commit_record
        number, snapshot = running.number, merged.snapshot
        edits: tuple[Edit, ...] = merged.edits
        if order.past is not None:
            number = order.past.head.number
            snapshot, edits = continued(self.tree, order.past, snapshot)
        is_emergency = order.emergency and bool(report.asked)
        revision = Revision(
            number + 1, order.user, order.address, now(), order.message, len(edits),
            approvers=" ".join(order.approvers), emergency=int(is_emergency),
        )  # fmt: skip
        records = [*order.records]
        if is_emergency:
            records.append(untold("emergency_change", f"{order.user} changed without approval", revision.number))
        kept = self.secrets.prepare(merged.snapshot, merged.edits, candidate.secrets) + self.secrets.sealed(candidate.kept)
        if report.plan.actions:
            with self.secrets.uncommitted(candidate.texts):
                self.apply(report.plan, Intent(commit_record.id, merged.edits), commit_record)
        confirmation = None
        state: State = "done"
        if order.confirm_seconds is not None:
            state = "awaiting_confirmation"
            clock, seconds = self.clock, order.confirm_seconds
            confirmation = Confirmation(
                commit_record.id, order.user, revision.number, clock.time() + seconds, seconds, clock.boot(), clock.monotonic()
            )
        done = replace(commit_record, state=state, finished=now(), revision=revision.number)
        write = partial(
            self.store.publish,
            edits=edits, commit_record=done, secrets=kept, confirmation=confirmation, records=records, past=order.past,
        )  # fmt: skip
        with span("commit.publish", doorward__revision=revision.number):
            revision = self._publish(report, commit_record.id, revision, write)
        self.awaits_confirmation = confirmation is not None
        self.running = Running(revision.number, revision.hash, snapshot)
        self.subscribers.tell(running, self.running, merged.edits)
        self.subscribers.tell_later(revision, merged.edits)
        return done

    def _close_late(self) -> None:
        """Write the records of commits that ended while the store could not be written, such as on a full disk."""
        for ended in [commit_record for commit_record in tuple(self.now_doing.values()) if commit_record.finished]:
            try:
                self.store.close_journal(self._settled(ended))
            except Exception as error:
                raise ApplyError("write journal", "", _why(error), restored=True) from error
            del self.now_doing[ended.id]
            self._undecided.discard(ended.id)

    def _settled(self, ended: CommitRecord) -> CommitRecord:
        """Return a record as it is once it is written: whatever is written takes the place of what was undecided."""
        if ended.id not in self._undecided:
            return ended
        return replace(ended, state="reverted", error={**(ended.error or {}), "restored": True})

    def apply(self, plan: Plan, intent: Intent, commit_record: CommitRecord) -> None:
        """Journal, then touch the host. The engine puts the host back itself when it fails. Raises ApplyError."""

        def progress(state: str) -> None:
            self.now_doing[commit_record.id] = replace(commit_record, state="verifying" if state == "verifying" else "applying")

        try:
            with span("commit.journal"):
                self.store.begin(intent, replace(commit_record, state="applying"))
        except Exception as error:
            raise ApplyError("write journal", "", _why(error), restored=True) from error
        with span("commit.apply", doorward__actions=len(plan.actions)):
            self.host.apply(plan, deadline=time.monotonic() + APPLY_SECONDS, progress=progress)

    def _publish(
        self, report: CommitReport, commit_id: str, revision: Revision, publish: Callable[[Revision], Revision]
    ) -> Revision:
        """Write the revision. If the store fails, the host is put back, unless the revision turns out to be written."""
        try:
            return publish(revision)
        except Exception as error:
            written = self._written(revision)
            if written is not None:
                return written
            log.error("store refused a revision", error=_why(error))
            restored = self._revert_host(report)
            if restored and isinstance(error, UndecidedError):
                self._undecided.add(commit_id)
                restored = False
            raise ApplyError("store the revision", "", _why(error), restored=restored) from error

    def _written(self, revision: Revision) -> Revision | None:
        try:
            head = self.store.head()
        except Exception:  # noqa: BLE001 - the store is failing; what it can't tell was not written
            return None
        return head if head is not None and head.number == revision.number else None

    def _revert_host(self, report: CommitReport) -> bool:
        old, new = self.running.snapshot, report.merged.snapshot
        try:
            back = self.host.plan(self.desired(new, report.merged.edits), self.desired(old, report.merged.edits))
            self.host.apply(back, deadline=time.monotonic() + APPLY_SECONDS)
        except (ApplyError, HostError) as error:
            log.error("the host could not be put back", reason=str(error))
            return False
        return True

    def failed(self, commit_record: CommitRecord, error: ApplyError) -> ApplyFailed:
        """Keep what became of a change that the host did not take; return what to raise."""
        details = {"action": error.action, "path": error.origin, "reason": error.reason, "restored": error.restored}
        ended = replace(commit_record, state="reverted" if error.restored else "unknown", finished=now(), error=details)
        try:
            self.store.close_journal(settled := self._settled(ended))
        except Exception as problem:  # noqa: BLE001 - the journal then decides at the next start
            self.now_doing[commit_record.id] = ended
            log.error("journal stays open", error=_why(problem))
        else:
            self._undecided.discard(commit_record.id)
            error.restored = settled.state == "reverted"
        if not error.restored:
            self.unknown = f"{error.action}: {error.reason}"
            log.critical("host state unknown", action=error.action, reason=error.reason, path=error.origin)
        failed = ApplyFailed(commit_record.id, error)
        log.error("commit failed", action=error.action, reason=error.reason, path=error.origin, restored=error.restored)
        return failed

    def recover(self) -> None:
        """Make the host what the running revision says; called before serving. An unfinished journal entry is undone."""
        intent = self.store.intent()
        running = self.running.snapshot
        intended = running if intent is None else unfinished(self.tree, running, intent)
        try:
            plan = self.host.plan(self.desired(intended), self.desired(running), full=True)
            self.host.apply(plan, deadline=time.monotonic() + APPLY_SECONDS)
            self.unknown = None
        except (ApplyError, HostError) as error:
            self.unknown = str(error)
            log.critical("the host does not take the running revision", reason=str(error))
        if intent is not None:
            commit_record = self.store.commit_record(intent.commit_id)
            ended_by = {
                "action": "restart",
                "path": "",
                "reason": "the server ended during the commit",
                "restored": not self.unknown,
            }
            ended = commit_record and replace(
                commit_record, state="unknown" if self.unknown else "reverted", finished=now(), error=ended_by
            )
            self.store.close_journal(ended)
            log.warning("an unfinished commit was undone", commit=intent.commit_id, revision=self.running.number)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
