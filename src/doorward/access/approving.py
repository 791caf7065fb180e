"""Who may accept or reject a proposal, whose word counts, and what follows from it (trust contract, section 1).

All of it is judged by what runs at that moment: rules, groups, accounts and rights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from msgspec import Struct

from doorward.access.accounts import Account, account_in
from doorward.access.sight import CHANGELOG, Sight
from doorward.access.writable import not_writable
from doorward.configuration.aaa.local_database import groups, users
from doorward.configuration.management.change_approval import ApprovalRule, rules_for, settings
from doorward.store.port import Edit, Store
from doorward.transaction.commits import CommitService
from doorward.transaction.conflicts import explained
from doorward.transaction.merge import MergeConflict
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.privileged import Committer
from doorward.transaction.proposals import Proposal, ProposalDecision
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Branch, WriteOnce
from doorward.tree.problems import SemanticError
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import now

_PAGE = 100


class NoApproverError(Exception):
    """An account that may not decide on a proposal; the text says why."""


class ProposalEndedError(Exception):
    """A proposal on which nothing can be decided any more, or not now; the text says why."""


class LostRightsError(Exception):
    """The author of a proposal may no longer change what it changes: ``paths``."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths
        super().__init__("Its author may no longer change what it changes.")


class AwaitedGroup(Struct, frozen=True):
    """A group that has to accept: how many of its members, and the names of those who did so far."""

    group: str
    required: int
    accepted: tuple[str, ...]

    @property
    def is_satisfied(self) -> bool:
        """Whether enough people accepted."""
        return len(self.accepted) >= self.required


def in_emergency_group(snapshot: Snapshot, account: str) -> bool:
    """Whether an account, given by key, may commit without approval."""
    approval, found = settings(snapshot), account_in(snapshot, account)
    return approval is not None and found is not None and approval.emergency_group in found.rights.groups


