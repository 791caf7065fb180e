"""Everything of this floor put together: what a node does in its cluster, started, stopped, and told of every commit."""

from __future__ import annotations

import itertools
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from doorward import __version__
from doorward.areas.area import Area, Issue, Metric
from doorward.areas.worker import Worker
from doorward.cluster import statuses
from doorward.cluster.central import Central
from doorward.cluster.channel import ChannelApp
from doorward.cluster.figures import figures
from doorward.cluster.follower import Follower
from doorward.cluster.following import Following
from doorward.cluster.host_keys import exchange
from doorward.cluster.keys import NodeKey
from doorward.cluster.metrics import metrics
from doorward.cluster.peers import KnownNodes, Peers
from doorward.cluster.port import Connector
from doorward.cluster.search import ClusterSearch
from doorward.cluster.settling import Settling
from doorward.cluster.statuses import Backup, NodeReport, Seen, utc
from doorward.configuration.local_services import cluster as interface
from doorward.events.events import Events
from doorward.events.node import full_name
from doorward.membership import ROOT, nodes, promote
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.store.port import Edit
from doorward.transaction.candidate import Running
from doorward.transaction.merge import Merged
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.times import SystemClock

log = structlog.get_logger()

_TICK_SECONDS = 1.0
_REACH_SECONDS = 60.0


