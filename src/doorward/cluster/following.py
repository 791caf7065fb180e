"""The joined node's end: what it knows of its Central Management, kept through restarts, and one step of following it.

A step asks, takes what is new and remembers how that went. Who asks again and when is for ``follower``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import structlog

from doorward import __version__
from doorward.cluster.apply_revision import NotAppliedError, check, mismatch, take, take_membership
from doorward.cluster.port import CentralLink, CentralRefusedError
from doorward.cluster.revisions import Envelope, Header, Membership
from doorward.cluster.statuses import Issues, NodeIssue, utc
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.store.records import Records
from doorward.transaction.pipeline import Pipeline
from doorward.tree.jsontext import prepared
from doorward.tree.times import SystemClock

log = structlog.get_logger()

RETRY_SECONDS = 600.0
"""A revision that was refused is tried again after this long, should no newer one and no other release come before."""

KIND = "cluster_sync"
"""Of the record of how far a node is."""
_T = TypeVar("_T")


class StoppingError(Exception):
    """The node stops; what was under way is done again at its next start."""


@prepared
class Sync(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far the node is. ``applied`` is in effect, ``tried`` the newest that was looked at; times are Unix times."""

    applied: Header | None = None
    tried: Header | None = None
    membership: Header | None = None
    checked: float | None = None
    updated: float | None = None
    issues: Issues = Issues()
    id: str = "node"

    @property
    def times(self) -> tuple[str | None, str | None]:
        """When revisions were last asked about and when one was last applied, as they are shown."""
        checked, updated = (utc(at) if at is not None else None for at in (self.checked, self.updated))
        return checked, updated


@prepared
class _Removal(msgspec.Struct, frozen=True):
    """When Central Management removed this node (UTC text)."""

    at: str
    id: str = "node"


