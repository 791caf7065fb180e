"""What must be true of a simulated cluster, after each step and in the end."""

from __future__ import annotations

import math
from typing import Any

from doorward.cluster.revisions import Header
from doorward.store.port import CommitRecord
from tests.schedules.administrators import Administrators
from tests.schedules.base import TICK
from tests.schedules.checks import Settled, Trial
from tests.schedules.machine import NAMES
from tests.schedules.node import Node

KEPT = 60.0 + 2 * TICK
"""Up to how many seconds before a report the one may have come that a Central Management remembers through a restart."""
NOTICED = 45.0
"""After how many seconds a node has noticed that Central Management is away, which it asks every 25 s at least."""
BACK = 90.0
"""After how many seconds without any trouble everybody has found everybody again."""


class World(Administrators):
    """A cluster that is looked at."""

    def __post_init__(self) -> None:
        self.definite: dict[str, Settled] = {}
        """By node: what it was when nothing was on trial."""
        self.had: dict[str, Header | None] = {}
        """By node: what it had in effect when it was looked at last."""
        super().__post_init__()

    def _reported(self, node: Node, central: Node) -> None:
        """Central Management took the report of a node."""
        sync = node.cluster._following.sync
        self.unsure.discard(node.id)
        self.reports[node.id] = self.now, central.lives, node.content
        if node.cluster_role.managed and sync.applied is not None and sync.applied == sync.tried:
            try:
                self.checker.revision(sync.applied.at, sync.applied.hash, node.content)
            except AssertionError as error:  # the node would take it for a fault of its own
                self.untrue = error

    def die(self, node: Node) -> None:
        super().die(node)
        self.had.pop(node.name, None)

    def _look(self, node: Node) -> None:
        """Look at a node after each step."""
        self._look_at_trial(node)
        ledger, sync = node.cluster._central.ledger.newest, node.cluster._following.sync
        if ledger is not None:
            caught_up = node.cluster._central.noted == node.pipeline.running.number
            self.checker.revision(ledger.header.at, ledger.header.hash, node.content if caught_up else None)
        took = sync.applied not in {None, self.had.setdefault(node.name, sync.applied)}
        assert not took or node.version == self.central.version, f"{node.name} took a configuration of another release"
        self.had[node.name] = sync.applied
        for header in (sync.applied, sync.tried, sync.membership):
            if header is not None:
                self.checker.revision(header.at, header.hash)
        if sync.applied is None:
            self.checker.let_go(node.name)
        else:
            self.checker.applied(node.name, sync.applied.at)
        if sync.membership is None:
            self.checker.let_go(f"{node.name}'s membership")
        else:
            self.checker.applied(f"{node.name}'s membership", sync.membership.at)

    def _look_at_trial(self, node: Node) -> None:
        """See what is on trial, and that nothing comes of it while it is, nor afterwards if it goes back."""
        checker, name, pending = self.checker, node.name, node.store.confirmation()
        trial, now = checker.trials.get(name), Settled(node.content, node.whole)
        if trial is not None and (pending is None or pending.commit_id != trial.commit):
            record = node.store.commit_record(trial.commit)
            alone = node.pipeline.running.number <= trial.revision + 1
            checker.over(name, _state(record), now if alone else None)
            trial = None
        if pending is None:
            self.definite[name] = now
            return
        if trial is None:
            checker.trials[name] = Trial(pending.commit_id, pending.revision, self.definite[name])
        assert node.pipeline.running.number == pending.revision, f"{name} went on from what is on trial"
        assert node.confirmations.pending == pending, f"{name} does not know what is on trial"
        assert node.confirmations.due is not None, f"{name} would never take back what is on trial"

    def check(self) -> None:
        """Look at the whole, after each event."""
        if self.untrue is not None:
            raise self.untrue
        for node in self.nodes:
            if node.alive:
                self.checker.history(node.name, node.revision)
                self.checker.kept(node.name, lambda commit, store=node.store: _state(store.commit_record(commit)))  # type: ignore[misc]
                if node.cluster_role.state == "joined":
                    self._check_contact(node)
        if self.central.alive and self.central.cluster_role.state == "central":
            items = self.central.cluster.statuses()[1:]
            if self.central.name not in self.checker.trials:
                self.reports = {item["key"]: self.reports[item["key"]] for item in items if item["key"] in self.reports}
            for item in items:
                if item["key"] not in self.unsure:
                    self._check_status(item)

    def _check_status(self, item: dict[str, Any]) -> None:
        central = self.central
        name = next(node.name for node in self.nodes if node.id == item["key"])
        at, life, running = self.reports.get(item["key"], (-math.inf, central.lives, None))
        silent = self.now - at
        again = (
            life != central.lives
        )  # of the time before a start a Central Management knows what its clock, which may have been set, says
        least, most = (min(silent, self.now - self.begun), silent + KEPT) if again else (silent, silent)
        wanted = self.checker.settled(central.name, Settled(central.content, central.whole)).content
        self.checker.status(name, item, (least, most), wanted, running)

    def _check_contact(self, node: Node) -> None:
        """What a node says of its Central Management is true as well."""
        seen = node.cluster.central_management()
        assert seen is not None
        answered = self.answered.get(node.name, -math.inf)
        silent = self.now - max(answered, self._slow)
        assert not seen["reachable"] or silent <= NOTICED, (
            f"{node.name} thinks to reach a Central Management that it has not for {silent} s"
        )
        peer = self.central.cluster._peers.all().get(node.id) if self.central.alive else None
        told = self.central.listens_at in node.cluster_role.central_addresses
        quiet = self.now - self.trouble > BACK and not self.net.cuts and not self.net.loss and not self.net.delay
        if quiet and told and peer is not None and peer.certificate == node.key.certificate:
            assert peer.removed is None, f"{node.name} was removed, could know, and does not"
            assert seen["reachable"], f"{node.name} does not find its Central Management: {seen}"

    def settle(self) -> None:
        """Heal everything, wait until it is quiet, and see whether everybody is where they should be."""
        self.net.amid = None
        for node in self.nodes:
            node.fuse.steps = node.trial = None
            node.host.fail_at = None
            if node.alive and node.pipeline.unknown:  # whose machine would be put right by its next commit
                self.kill(node.name)
        self.heal()
        for name in NAMES:
            self.start(name)
        central = self.central
        while trials := [node.confirmations.due - self.now for node in self.nodes if node.confirmations.due is not None]:
            self.advance(max(trials) + 1.0)
        for node in self.nodes[1:]:
            if (
                node.cluster_role.state in {"joined", "requested"}
                and central.listens_at not in node.cluster_role.central_addresses
            ):
                self.follow_anew(node.name)
        self.advance(760.0)
        self._check_all()
        others = [node.name for node in self.nodes if node.version != central.version]
        for name in others:
            self.upgrade(name, central.version)
        if others:
            self.advance(BACK)
            self._check_all()

    def _check_all(self) -> None:
        self.check()
        central = self.central
        for node in self.nodes:
            assert node.store.check() == [], node.name
            assert node.pipeline.unknown is None, node.name
            if node is not central:
                self._check_converged(node)
        shown = {item["key"]: item for item in central.cluster.statuses()}
        for key, path in central.events.lasting:
            told = shown[path.rpartition("/")[2]]
            lasts = {
                "cluster_node_offline": told["status"] == "offline",
                "cluster_sync_failed": told["sync_status"] == "outdated",
            }
            assert lasts[key], (key, told)

    def _check_converged(self, node: Node) -> None:
        central, known = self.central, node.cluster_role
        member, item = self._member(node.name), {i["key"]: i for i in central.cluster.statuses()}.get(node.id)
        peer = central.cluster._peers.all().get(node.id)
        if known.state == "requested":
            asked, psk = node.pipeline.secrets.text(known.psk or ""), member and member["psk"]
            same = psk and central.pipeline.secrets.text(psk) == asked
            differs = node.version != central.version and node.cluster.join_details()["reason"] == "version_mismatch"
            assert not same or differs, f"{node.name} was accepted and does not get in: {node.cluster.join_details()}"
        if known.state != "joined" or known.cluster_id != central.cluster_role.cluster_id:
            return
        assert node.name not in self.to_be_told, f"{node.name} was removed and was not told: {node.cluster.join_details()}"
        assert node.secrets_of_pairings() == [], node.name
        if peer is None or peer.certificate != node.key.certificate:
            seen = node.cluster.central_management()
            assert seen is not None
            assert seen["reason"] == "not_accepted", node.name
            return
        assert peer.removed is None, f"{node.name} was removed and does not know"
        assert member is not None
        assert item is not None
        assert member["psk"] is None, f"{node.name} is in, and Central Management keeps its secret"
        assert item["status"] != "offline", item
        newest = central.cluster._central.ledger.newest
        assert newest is not None
        self.checker.releases(node.name, item, node.version, central.version)
        sync = node.cluster._following.sync
        assert list(known.roles) == member["roles"]
        assert sync.membership == newest.header
        if known.managed and (node.version == central.version or item["sync_status"] != "outdated"):
            assert (item["sync_status"], sync.applied, node.content) == ("up-to-date", newest.header, central.content), item


def _state(record: CommitRecord | None) -> str | None:
    return record.state if record else None
