"""What a commit would do, before it does anything: what is merged, every problem of it, and the plan for the host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from doorward.configuration.local_services import admin_web
from doorward.configuration.management import accounting, change_approval
from doorward.host.claims import listeners
from doorward.host.engine import ApplyError, Host, HostError
from doorward.host.ntp_probe import Prober
from doorward.host.plan import Plan
from doorward.store.port import Edit, Store
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.claims import claims
from doorward.transaction.merge import Merged, merge
from doorward.transaction.privileged import NOBODY, Committer, judged
from doorward.transaction.probes import probe_warnings, reach_warnings
from doorward.transaction.rules import check_rules
from doorward.transaction.scope import from_central_management
from doorward.transaction.secrets import SecretKeeping
from doorward.tree.problems import Problem
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot


class CommitReport(Struct, frozen=True):
    """What a commit would do: host actions, all problems and warnings, what was merged, and who has to accept it."""

    merged: Merged
    plan: Plan
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    asked: tuple[change_approval.ApprovalRule, ...] = ()


class Planner:
    """Looks at candidates, and at the host. Changes nothing."""

    def __init__(self, tree: Tree, store: Store, host: Host, secrets: SecretKeeping, prober: Prober) -> None:
        self._tree, self._store, self._host, self._secrets, self._prober = tree, store, host, secrets, prober
        self.advisers: list[Callable[[Merged], Iterable[Problem]]] = []
        """Asked in every plan for warnings that no snapshot shows."""

    def desired(self, snapshot: Snapshot, edits: Iterable[Edit] | None = None) -> list[Any]:
        """Return the host resources of a configuration; with ``edits`` only those that the edits can have changed."""
        changed = None if edits is None else {edit.place.path for edit in edits}
        resources: list[Any] = []
        for endpoint in self._tree.rendering:
            if endpoint.node.render and (changed is None or endpoint.concerned(changed)):
                resources.extend(endpoint.node.render(snapshot))
        if changed is None or any(endpoint.concerned(changed) for endpoint in self._tree.claiming):
            resources.extend(listeners(claims(self._tree, snapshot)))
        return resources

    def plan(
        self,
        candidate: Candidate,
        running: Running,
        message: str | None = None,
        *,
        address: str = "",
        asked: bool = True,
        by: Committer = NOBODY,
    ) -> CommitReport:
        """Work out what a commit of the candidate would do. The host is looked at, not touched.

        ``address`` is where it comes from, "" from the appliance itself. ``asked`` False leaves out that a commit message is
        required, ``by`` is on whose behalf. Raises MergeConflict, or ApplyError where the host can't be looked at.
        """
        merged = merge(self._tree, candidate, running)
        findings = check_rules(self._tree, merged.snapshot, merged.edits)
        if candidate.from_archive:
            findings = findings.from_archive()
        problems = [*findings.problems, *self._secrets.problems(merged.snapshot, merged.edits, candidate)]
        forbidden, leaving = judged(self._tree, self._store, running.snapshot, merged, candidate, by)
        problems += forbidden
        if address and any(edit.place.path == admin_web.PATH for edit in merged.edits):
            problems.extend(admin_web.shuts_out(merged.snapshot, address))
        if not candidate.from_central:
            problems += from_central_management(self._tree, running.snapshot, (edit.place for edit in merged.edits))
        if asked and merged.edits and not message and requires_message(running.snapshot):
            problems.insert(
                0, Problem("message_required", "A commit message is required.", "/commit_message", "/api/transaction")
            )
        plan = self._look(running.snapshot, merged)
        absent = [Problem(warning.code, warning.message, "", warning.origin) for warning in plan.warnings]
        probed = probe_warnings(self._tree, merged.edits, self._prober)
        reached = () if problems else reach_warnings(self._tree, merged.edits)
        advised = [problem for advise in self.advisers for problem in advise(merged)]
        advised += self._secrets.returning(merged.edits, candidate)
        rules = change_approval.rules_for(running.snapshot, (edit.place.href for edit in merged.edits))
        warnings = (*findings.warnings, *leaving, *advised, *probed, *reached, *absent)
        return CommitReport(merged, plan, tuple(problems), warnings, rules)

    def _look(self, before: Snapshot, merged: Merged) -> Plan:
        """Plan from one configuration to the merged one. Raises ApplyError where the host can't even be looked at."""
        try:
            return self._host.plan(self.desired(before, merged.edits), self.desired(merged.snapshot, merged.edits))
        except HostError as failure:
            path = merged.edits[0].place.href if merged.edits else ""
            raise ApplyError("look at the host", path, failure.reason, restored=True) from failure


def requires_message(snapshot: Snapshot) -> bool:
    """Whether a commit with changes needs a message, by the running configuration."""
    return snapshot.read(accounting.NODE).require_commitlog
