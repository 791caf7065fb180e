"""Commits that wait for a second person: kept until enough people accepted them, or until they end (trust contract, section 1).

A proposal has the id of its commit's record, so that one name leads from the order to the revision. Its changes are kept as they
were found against the revision that ran; they are merged onto what runs when it is accepted. Nothing takes effect by itself: what
was accepted and cut off by a crash says so and can be accepted once more.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import structlog
from msgspec.structs import replace

from doorward.configuration.management.change_approval import PATH, ApprovalRule, rules_for, settings
from doorward.store.port import SEALED_PROPOSAL, CommitRecord, DamagedRecordError, Edit, Store, StoredRecord
from doorward.store.records import Records
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.merge import rebased
from doorward.transaction.order import Order
from doorward.transaction.past import as_was
from doorward.tree.jsontext import decode_own, encode, prepared
from doorward.tree.problems import Problem, SemanticError
from doorward.tree.registry import Tree
from doorward.tree.times import SystemClock, now, stamp

if TYPE_CHECKING:
    from doorward.transaction.secrets import SecretKeeping

log = structlog.get_logger()

KIND = "proposal"
"""The kind of the records."""
MAX_WAITING = 500
"""Proposals that may wait at a time."""
MAX_ENDED = 1_000
"""Proposals that are remembered after their end."""

ProposalState = Literal[
    "waiting", "accepted", "conflicting", "failed", "done", "rejected", "withdrawn", "expired",
]  # fmt: skip
"""``accepted``: it is being committed. ``conflicting`` and ``failed``: that did not work; who accepted it may do so once more."""
OPEN: frozenset[ProposalState] = frozenset({"waiting", "accepted", "conflicting", "failed"})
"""What has not ended."""


@prepared
class ProposalDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said to a proposal: by the key of the account and its name, with the time as a UTC text."""

    account: str
    user: str
    decision: Literal["accept", "reject"]
    reason: str | None
    time: str


@prepared
class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that waits, as it is kept.

    ``account`` is the key of its author. ``rows`` are its changes against revision ``base``, as ``Edit.as_json`` gives them.
    ``seconds`` are left from ``moment`` on, a monotonic time of the machine's boot ``boot``; ``deadline`` (Unix time) is for
    another boot. ``error`` says why a commit that was accepted did not come to a revision.
    """

    id: str
    account: str
    author: str
    address: str
    message: str | None
    confirm_seconds: int | None
    created: str
    base: int
    rows: tuple[tuple[Any, ...], ...]
    deadline: float
    seconds: float
    boot: str
    moment: float
    idempotency_key: str | None = None
    request: str | None = None
    state: ProposalState = "waiting"
    decisions: tuple[ProposalDecision, ...] = ()
    revision: int | None = None
    error: dict[str, Any] | None = None
    ended: str | None = None

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What it changes."""
        return tuple(Edit.from_json(row) for row in self.rows)

    @property
    def hrefs(self) -> tuple[str, ...]:
        """The resources that it changes."""
        return tuple(edit.place.href for edit in self.edits)

    @property
    def is_open(self) -> bool:
        """Whether it may still take effect."""
        return self.state in OPEN

    def left(self, clock: SystemClock) -> float:
        """Return the seconds until it ends: by the monotonic clock, since setting the clock is no reason to end or to live on."""
        boot, moment = clock.boot(), clock.monotonic()
        if boot and boot == self.boot and moment >= self.moment:
            return self.seconds - (moment - self.moment)
        return min(self.deadline - clock.time(), self.seconds)

    def expires(self, clock: SystemClock) -> str:
        """Return when it ends, by the clock of now."""
        return stamp(datetime.fromtimestamp(clock.time() + self.left(clock), UTC))

    def decided(self, decision: ProposalDecision) -> Proposal:
        """Return it with what somebody said, in place of what that person said before."""
        others = (one for one in self.decisions if one.account != decision.account)
        return msgspec.structs.replace(self, decisions=(*others, decision))


Made = Callable[[Proposal, tuple[ApprovalRule, ...]], None]
"""Is told of a new proposal, and which rules it has to pass."""