class Approving:
    """Decisions on proposals. What decides runs in the commit thread; the rest is safe in any and reads the store."""

    def __init__(self, commits: CommitService) -> None:
        self._commits, self._pipeline, self.proposals = commits, commits.pipeline, commits.pipeline.proposals

    @property
    def _snapshot(self) -> Snapshot:
        return self._pipeline.running.snapshot

    # Who and what is awaited

    def awaited(self, proposal: Proposal) -> list[AwaitedGroup]:
        """Return the groups that a proposal has to pass by the rules of now, and who of them accepted it."""
        accepted = [one for one in proposal.decisions if one.decision == "accept" and self._counts(proposal, one)]
        return [self._awaited(rule, accepted) for rule in rules_for(self._snapshot, proposal.hrefs)]

    def _awaited(self, rule: ApprovalRule, accepted: Iterable[ProposalDecision]) -> AwaitedGroup:
        names = [one.user for one in accepted if self._is_member(one.account, rule)]
        return AwaitedGroup(rule.approvers, rule.required, tuple(names))

    def counts(self, proposal: Proposal, decision: ProposalDecision) -> bool:
        """Whether what somebody said still counts."""
        return decision.decision == "reject" or self._counts(proposal, decision)

    def _counts(self, proposal: Proposal, decision: ProposalDecision) -> bool:
        account = account_in(self._snapshot, decision.account)
        return (
            account is not None
            and account.password is not None
            and account.key != proposal.account
            and self._reads(account, proposal)
            and not is_void(self._pipeline.store, proposal, account.key)
        )

    def _is_member(self, account: str, rule: ApprovalRule) -> bool:
        found = account_in(self._snapshot, account)
        return found is not None and rule.approvers in found.rights.groups

    def _reads(self, account: Account, proposal: Proposal) -> bool:
        """Whether an account may read every place that a proposal changes; secrets are read by nobody."""
        tree = self._pipeline.tree
        sight = Sight(tree, account.rights, self._snapshot, edits=proposal.edits)
        return all(
            sight.place(edit.place) for edit in proposal.edits if not isinstance(tree[edit.place.path].node, (Branch, WriteOnce))
        )

    def may_see(self, proposal: Proposal, account: str) -> bool:
        """Whether an account may see that there is such a proposal: its author, its approvers, readers of the history."""
        found = account_in(self._snapshot, account)
        if found is None:
            return False
        if account == proposal.account or found.rights.may_read(CHANGELOG, "/api/proposals"):
            return True
        names = {rule.approvers for rule in rules_for(self._snapshot, proposal.hrefs)}
        return not names.isdisjoint(found.rights.groups)

    # Deciding; in the commit thread

    def withdraw(self, name: str, account: str) -> Proposal:
        """End a proposal as its author. Raises ProposalEndedError or NoApproverError."""
        proposal = self._open(name)
        if proposal.account != account:
            raise NoApproverError("Only its author may withdraw a proposal.")
        return self.proposals.end(proposal, "withdrawn", "Its author withdrew it.")

    def decide(
        self, name: str, account: str, decision: Literal["accept", "reject"], reason: str | None, check: Callable[[], None]
    ) -> Proposal:
        """Take what somebody says to a proposal; the last acceptance that is needed commits it. Return the proposal.

        ``check`` raises where whoever decides may not do so any more. Raises ProposalEndedError, NoApproverError,
        PendingConfirmationError, and what a commit raises: ConflictingChangesError, LostRightsError, SemanticError, ApplyFailed;
        then the proposal says so, with everybody's acceptance, and can be accepted once more.
        """
        check()
        proposal = self._open(name)
        who = self._approver(proposal, account)
        said = ProposalDecision(account=account, user=who.name, decision=decision, reason=reason, time=now())
        proposal = proposal.decided(said)
        if decision == "reject":
            return self.proposals.end(proposal, "rejected", f"{who.name} rejected it{f': {reason}' if reason else '.'}")
        awaited = self.awaited(proposal)
        if not all(one.is_satisfied for one in awaited):
            self.proposals.save(proposal)
            return proposal
        self._commits.check_pending()
        return self._carry_out(proposal, sorted({name for one in awaited for name in one.accepted}))

    def _open(self, name: str) -> Proposal:
        proposal = self.proposals.get(name)
        if proposal is None:
            raise LookupError(name)
        if not proposal.is_open:
            raise ProposalEndedError(f"The proposal is {proposal.state}.")
        return proposal

    def _approver(self, proposal: Proposal, account: str) -> Account:
        """Return the account of who decides. Raises NoApproverError or ProposalEndedError."""
        found, rules = account_in(self._snapshot, account), rules_for(self._snapshot, proposal.hrefs)
        if not rules:
            raise ProposalEndedError("Nothing that it changes takes an approval any more: withdraw it and commit.")
        if found is None or not any(rule.approvers in found.rights.groups for rule in rules):
            raise NoApproverError("This account is in none of the groups that have to accept it.")
        if account == proposal.account:
            raise NoApproverError("Nobody accepts or rejects a proposal of the own account.")
        if not self._reads(found, proposal):
            raise NoApproverError("This account may not read everything that the proposal changes.")
        if is_void(self._pipeline.store, proposal, account):
            raise NoApproverError("The author changed the password or the groups of this account since the proposal.")
        return found

    def _carry_out(self, proposal: Proposal, approvers: list[str]) -> Proposal:
        """Commit what was accepted onto what runs now."""
        pipeline = self._pipeline
        proposal = msgspec.structs.replace(proposal, state="accepted", error=None)
        self.proposals.save(proposal)  # from here on a crash is told of
        done = msgspec.structs.replace(proposal, state="done", revision=pipeline.running.number + 1, ended=now())
        try:
            candidate = self.proposals.candidate(proposal, pipeline.running)
            author = account_in(self._snapshot, proposal.account)
            if author is None:
                raise LostRightsError(sorted(proposal.hrefs))
            if paths := not_writable(pipeline.tree, candidate, author.rights):
                raise LostRightsError(paths)
            record = pipeline.commit(candidate, self._order(proposal, author, approvers, [done] if candidate.changed else []))
        except MergeConflict as collided:
            paths = sorted(one.path for one in collided.collisions)
            self._failed(proposal, "conflicting", {"paths": paths, "reason": "Somebody else changed these places meanwhile."})
            raise explained(pipeline.store, proposal.base, pipeline.running, collided) from None
        except LostRightsError as lost:
            self._failed(proposal, "failed", {"paths": lost.paths, "reason": str(lost)})
            raise
        except SemanticError as refused:
            problems = [{"message": one.message, "path": one.path, "pointer": one.pointer} for one in refused.problems]
            self._failed(proposal, "failed", {"problems": problems, "reason": "It can't be committed any more as it is."})
            raise
        except ApplyFailed as failed:
            self._failed(proposal, "failed", {"paths": [failed.path], "reason": str(failed)})
            raise
        if not candidate.changed:  # what it changes is so already, and there is no revision of it
            done = msgspec.structs.replace(done, revision=record.revision)
            self.proposals.save(done)
        self.proposals.forget_secrets(proposal.id)
        if proposal.confirm_seconds is not None:
            self._commits.confirmations.load()
        return done

    def _failed(self, proposal: Proposal, state: Literal["conflicting", "failed"], error: dict[str, object]) -> None:
        self.proposals.save(msgspec.structs.replace(proposal, state=state, error=error))

    def _order(self, proposal: Proposal, author: Account, approvers: list[str], done: list[Proposal]) -> Order:
        """Return the order of what was accepted; what became of the proposal is written in one step with the revision."""
        return Order(
            author.name, proposal.address, proposal.message, proposal.confirm_seconds, proposal.id, proposal.idempotency_key,
            proposal.request, records=tuple(map(self.proposals.record, done)), everything=author.rights.everything,
            account=proposal.account, when_guarded="pass", approvers=tuple(approvers),
        )  # fmt: skip

    def committer(self, proposal: Proposal) -> Committer:
        """Return on whose behalf a proposal would be committed."""
        author = account_in(self._snapshot, proposal.account)
        return Committer(proposal.account, author is not None and author.rights.everything)


def is_void(store: Store, proposal: Proposal, account: str) -> bool:
    """Whether the author of a proposal changed the password or the groups of an account since: its word may not be its own."""
    before: int | None = None
    while page := store.revisions(before, _PAGE, (users.PATH, groups.PATH)):
        for revision in page:
            if revision.number <= proposal.base:
                return False
            if revision.author == proposal.author and any(_touches(edit, account) for edit in store.edits(revision.number)):
                return True
        before = page[-1].number
    return False


def _touches(edit: Edit, account: str) -> bool:
    """Whether an edit changes the password of an account, or whether it is in a group."""
    old, new = ({} if body is None else decode_own(body) for body in (edit.old, edit.new))
    if edit.place.path == users.PATH and edit.place.key == account:
        return bool(old.get("password") != new.get("password"))
    if edit.place.path == groups.PATH and edit.place.key:
        return (account in old.get("members", ())) != (account in new.get("members", ()))
    return False
