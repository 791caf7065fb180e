"""Central Management's end of the node channel: pairs, hands out revisions, takes reports, knows how every node does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import structs

from doorward import __version__
from doorward.areas import area
from doorward.cluster import statuses
from doorward.cluster.alarms import FORKED, NodeAlarms
from doorward.cluster.calls import CallRefusedError, Since
from doorward.cluster.doubles import Doubles
from doorward.cluster.envelopes import Envelopes
from doorward.cluster.host_keys import HostKeyReport, take
from doorward.cluster.keys import NodeKey
from doorward.cluster.ledger import Ledger
from doorward.cluster.node_pairing import NodePairing
from doorward.cluster.pairing import PairAnswer, PairRequest
from doorward.cluster.peers import Peers
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.revisions import Header, MembershipEnvelope
from doorward.cluster.statuses import NodeIssue, NodeReport, Seen, fit_to_show, observed
from doorward.events.events import Events
from doorward.membership import nodes
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.store.records import Records
from doorward.transaction.pipeline import Pipeline
from doorward.tree.places import Place
from doorward.tree.times import SystemClock

_FORK = "history_fork"
_KEEP_SECONDS = 60.0
"""A report that says nothing new is written to the store no more often than this."""


class Central:
    """Implements ``ClusterHandlers``; called in any thread."""

    def __init__(  # noqa: PLR0913 - what a Central Management is made of
        self,
        pipeline: Pipeline,
        node_id: str,
        key: NodeKey,
        peers: Peers,
        events: Events,
        *,
        clock: SystemClock | None = None,
        version: str = __version__,
        host_keys: TrustedHostKeys | None = None,
    ) -> None:
        self._host_keys = host_keys or TrustedHostKeys(pipeline.store)
        self._pipeline, self._node_id, self._peers = pipeline, node_id, peers
        self._store, self._clock, self._version = pipeline.store, clock or SystemClock(), version
        self.ledger = Ledger(pipeline.tree, pipeline.store, pipeline.secrets)
        self._envelopes = Envelopes(self.ledger, version)
        self._statuses = Records(pipeline.store, "cluster_status", Seen)
        # Of one without limits there may be reports that can't be shown as they are.
        self._seen = {seen.id: structs.replace(seen, report=fit_to_show(seen.report)) for seen in self._statuses.find()}
        now, since = self._clock.time(), self._clock.monotonic()
        self._came = {key: since - max(0.0, now - seen.at) for key, seen in self._seen.items()}
        """When nodes reported last, by the clock that nobody sets."""
        self._kept: dict[str, float] = {}
        self._unkept: set[str] = set()
        """Nodes whose last report is to be written to the store."""
        self.pairing = NodePairing(pipeline, node_id, key, peers, clock=self._clock, version=version)
        self.unreachable: dict[str, NodeIssue] = {}
        """Nodes whose registered address did not answer, by id."""
        self.expected, self.awaited, self.noted = 0, 0, 0
        """The newest running revision that nodes will have to follow, the newest that they will have to follow once it is
        confirmed, and the one up to which the ledger has looked."""
        self._alarms = NodeAlarms(events)
        self._doubles = Doubles()
        self._lock = threading.Lock()
        self.contacted: Callable[[str], None] = lambda _node_id: None
        """Called when a node came with its certificate."""
        self.answer_sessions: Callable[[PinnedPeer, bytes], Any] = _no_sessions
        """Answers another node about the sessions of this one."""

    def _standing(self) -> ClusterRole:
        known = cluster_role(self._pipeline.running.snapshot)
        if known.state != "central":
            raise CallRefusedError(404, "not_central")
        return known

    # The channel

    def hello(self, peer: PinnedPeer) -> Any:
        """Say who is here."""
        del peer
        return {"node_id": self._node_id, "version": self._version}

    def pair(self, request: PairRequest, address: str) -> PairAnswer:
        """Prove to know the psk of an accepted node and pin its certificate."""
        del address
        return self.pairing.answer(request)

    def head(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        """Return the newest header, None where the node has it."""
        self._standing()
        self.contacted(peer.id)
        newest = self.ledger.newest
        return newest.header if newest is not None and _is_news(newest.header.at, since) else None

    def revision(self, peer: PinnedPeer, since: Since | None) -> Any:
        """Return the newest revision, complete."""
        self._standing()
        self.contacted(peer.id)
        return self._envelopes.newest(since)

    def membership(self, peer: PinnedPeer, since: Since | None) -> Any | None:
        """Return who belongs to the cluster, None where the node knows."""
        self._standing()
        self.contacted(peer.id)
        newest = self.ledger.newest
        if newest is None or not _is_news(newest.header.at, since):
            return None
        return MembershipEnvelope(newest.header, self._version, newest.content.membership)

    def status(self, peer: PinnedPeer, report: Any) -> Any | None:
        """Take what a node says of itself."""
        self._standing()
        found, now = fit_to_show(msgspec.convert(report, NodeReport)), self._clock.time()
        with self._lock:
            before = self._seen.get(peer.id)
            self._seen[peer.id] = Seen(now, found, peer.id)
            self._came[peer.id] = came = self._clock.monotonic()
            self._doubles.saw(peer.id, found, came)
            news = before is None or _lasting(before.report) != _lasting(found)
            if news or came - self._kept.get(peer.id, -_KEEP_SECONDS) >= _KEEP_SECONDS:
                self._unkept.add(peer.id)
            document = self._pipeline.running.snapshot.document(Place(nodes.PATH, peer.id))
            if document is not None:
                self._alert(peer.id, self._item(peer.id, document.value, self._head(), came), came)
        return {"time": now}

    def host_keys(self, peer: PinnedPeer, told: HostKeyReport) -> Any | None:
        """Take the host keys that a node came to trust; return all where it has others."""
        self._standing()
        return take(self._host_keys, peer, told)

    def sessions(self, peer: PinnedPeer, call: bytes) -> Any:
        """Answer about the sessions of this node."""
        return self.answer_sessions(peer, call)

    def keep(self) -> None:
        """Write the reports that came since the last time, all in one step."""
        with self._lock:
            seen = {key: self._seen[key] for key in self._unkept if key in self._seen}
            self._unkept.clear()
        if seen:
            self._statuses.put(*seen.values())
            self._kept |= {key: self._came.get(key, 0.0) for key in seen}

    # The state of the nodes

    def items(self) -> list[dict[str, Any]]:
        """Return how every node does, without ``meta``; Central Management itself as well."""
        return [item for _, item in self._items()]

    def _items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        snapshot, head, now = self._pipeline.running.snapshot, self._head(), self._clock.monotonic()
        for key, document in snapshot.objects(nodes.PATH).items():
            if key != self._node_id:
                yield key, self._item(key, document.value, head, now)

    def _item(self, key: str, member: dict[str, Any], head: Header | None, now: float) -> dict[str, Any]:
        seen = self._seen.get(key)
        issues, managed = self._issues(key, member, seen), nodes.MANAGED in member["roles"]
        came = self._came.get(key)
        silent = now - came if came is not None else None
        return statuses.item(key, managed=managed, seen=seen, head=head, issues=issues, silent=silent)

    def _head(self) -> Header | None:
        """Return the newest header; one that nobody has, while the ledger has yet to look at a commit."""
        newest = self.ledger.newest
        if newest is None:
            return None
        head, confirmed = newest.header, self.awaited > self.noted and self._store.confirmation() is None
        return Header(head.epoch, head.number + 1, head.hash, head.hash) if confirmed or self.expected > self.noted else head

    def _issues(self, key: str, member: dict[str, Any], seen: Seen | None) -> statuses.Issues:
        report = seen.report if seen else None
        found = observed(member["address"], report, report.time - seen.at if report and seen else self.pairing.skew(key))
        errors = []
        if (where := self._doubles.of(key, self._clock.monotonic())) is not None:
            found = [issue for issue in found if issue.code != "address_differs"]  # it comes and goes with who reported last
            errors.append(
                NodeIssue("duplicate_identity", f"Two machines have the identity of this node: {where}. Stop the copy.")
            )
        if not self._peers.paired(key) and not member["psk"]:
            found.append(NodeIssue("not_paired", "The node was accepted and never paired; remove it or accept it again."))
        found += [issue for issue in (self.pairing.trouble(key), self.unreachable.get(key)) if issue is not None]
        return (report.issues if report else statuses.Issues()).with_more(errors, found)

    def forked(self) -> list[dict[str, Any]]:
        """Return the nodes that hold another history than this one, and how far they are in it."""
        found = []
        for key in self._pipeline.running.snapshot.objects(nodes.PATH).order:
            report = self._seen[key].report if key in self._seen else None
            if report is not None and any(issue.code == _FORK for issue in report.issues.errors):
                applied = {"epoch": report.applied.epoch, "number": report.applied.number} if report.applied else None
                found.append({"applied": applied, "fqdn": report.fqdn, "key": key})
        return found

    def wrong(self) -> Iterator[area.Issue]:
        """Yield what is wrong with the cluster as a whole, for the health of this node."""
        if forked := ", ".join(sorted(node["fqdn"] for node in self.forked())):
            yield area.Issue(FORKED.format(forked), "/api/cluster/repair", "error")
        for key, item in self._items():
            for issue in item.get("configuration_sync", item).get("issues", {}).get("errors", []):
                if issue["code"] == "duplicate_identity":
                    yield area.Issue(f"{item['fqdn']}: {issue['message']}", f"/api/cluster/status/{key}", "error")

    def watch(self) -> None:
        """Raise and end the alerts about nodes, and let go of what is not asked for any more. Once a second."""
        self._envelopes.tidy()
        with self._lock:
            now, there = self._clock.monotonic(), set()
            for key, item in self._items():
                there.add(key)
                self._alert(key, item, now)
            self._alarms.forked([node["fqdn"] for node in self.forked()], now)
            self._alarms.keep(there, now)

    def _alert(self, key: str, item: dict[str, Any], now: float) -> None:
        self._alarms.node(key, item, now, has_reported=key in self._seen, double=self._doubles.of(key, now))

    def names(self) -> dict[str, str]:
        """Return how the nodes call themselves, by their ids."""
        return {key: seen.report.fqdn for key, seen in self._seen.copy().items()}

    def not_told(self, address: str) -> list[str]:
        """Return the paired nodes that look for Central Management elsewhere, by what they said last."""
        told = {key for key, seen in self._seen.copy().items() if seen.report.central_address == address}
        return sorted(key for key in self._peers.all() if self._peers.paired(key) and key not in told)

    def forget(self, node_id: str) -> None:
        """Forget how a node did that was removed."""
        with self._lock:
            self._seen.pop(node_id, None)
            self._came.pop(node_id, None)
            self.pairing.forget(node_id)
            self._doubles.forget(node_id)
            self.unreachable.pop(node_id, None)
            self._statuses.remove(node_id)


def _no_sessions(_peer: PinnedPeer, _call: bytes) -> Any:
    raise CallRefusedError(403, "role")


def _lasting(report: NodeReport) -> NodeReport:
    """Return a report without what is another in each one, and of no use after a restart."""
    return structs.replace(report, time=0.0, last_checked=None, health_status=None, sequence=0)


def _is_news(at: tuple[int, int], since: Since | None) -> bool:
    return since is None or (since.epoch, since.number) != at