class Following:
    """Follows Central Management. ``in_commit_thread`` runs work where commits run and returns its result."""

    def __init__(
        self,
        pipeline: Pipeline,
        in_commit_thread: Callable[[Callable[[], Any]], Any],
        clock: SystemClock | None = None,
        version: str = __version__,
    ) -> None:
        self._pipeline, self._in_commit_thread, self._version = pipeline, in_commit_thread, version
        self.clock = clock or SystemClock()
        self._tried_at, self._tried_of = 0.0, ""
        """When a revision was refused last, and which release of Central Management had sent it; none since this start."""
        self._release = version
        """Of Central Management, by its last answer."""
        self.stopping = threading.Event()
        self._removals = Records(pipeline.store, "cluster_removal", _Removal)
        self.removed = bool(self._removals.find(limit=1))
        """Whether Central Management removed this node, and it has not asked to join since."""
        self._syncs = Records(pipeline.store, KIND, Sync)
        self.sync = self._syncs.get(Sync().id) or Sync()

    nothing = Sync()
    """What is known before anything was fetched."""

    def join(self, link: CentralLink, known: ClusterRole) -> None:
        """Become a member of a cluster just paired with for what the node was. Raises NotAppliedError, CentralRefusedError."""
        found = link.membership(None, 0)
        self._meet(link)
        if found is None:  # it has yet to note its first cluster revision; the secret must outlive that
            raise CentralRefusedError("no_answer", "Central Management has no revision of the cluster yet")
        self._take_membership(known, found.membership, found.header)

    def step(self, link: CentralLink, wait: float, answered: Callable[[], None]) -> bool:
        """Ask once, for as long as ``wait`` seconds, and take what is new; return whether there was something to report.

        ``answered`` is called when Central Management has answered, before anything is taken.
        """
        known = cluster_role(self._pipeline.running.snapshot)
        if not known.managed:
            return self._step_of_others(known, link, wait, answered)
        sync = self.sync
        refused = sync.tried != sync.applied
        again = refused and (self.clock.monotonic() - self._tried_at > RETRY_SECONDS or self._release != self._tried_of)
        newest = link.head(None if again else sync.tried, wait)
        changed = self._checked(link, answered)
        if newest is None or (newest == sync.tried and not again):
            return changed
        envelope = link.revision(sync.applied)
        if envelope is None:  # the role was taken away, which the membership tells
            return self._step_of_others(known, link, 0.0, answered)
        try:
            self._take_membership(known, envelope.content.membership, envelope.header, keep=False)
        except NotAppliedError as refused:
            self._refuse(envelope.header, refused)
            return True
        if cluster_role(self._pipeline.running.snapshot).managed:
            self._take(known, envelope)
        return True

    def _step_of_others(self, known: ClusterRole, link: CentralLink, wait: float, answered: Callable[[], None]) -> bool:
        """Take the membership alone. A configuration that was taken earlier is the node's own by now."""
        if self.sync.tried is not None:
            self._keep(Sync(membership=self.sync.membership))
        found = link.membership(self.sync.membership, wait)
        changed = self._checked(link, answered)
        try:
            if found is not None:
                self._take_membership(known, found.membership, found.header)
        except NotAppliedError as refused:
            self._wrong(Issues(refused.issues))
            raise
        self._wrong(Issues())
        return changed or found is not None

    def _wrong(self, issues: Issues) -> None:
        """Remember what is wrong with the membership of a node that takes nothing else; with one that has left, nothing is."""
        if issues != self.sync.issues and cluster_role(self._pipeline.running.snapshot).state == "joined":
            self._note(issues=issues, keep=True)

    def _checked(self, link: CentralLink, answered: Callable[[], None]) -> bool:
        """Note that Central Management has answered; return whether it is of another release than before."""
        self._note(checked=self.clock.time())
        answered()
        return self._meet(link)

    def _meet(self, link: CentralLink) -> bool:
        before, self._release = self._release, link.release or self._version
        return self._release != before

    @property
    def issues(self) -> Issues:
        """What is wrong with what was taken, and with Central Management: the next revision would be refused."""
        found = self.sync.issues
        told = self._release == self._version or any(issue.code == "version_mismatch" for issue in found.errors)
        if told or cluster_role(self._pipeline.running.snapshot).state != "joined":
            return found
        return Issues([mismatch(self._release, self._version), *found.errors], found.warnings)

    def _take_membership(self, was: ClusterRole, membership: Membership, header: Header, *, keep: bool = True) -> None:
        """Take the list of nodes. ``keep`` False: what is taken next keeps note of it. Raises NotAppliedError."""
        if membership.cluster_id != (was.cluster_id or membership.cluster_id):
            raise NotAppliedError(
                [NodeIssue("history_fork", "Central Management has another cluster than the one this node joined.")]
            )
        known = self.sync.membership
        if known is not None and header.at < known.at:
            older = f"Central Management has the older cluster revision {header.number} of {utc(header.epoch)}, and no newer one."
            raise NotAppliedError([NodeIssue("history_fork", older)])
        if header != known:
            self.when_nothing_awaits(lambda: take_membership(self._pipeline, membership), was)
            self._note(membership=header, keep=keep)

    def _take(self, was: ClusterRole, envelope: Envelope) -> None:
        pipeline, sync = self._pipeline, self.sync
        of_now = Issues(warnings=sync.issues.warnings)
        made = msgspec.structs.replace(
            sync, applied=envelope.header, tried=envelope.header, updated=self.clock.time(), issues=of_now
        )  # fmt: skip
        try:
            check(envelope, sync.applied, was.cluster_id or "", self._version)
            warnings = self.when_nothing_awaits(lambda: take(pipeline, envelope, self._syncs.record(made)), was)
        except NotAppliedError as refused:
            self._refuse(envelope.header, refused)
            return
        log.info("a cluster revision was taken", number=envelope.header.number, revision=pipeline.running.number)
        self.sync = made
        if warnings is not None and warnings != of_now.warnings:
            self._note(issues=Issues(warnings=warnings), keep=True)

    def _refuse(self, header: Header, refused: NotAppliedError) -> None:
        log.error("a cluster revision was not taken", number=header.number, reason=str(refused))
        if cluster_role(self._pipeline.running.snapshot).state != "joined":
            return  # it has left in the meantime, and all this was forgotten
        self._tried_at, self._tried_of = self.clock.monotonic(), self._release
        self._note(tried=header, issues=Issues(refused.issues, self.sync.issues.warnings), keep=True)

    def when_nothing_awaits(self, work: Callable[[], _T], was: ClusterRole) -> _T:
        """Run work in the commit thread, once no commit of this node awaits its confirmation any more.

        ``was`` is what the node was when it asked. Raises NotAppliedError where it has left since, or asked anew.
        """

        def alone() -> tuple[bool, _T | None]:
            if self._pipeline.store.confirmation() is not None:
                return False, None
            now = cluster_role(self._pipeline.running.snapshot)
            if (now.cluster_id, now.psk) != (was.cluster_id, was.psk):
                raise NotAppliedError([NodeIssue("left", "The node is no longer what it was when it asked.")])
            return True, work()

        while True:
            done, result = self._in_commit_thread(alone)
            if done:
                return result  # type: ignore[no-any-return]
            if self.stopping.wait(1.0):
                raise StoppingError

    def _note(self, *, keep: bool = False, **news: Any) -> None:
        self.sync = msgspec.structs.replace(self.sync, **news)
        if keep:
            self._keep(self.sync)

    def _keep(self, sync: Sync) -> None:
        self.sync = sync
        self._syncs.put(sync)

    def note_removed(self, *, removed: bool) -> None:
        """Remember that Central Management removed this node, or that this is of no interest any more."""
        if removed:
            self._removals.put(_Removal(utc(self.clock.time())))
        elif self.removed:
            self._removals.remove(_Removal("").id)
        self.removed = removed

    def forget(self) -> None:
        """Forget everything; the node has left."""
        self.sync = Sync()
        self._syncs.remove(Sync().id)