class Proposals:
    """All proposals of a node. What writes runs in the commit thread; reading is safe in any."""

    def __init__(self, tree: Tree, store: Store, secrets: SecretKeeping, clock: SystemClock) -> None:
        self._tree, self._store, self._secrets, self.clock = tree, store, secrets, clock
        self._records = Records(store, KIND, Proposal)
        self.made: list[Made] = []

    # Reading

    def all(self) -> list[Proposal]:
        """Return all proposals, newest first; those whose time is over have ended."""
        return [self._as_now(proposal) for proposal in self._records.find()]

    def get(self, name: str) -> Proposal | None:
        """Return one proposal."""
        found = self._records.get(name)
        return None if found is None else self._as_now(found)

    def _as_now(self, proposal: Proposal) -> Proposal:
        if proposal.is_open and proposal.state != "accepted" and proposal.left(self.clock) <= 0:
            return msgspec.structs.replace(proposal, state="expired")
        return proposal

    def candidate(self, proposal: Proposal, running: Running) -> Candidate:
        """Return what runs with the changes of a proposal. Raises MergeConflict, or SemanticError: a release took them away."""
        edits = proposal.edits
        base = as_was(self._tree, self._store, proposal.base, *{edit.place.path for edit in edits})
        candidate = Candidate(Running(proposal.base, "", base), base)
        candidate.secrets |= self._opened(proposal.id)
        for edit in edits:
            if edit.new is None:
                candidate.remove(edit.place)
                continue
            try:
                document = self._tree.load(edit.place, decode_own(edit.new))
            except (KeyError, ValueError):  # such as pydantic raises
                message = "This release does not take what was proposed here."
                raise SemanticError([Problem("unsuitable", message, "", edit.place.href)]) from None
            candidate.put(edit.place, document, edit.position if edit.place.key else None)
        return rebased(self._tree, candidate, running)

    # Writing

    def make(
        self, order: Order, record: CommitRecord, candidate: Candidate, edits: tuple[Edit, ...], running: Running
    ) -> CommitRecord:
        """Keep a commit as a proposal, with its record, in one step; return the record. ``edits`` are against what runs.

        Raises SemanticError where such an order can't wait, or too many do.
        """
        approval = settings(running.snapshot)
        rules = rules_for(running.snapshot, (edit.place.href for edit in edits))
        if order.when_guarded != "propose" or order.records or candidate.kept or approval is None:
            message = f"This changes what {' and '.join(groups_of(rules))} must approve, and can't wait for that."
            raise SemanticError([Problem("approval_required", message, "", PATH)])
        if sum(proposal.is_open for proposal in self.all()) >= MAX_WAITING:
            message = f"{MAX_WAITING} proposals wait already; some have to be decided or withdrawn first."
            raise SemanticError([Problem("too_many", message, "", "/api/proposals")])
        clock, seconds = self.clock, approval.expires_hours * 3600.0
        proposal = Proposal(
            id=record.id, account=record.account, author=record.user, address=order.address, message=order.message,
            confirm_seconds=order.confirm_seconds, created=now(), base=running.number,
            rows=tuple(tuple(edit.as_json()) for edit in edits), deadline=clock.time() + seconds, seconds=seconds,
            boot=clock.boot(), moment=clock.monotonic(), idempotency_key=record.idempotency_key, request=record.request,
        )  # fmt: skip
        proposed = replace(record, state="proposed")
        self._store.save_commit_record(proposed, [self.record(proposal), *self._sealed(proposal.id, candidate.secrets)])
        log.info("a commit waits for approval", proposal=proposal.id, user=proposal.author, groups=groups_of(rules))
        for tell in self.made:
            try:
                tell(proposal, rules)
            except Exception:
                log.exception("nobody was told of a proposal", proposal=proposal.id)
        return proposed

    def record(self, proposal: Proposal) -> StoredRecord:
        """Return the record of a proposal, for who writes it in one step with a revision."""
        return self._records.record(proposal)

    def save(self, proposal: Proposal) -> None:
        """Keep what became of a proposal that goes on."""
        self._records.put(proposal)

    def end(self, proposal: Proposal, state: ProposalState, reason: str) -> Proposal:
        """End a proposal without a revision, and say so in the record of its commit; return it."""
        ended = msgspec.structs.replace(proposal, state=state, ended=now(), error={"reason": reason})
        commit = self._store.commit_record(proposal.id)
        if commit is not None:
            failed = replace(commit, state="failed", finished=now(), error={"reason": reason, "type": state.capitalize()})
            self._store.save_commit_record(failed, [self.record(ended)])
        else:
            self.save(ended)
        self.forget_secrets(proposal.id)
        return ended

    def forget_secrets(self, name: str) -> None:
        """Destroy the secrets that a proposal brought: it has ended, or the revision has them."""
        self._store.remove_record(SEALED_PROPOSAL, name)

    # What time and crashes do

    def settle(self) -> None:
        """Find out at a start what became of proposals: one that was cut off says so, times begin to count on this boot."""
        clock = self.clock
        for proposal in self._records.find():
            if not proposal.is_open:
                continue
            found = msgspec.structs.replace(
                proposal, seconds=proposal.left(clock), boot=clock.boot(), moment=clock.monotonic()
            )  # fmt: skip
            if found.state == "accepted":
                reason = "The server ended before it took effect; what ran before is in effect. Accept it once more."
                found = msgspec.structs.replace(found, state="failed", error={"reason": reason})
            self.save(found)
        self.tidy()

    def tidy(self) -> None:
        """End what nobody accepted in time, and forget the oldest of those that ended."""
        kept = 0
        for proposal in self._records.find():
            if self._as_now(proposal).state == "expired" and proposal.is_open:
                self.end(proposal, "expired", "Nobody accepted it in time.")
            elif not proposal.is_open and (kept := kept + 1) > MAX_ENDED:
                self._records.remove(proposal.id)
        waiting = {proposal.id for proposal in self._records.find() if proposal.is_open}
        strays = [record.id for record in self._store.records(SEALED_PROPOSAL) if record.id not in waiting]
        if strays:
            self._store.remove_record(SEALED_PROPOSAL, *strays)

    # Secrets

    def _sealed(self, name: str, texts: Mapping[str, str]) -> Iterable[StoredRecord]:
        if texts:
            sealed = self._secrets.seal(name, encode(dict(texts)).decode())
            yield StoredRecord(SEALED_PROPOSAL, name, {"sealed": base64.b64encode(sealed).decode()})

    def _opened(self, name: str) -> dict[str, str]:
        try:
            kept = self._store.record(SEALED_PROPOSAL, name)
        except DamagedRecordError:
            message = "The secrets that it brought are damaged; propose it anew."
            raise SemanticError([Problem("secret_gone", message, "", f"/api/proposals/{name}")]) from None
        if kept is None:
            return {}
        text = self._secrets.unseal(name, base64.b64decode(kept.body["sealed"]))
        return msgspec.json.decode(text, type=dict[str, str])


def groups_of(rules: Iterable[ApprovalRule]) -> list[str]:
    """Return the names of the groups of some rules, in their order."""
    return list(dict.fromkeys(rule.approvers for rule in rules))