class Cluster(Area):
    """A node in its cluster, whatever it is there. ``backup`` tells how its backups do, ``version`` is its release."""

    def __init__(  # noqa: PLR0913 - what a node is made of
        self,
        pipeline: Pipeline,
        queue: CommitQueue,
        *,
        node_id: str,
        key: NodeKey,
        connector: Connector,
        events: Events,
        state: Path,
        backup: Callable[[], Backup | None] = lambda: None,
        clock: SystemClock | None = None,
        version: str = __version__,
        host_keys: TrustedHostKeys | None = None,
    ) -> None:
        host_keys = host_keys or TrustedHostKeys(pipeline.store)
        self._pipeline, self._queue, self.node_id, self._state, self._backup = pipeline, queue, node_id, state, backup
        self._connector, self._clock, self._version = connector, clock or SystemClock(), version
        self._peers = Peers(pipeline.store)
        self._central = Central(
            pipeline, node_id, key, self._peers, events, clock=self._clock, version=version, host_keys=host_keys
        )  # fmt: skip
        self._central.pairing.pinned, self._central.contacted = self._pinned, self._contacted
        self.channel = ChannelApp(key, self._central, clock=self._clock)
        self.known = KnownNodes(lambda: pipeline.running.snapshot, key, self._peers.all, self._central.names)
        self.search = ClusterSearch(self.known)
        self._central.answer_sessions = self.search.answer
        self._following = Following(pipeline, queue.wait, self._clock, version)
        self._settling = Settling(pipeline, self._central, self._following, self._peers, self.channel, self._clock)
        self.follower = Follower(
            pipeline,
            self._following,
            self._peers,
            connector=connector,
            report=self._report,
            events=events,
        )
        self.follower.exchange = partial(exchange, host_keys)
        host_keys.learned = self.follower.report_soon
        self._jobs: deque[Callable[[], object]] = deque()
        self._worker = Worker("cluster", self._turn)
        self._reaching = Worker("cluster-reach", self._reach, delay=_REACH_SECONDS)
        """Apart: each of the nodes that are away takes some seconds."""
        self._awaited = 0
        """The newest running revision that nothing follows from before it is confirmed."""
        self._ticked = self._clock.monotonic()
        self._instance, self._reports = uuid.uuid4().hex, itertools.count(1)

    def certificate_of(self, node: str) -> bytes | None:
        """Return the certificate (DER) that a node is known by: this one, one of the cluster, or one that was removed lately."""
        if node == self.node_id:
            return self.known.key.certificate
        peer = self._peers.all().get(node)
        return None if peer is None else peer.certificate

    # Life

    def start(self) -> None:
        """Begin."""
        self.attach()
        self._worker.start()
        self._reaching.start()
        self.follower.start()

    def attach(self) -> None:
        """Finish what a crash left half done, and have a word in every plan from now on."""
        self._pipeline.planner.advisers.append(self._advice)
        pending = self._pipeline.store.confirmation()
        if pending is not None:
            self._await(pending.revision, self._pipeline.store.edits(pending.revision))
        self._settling.confirmed()

    def stop(self) -> None:
        """End, before the commit queue does. Who looks for a node in this moment is not waited for: nothing depends on it."""
        self._reaching.stop(wait=False)
        self.search.close()
        self.follower.stop()
        self._worker.stop()
        self._central.keep()

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """In the commit thread: the work that follows is done elsewhere, in the order of the commits.

        Nothing follows from a commit that awaits its confirmation: no node is told, or let go.
        """
        ours = any(edit.place.path.startswith(ROOT) for edit in edits)
        moved = interface.listen_address(before.snapshot) != interface.listen_address(after.snapshot)
        if self._pipeline.awaits_confirmation:
            self._await(after.number, edits)
        else:
            if self.cluster_role.state == "central" and any(self._travels(edit) for edit in edits):
                self._central.expected = after.number
            if ours or moved or self.cluster_role.state == "central":
                self._later(lambda: self._settling.settle(after))
        if ours or moved:
            self.follower.wake()

    def _await(self, number: int, edits: Iterable[Edit]) -> None:
        """Remember that something follows from a revision once it is confirmed; what awaited it before does not any more."""
        self._awaited = number
        self._central.expected = max(self._central.expected, self._central.awaited)
        if self.cluster_role.state == "central" and any(self._travels(edit) for edit in edits):
            self._central.awaited = number

    def _travels(self, edit: Edit) -> bool:
        endpoint = self._pipeline.tree.endpoints.get(edit.place.path)
        return edit.place.path == nodes.PATH or (endpoint is not None and endpoint.node.scope == "cluster")

    def _later(self, job: Callable[[], object]) -> None:
        self._jobs.append(job)
        self._worker.wake()

    def _turn(self) -> float:
        while self.work() and not self._worker.is_stopping:
            pass
        return _TICK_SECONDS

    def work(self) -> bool:
        """Do the next thing that came up, and regularly what is to be done so; return whether something came up."""
        job = self._jobs.popleft() if self._jobs else None
        if job is not None:
            _carried_out(job)
        if job is None or self._clock.monotonic() - self._ticked > _TICK_SECONDS:  # also where commits leave no pause
            self._ticked = self._clock.monotonic()
            _carried_out(self._tick)
        return job is not None

    def _tick(self) -> None:
        confirmed = self._awaited > self._central.noted and self._pipeline.store.confirmation() is None
        if not self._jobs and (confirmed or self._central.expected > self._central.noted):
            self._settling.confirmed()
        if self.cluster_role.state != "central":
            return
        self._central.watch()
        self._central.keep()
        for node_id in self._central.pairing.due():
            self._queue.wait(partial(self._central.pairing.retire, node_id))

    def _reach(self) -> float:
        """Have Central Management ask every paired node at the address that is registered for it whether it is there."""
        if self.cluster_role.state != "central":
            return _REACH_SECONDS
        own = interface.listen_address(self._pipeline.running.snapshot)
        for key, member in self._pipeline.running.snapshot.each(nodes.NODE):
            peer = self._peers.all().get(key)
            if key == self.node_id or peer is None or peer.removed is not None or self._reaching.is_stopping:
                continue
            address = member.address
            if self._connector.answers(address, peer, own):
                self._central.unreachable.pop(key, None)
            else:
                message = f"The node does not answer at {address}."
                self._central.unreachable[key] = statuses.NodeIssue("address_unreachable", message)
        return _REACH_SECONDS

    def _pinned(self) -> None:
        """Another node is trusted; it may have been removed in this very moment."""
        self._settling.trust()
        self._later(self._settling.again)

    def _contacted(self, node_id: str) -> None:
        """A node came with its certificate: it has pinned ours, so the secret of the pairing has done its work."""
        member = self._pipeline.running.snapshot.find(nodes.NODE, node_id)
        if member is not None and member.psk:
            self._later(lambda: self._queue.wait(partial(self._central.pairing.retire, node_id)))

    def _advice(self, merged: Merged) -> Iterator[Problem]:
        """Warn of nodes not told of a new address of Central Management, and of those overwritten by a new line of history."""
        if any(edit.place.path == promote.PATH and edit.old is not None for edit in merged.edits):
            for node in self.forked():
                number = f" {node['applied']['number']}" if node["applied"] else ""
                message = f"{node['fqdn']} gives up its cluster revision{number} for what runs here; its own history keeps it."
                yield Problem("overwrites_node", message, "", f"{nodes.PATH}/{node['key']}")
        before, after = (interface.listen_address(s) for s in (self._pipeline.running.snapshot, merged.snapshot))
        if self.cluster_role.state == "central" and after is not None and before != after:
            untold = [key for key in self._central.not_told(after) if merged.snapshot.document(Place(nodes.PATH, key))]
            if untold:
                message = f"These nodes look for Central Management elsewhere: {', '.join(untold)}."
                yield Problem("nodes_not_told", message, "/listen_address", interface.PATH)

    # What others see

    @property
    def cluster_role(self) -> ClusterRole:
        """What the node is, as it runs."""
        return cluster_role(self._pipeline.running.snapshot)

    def _report(self) -> NodeReport:
        snapshot, sync = self._pipeline.running.snapshot, self._following.sync
        checked, updated = sync.times
        known = self.cluster_role
        report = NodeReport(
            full_name(snapshot), self._version, interface.listen_address(snapshot), self._clock.time(), sync.applied, sync.tried,
            checked, updated, self._following.issues, figures(self._state), self._backup(),
            known.central_addresses[0] if known.central_addresses else None, self._instance, next(self._reports),
        )  # fmt: skip
        return statuses.fit_to_send(report)

    def paired(self, node_id: str) -> bool:
        """Whether this Central Management has paired with the node."""
        return self._peers.paired(node_id)

    def forked(self) -> list[dict[str, Any]]:
        """Return the nodes that hold another history than this one, and how far they are in it; none on managed nodes."""
        return self._central.forked() if self.cluster_role.state == "central" else []

    def join_details(self) -> dict[str, Any]:
        """Return ``details`` of the join request as far as they are no configuration."""
        state, contact = self.cluster_role.state, self.follower.contact
        if state == "standalone":
            return {"reason": "removed"} if self._following.removed else {}
        if state == "central":
            return {}
        reason = {"failed": "expired", "joined": None}.get(state, contact.reason)  # of a member, the status says how it goes
        return {"last_attempt": utc(contact.attempt) if contact.attempt else None, "reason": reason}

    def statuses(self) -> list[dict[str, Any]]:
        """Return the items of the cluster's status without ``meta``: on a joined node its own alone."""
        known = self.cluster_role
        if known.state == "central":
            own = {
                "fqdn": full_name(self._pipeline.running.snapshot), "health_status": None, "key": self.node_id,
                "status": "ok", "sync_status": "n/a", "version": self._version,
            }  # fmt: skip
            return [own, *self._central.items()]
        report = self._report()
        seen = Seen(report.time, report)
        item = statuses.item(self.node_id, managed=known.managed, seen=seen, head=report.tried, issues=report.issues, silent=0.0)
        del item["last_seen"]
        return [item]

    def central_management(self) -> dict[str, Any] | None:
        """Return how Central Management is seen from a joined node; None on Central Management."""
        known, contact = self.cluster_role, self.follower.contact
        if known.state != "joined":
            return None
        return {
            "address": known.central_addresses[0],
            "last_contact": utc(contact.good) if contact.good else None,
            "reachable": contact.good is not None and contact.since is None,
            "reason": contact.reason,
        }

    def unreachable_since(self) -> str | None:
        """Return since when Central Management has not answered (UTC text)."""
        since = self.follower.contact.since
        return utc(since) if since is not None and self.follower.lost_seconds() is not None else None

    def issues(self) -> Iterable[Issue]:
        """Return what is wrong, for the health of the node."""
        return [
            *(self._central.wrong() if self.cluster_role.state == "central" else ()),
            *self.follower.issues(),
            *(Issue(i.message, i.paths[0] if i.paths else "", "error") for i in self._following.issues.errors),
        ]

    def metrics(self) -> Iterator[Metric]:
        """Return how the nodes do, as Central Management sees the others, and how this one does as a member."""
        items = self._central.items() if self.cluster_role.state == "central" else []
        return metrics(items, self.follower.lost_seconds(), len(self._following.issues.errors))


def _carried_out(work: Callable[[], object]) -> None:
    try:
        work()
    except Exception:
        log.exception("work of the cluster failed")
