"""A node as a whole: threads that ask, take, report and clean up, over a channel that the test holds in its hands."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.cluster.apply_revision import NotAppliedError
from doorward.cluster.cluster import Cluster
from doorward.cluster.host_keys import HostKeyReport, SharedHostKeys
from doorward.cluster.pairing import PairingRefusedError
from doorward.cluster.peers import Peers, Pinned, psk_life, used
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.port import CentralRefusedError, RemovedError
from doorward.cluster.revisions import Envelope, Header, MemberRow, MembershipEnvelope
from doorward.cluster.statuses import NodeReport
from doorward.membership import join_request, nodes
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.transaction.queue import CommitQueue
from doorward.tree.places import Place
from tests.support.areas import follow
from tests.support.server import until
from tests.unit.cluster.applicants import Applicant
from tests.unit.cluster.pairs import INTERFACE, Machine, PairedCentral, Wire, put
from tests.unit.transaction.rig import WEB, ZONE


class Channel:
    """The channel to a Central Management that can be cut: ``broken`` is what every call raises."""

    def __init__(self, central: PairedCentral) -> None:
        self.central = central
        self.broken: Exception | None = None
        self.paired: list[str] = []
        self.reports = 0

    def pair(self, _addresses: tuple[str, ...], psk: str, _own: str | None) -> tuple[str, bytes]:
        self._check()
        self.paired.append(psk)
        return self.central.id, self.central.key.certificate

    def connect(self, _addresses: tuple[str, ...], central: Pinned, _own: str | None) -> Link:
        assert central.certificate == self.central.key.certificate
        return Link(self)

    def answers(self, address: str, _node: Pinned, _own: str | None) -> bool:
        return address != "10.0.0.99"

    def _check(self) -> None:
        if self.broken is not None:
            raise self.broken


class Link:
    """Waits shortly where the real one waits long."""

    def __init__(self, channel: Channel) -> None:
        self.channel, self.closed = channel, False
        peer = PinnedPeer("46f97a58-4028-467d-9a22-9cfe78ae3e1c", b"")
        self.wire = Wire(channel.central, peer)
        self.release = self.wire.release

    def _until(self, ask: Callable[[], Any], wait: float) -> Any:
        end = time.monotonic() + min(wait, 0.2)
        while True:
            self.channel._check()
            if self.closed:
                raise CentralRefusedError("no_answer", "closed")
            if (found := ask()) is not None or time.monotonic() > end:
                return found
            time.sleep(0.01)

    def head(self, since: Header | None, wait: float) -> Header | None:
        found: Header | None = self._until(lambda: self.wire.head(since, 0), wait)
        return found

    def membership(self, since: Header | None, wait: float) -> MembershipEnvelope | None:
        found: MembershipEnvelope | None = self._until(lambda: self.wire.membership(since, 0), wait)
        return found

    def revision(self, since: Header | None) -> Envelope | None:
        self.channel._check()
        return self.wire.revision(since)

    def report(self, report: NodeReport) -> None:
        self.channel._check()
        self.channel.reports += 1
        self.wire.report(report)

    def host_keys(self, told: HostKeyReport) -> SharedHostKeys | None:
        del told
        return None

    def close(self) -> None:
        self.closed = True


class Running(Machine):
    """A node whose threads run."""

    def __init__(self, directory: Path, channel: Channel) -> None:
        super().__init__(directory)
        self.id = "46f97a58-4028-467d-9a22-9cfe78ae3e1c"
        self.queue, self.state, self.channel = CommitQueue(), directory, channel
        self.cluster = self.made()

    def made(self) -> Cluster:
        return Cluster(
            self.rig.pipeline, self.queue, node_id=self.id, key=self.key, connector=self.channel, events=self.events,
            state=self.state,
        )  # fmt: skip

    def ask(self) -> str:
        """Ask to join; the key of the secret."""
        candidate = self.rig.candidate()
        psk = self.rig.post(candidate, "passwords", {"plain": "x" * 64})
        request = {"central_management_address": "10.0.0.1", "node_id": self.id, "psk": psk}
        put(self.rig, candidate, Place(join_request.PATH), request)
        self.queue.wait(lambda: self.rig.commit(candidate))
        return psk

    @property
    def word(self) -> str:
        return cluster_role(self.rig.pipeline.running.snapshot).state

    def close(self) -> None:
        self.cluster.stop()
        self.queue.close()
        self.rig.close()


@pytest.fixture
def channel(central: PairedCentral) -> Channel:
    return Channel(central)


@pytest.fixture
def node(tmp_path: Path, central: PairedCentral, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    for name, seconds in {"SOON_SECONDS": 0.05, "_MAX_BACKOFF": 0.05, "REPORT_SECONDS": 0.05}.items():
        monkeypatch.setattr(f"doorward.cluster.follower.{name}", seconds)
    made = Running(tmp_path / "running", channel)
    central.write(Place(nodes.PATH, made.id), {"address": "10.0.0.2", "roles": ["managed-host"]})
    central.note()
    yield made
    made.close()


def test_a_node_asks_until_it_is_paired_then_follows_and_reports(central: PairedCentral, channel: Channel, node: Running) -> None:
    channel.broken = CentralRefusedError("not_accepted")
    follow(node.cluster, node.cluster._pipeline).start()
    psk = node.ask()
    until(lambda: node.cluster.join_details()["reason"] == "not_accepted")
    assert node.word == "requested"
    channel.broken = None
    until(lambda: node.word == "joined")
    assert channel.paired == ["x" * 64]
    until(lambda: node.rig.store.secret(psk) is None)
    until(lambda: node.rig.store.record("cluster_psk", psk) is None)
    assert list(Peers(node.rig.store).all()) == [central.id]
    until(lambda: channel.reports > 1)
    central.committed((ZONE, "Asia/Tokyo"))
    until(lambda: node.rig.value(ZONE) == "Asia/Tokyo")
    until(lambda: central.central.items()[0]["sync_status"] == "up-to-date")
    (own,) = node.cluster.statuses()
    assert (own["key"], own["sync_status"], "last_seen" in own) == (node.id, "up-to-date", False)
    assert node.cluster.unreachable_since() is None
    assert node.cluster.issues() == []


def test_an_error_while_it_reports_does_not_end_the_reports(
    channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    stumbles = [ZeroDivisionError()] * 2

    def update(*_: object, **__: object) -> None:
        if stumbles:
            raise stumbles.pop()

    monkeypatch.setattr(node.cluster.follower._lost, "update", update)
    follow(node.cluster, node.cluster._pipeline).start()
    node.ask()
    until(lambda: not stumbles)
    before = channel.reports
    until(lambda: channel.reports > before)


def values(cluster: Cluster) -> dict[tuple[str, ...], float]:
    return {(figure.name, *figure.labels.values()): figure.value for figure in cluster.metrics()}


def test_a_central_that_is_lost_is_missed_and_welcomed(channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.cluster.follower.LOST_SECONDS", 0.2)
    follow(node.cluster, node.cluster._pipeline).start()
    node.ask()
    until(lambda: node.word == "joined")
    channel.broken = CentralRefusedError("no_answer")
    until(lambda: node.events.raised == [("cluster_central_lost", False)])
    seen = node.cluster.central_management()
    assert seen is not None
    assert (seen["reachable"], seen["reason"], seen["address"]) == (False, "no_answer", "10.0.0.1")
    assert node.cluster.join_details()["reason"] is None, "its request was granted"
    assert node.cluster.unreachable_since()
    (issue,) = node.cluster.issues()
    assert "has not answered since" in issue.message
    assert values(node.cluster)["doorward_cluster_central_lost_seconds",] > 0
    channel.broken = None
    until(lambda: node.events.raised[1:] == [("cluster_central_lost", True)])
    until(lambda: (node.cluster.central_management() or {})["reachable"])
    assert values(node.cluster)["doorward_cluster_central_lost_seconds",] == 0


def test_a_central_that_is_back_is_told_at_once(
    central: PairedCentral, channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorward.cluster.follower.REPORT_SECONDS", 3600.0)
    follow(node.cluster, node.cluster._pipeline).start()
    node.ask()
    until(lambda: node.word == "joined")
    until(lambda: [item["sync_status"] for item in central.central.items()] == ["up-to-date"])
    channel.broken = CentralRefusedError("no_answer")
    until(lambda: not (node.cluster.central_management() or {})["reachable"])
    reports, channel.broken = channel.reports, None
    until(lambda: channel.reports > reports)


def test_a_removed_node_turns_standalone_and_forgets(channel: Channel, node: Running) -> None:
    follow(node.cluster, node.cluster._pipeline).start()
    node.ask()
    until(lambda: node.word == "joined" and cluster_role(node.rig.pipeline.running.snapshot).managed)
    channel.broken = RemovedError()
    until(lambda: node.word == "standalone")
    until(lambda: not Peers(node.rig.store).all())
    until(lambda: node.rig.store.record("cluster_sync", "node") is None)
    assert node.cluster.join_details() == {"reason": "removed"}
    assert node.rig.pipeline.running.snapshot.objects(nodes.PATH).order == ()
    node.rig.committed((ZONE, "Etc/UTC"))
    assert [found for found in node.events.raised if found[0] == "cluster_central_lost"]
    channel.broken = CentralRefusedError("not_accepted")
    node.ask()
    until(lambda: node.cluster.join_details()["reason"] == "not_accepted")


def test_a_request_fails_when_its_time_is_over(channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    channel.broken = CentralRefusedError("no_answer")
    monkeypatch.setattr("doorward.cluster.peers.PSK_SECONDS", 0.3)
    follow(node.cluster, node.cluster._pipeline).start()
    psk = node.ask()
    until(lambda: node.word == "failed")
    assert node.cluster.join_details()["reason"] == "expired"
    until(lambda: node.rig.store.secret(psk) is None)
    channel.broken = None
    monkeypatch.setattr("doorward.cluster.peers.PSK_SECONDS", 60.0)
    node.ask()
    until(lambda: node.word == "joined")


def test_a_node_that_paired_before_a_crash_does_not_pair_again(central: PairedCentral, channel: Channel, node: Running) -> None:
    psk = node.ask()
    Peers(node.rig.store).pin(central.id, central.key.certificate, 0.0, psk)
    node.cluster = node.made()
    follow(node.cluster, node.cluster._pipeline).start()
    until(lambda: node.word == "joined")
    assert channel.paired == []


def test_what_a_crash_left_is_cleaned_up_at_the_start(central: PairedCentral, node: Running) -> None:
    store = node.rig.store
    Peers(store).pin(central.id, central.key.certificate, 0.0)
    psk_life(store, str(uuid.uuid4()), 0.0)
    node.cluster = node.made()
    follow(node.cluster, node.cluster._pipeline).start()
    assert not Peers(store).all()
    assert store.records("cluster_psk") == []


@pytest.mark.parametrize("years", [0.01, 1])
def test_a_clock_that_is_set_back_lets_no_psk_live_longer_than_a_day(node: Running, years: float) -> None:
    store, key, now, back = node.rig.store, str(uuid.uuid4()), 1e9, 1e9 - years * 365 * 86_400
    life = psk_life(store, key, now)
    used(store, key, life, b"x" * 32, now)
    assert psk_life(store, key, back).over(back + 86_400)
    assert psk_life(store, key, back).over(back + 601), "and ten minutes after it paired"
    assert psk_life(store, key, back) == psk_life(store, key, back + 1)


def test_a_commit_of_the_central_becomes_a_revision_once_it_is_confirmed(
    central: PairedCentral, channel: Channel, tmp_path: Path
) -> None:
    queue = CommitQueue()
    cluster = Cluster(
        central.rig.pipeline, queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=tmp_path,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).start()
    ledger = cluster._central.ledger
    number = central.number
    central.rig.committed((WEB, {"timeout": 20}))
    until(lambda: ledger.newest and ledger.newest.header.number == number + 1)
    central.rig.committed((WEB, {"timeout": 30}), confirm_seconds=3600)
    central.rig.confirmations.load()
    time.sleep(0.2)  # nothing must come of it
    assert ledger.newest
    assert ledger.newest.header.number == number + 1
    pending = central.rig.confirmations.pending
    assert pending
    central.rig.confirmations.confirm(pending)
    until(lambda: ledger.newest and ledger.newest.header.number == number + 2)
    cluster.stop()
    queue.close()


def test_nobody_is_told_of_his_removal_before_it_is_confirmed(central: PairedCentral, channel: Channel, node: Running) -> None:
    central.peers.pin(node.id, node.key.certificate, 0.0)
    cluster = Cluster(
        central.rig.pipeline, node.queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).attach()
    central.remove(Place(nodes.PATH, node.id), confirm_seconds=3600)
    central.rig.confirmations.load()
    settled(cluster)
    assert cluster.paired(node.id)
    # What goes back by itself is put again.
    central.write(Place(nodes.PATH, node.id), {"address": "10.0.0.2", "roles": ["managed-host"]})
    settled(cluster)
    assert cluster.paired(node.id)
    central.remove(Place(nodes.PATH, node.id), confirm_seconds=3600)
    central.rig.confirmations.load()
    settled(cluster)
    pending = central.rig.confirmations.pending
    assert pending
    central.rig.confirmations.confirm(pending)
    cluster.work()
    peer = Peers(central.rig.store).all()[node.id]
    assert peer.removed is not None, "a node that was removed is told so, not forgotten"
    assert [(p.id, p.removed) for p in cluster._settling.trusted()] == [(node.id, True)]


def test_a_node_that_asks_elsewhere_is_not_removed_there(node: Running) -> None:
    node.ask()
    known = ClusterRole("joined", node.id, "the cluster that it left")
    with pytest.raises(NotAppliedError):
        node.cluster.follower._was_removed(known)
    assert (node.word, node.cluster._following.removed) == ("requested", False)


def test_a_node_whose_leaving_is_not_confirmed_is_a_member_as_before(central: PairedCentral, node: Running) -> None:
    follow(node.cluster, node.cluster._pipeline).start()
    node.ask()
    until(lambda: node.word == "joined" and cluster_role(node.rig.pipeline.running.snapshot).managed)
    until(lambda: node.cluster._following.sync.applied)
    request = node.rig.pipeline.running.snapshot.document(Place(join_request.PATH))
    assert request is not None
    node.queue.wait(lambda: node.write(Place(join_request.PATH), None, confirm_seconds=3600))
    node.rig.confirmations.load()
    assert node.word == "standalone"
    until(lambda: node.cluster._awaited == node.rig.number)
    assert list(Peers(node.rig.store).all()) == [central.id]
    node.queue.wait(lambda: node.write(Place(join_request.PATH), request.value))
    assert node.word == "joined"
    central.committed((ZONE, "Asia/Tokyo"))
    until(lambda: node.rig.value(ZONE) == "Asia/Tokyo")


def test_a_node_that_pairs_while_it_is_removed_is_told_so(central: PairedCentral, channel: Channel, node: Running) -> None:
    cluster = Cluster(
        central.rig.pipeline, node.queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).attach()
    central.remove(Place(nodes.PATH, node.id))
    settled(cluster)
    cluster._peers.pin(node.id, node.key.certificate, 0.0)
    cluster._central.pairing.pinned()
    settled(cluster)
    assert [(peer.id, peer.removed) for peer in cluster._settling.trusted()] == [(node.id, True)]


def test_a_node_that_pairs_before_what_follows_from_earlier_commits_stays(
    central: PairedCentral, channel: Channel, node: Running, tmp_path: Path
) -> None:
    """Two nodes are accepted one after the other, on a machine that is busy."""
    cluster = Cluster(
        central.rig.pipeline, node.queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).attach()
    one, other = (Applicant(tmp_path, central) for _ in range(2))
    one.accepted()
    other.accepted(address="10.0.0.8")
    for applicant in (one, other):
        attempt, request = applicant.request()
        attempt.check(cluster._central.pair(request, "10.0.0.7"))
    settled(cluster)
    wanted = {str(one.id): False, str(other.id): False}
    assert {peer.id: peer.removed for peer in cluster._settling.trusted()} == wanted
    assert [row.key for row in central_rows(cluster)][-2:] == list(wanted)


def central_rows(cluster: Cluster) -> list[MemberRow]:
    newest = cluster._central.ledger.newest
    assert newest
    return newest.content.membership.nodes


def test_a_secret_outlives_what_follows_from_earlier_commits(
    central: PairedCentral, channel: Channel, node: Running, tmp_path: Path
) -> None:
    cluster = Cluster(
        central.rig.pipeline, node.queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).attach()
    central.rig.committed((WEB, {"timeout": 20}))
    applicant = Applicant(tmp_path, central)
    applicant.accepted()
    psk, applicant.psk = applicant.psk, "y" * 64
    with pytest.raises(PairingRefusedError):  # which begins the time of the secret
        cluster._central.pair(applicant.request()[1], "10.0.0.7")
    settled(cluster)
    applicant.psk = psk
    attempt, request = applicant.request()
    attempt.check(cluster._central.pair(request, "10.0.0.7"))


def test_a_node_that_joins_before_what_follows_from_earlier_commits_keeps_its_central(
    central: PairedCentral, node: Running
) -> None:
    follow(node.cluster, node.cluster._pipeline).attach()
    listens = node.rig.value(INTERFACE)
    for body in ({"enabled": False}, listens):
        node.rig.committed((INTERFACE, body))
    node.ask()
    node.cluster.follower.turn()
    assert node.word == "joined"
    settled(node.cluster)
    assert list(node.cluster._peers.all()) == [central.id]
    assert node.cluster._following.sync.membership


def test_a_node_that_pairs_before_there_is_a_cluster_revision_keeps_its_secret_and_asks_again(
    central: PairedCentral, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Central Management was promoted a moment ago, and is busy."""
    psk = node.ask()
    with monkeypatch.context() as early:
        early.setattr(central.central, "membership", lambda _peer, _since: None)
        for _ in range(2):
            assert node.cluster.follower.turn() == 0.05
            assert (node.word, node.cluster.join_details()["reason"]) == ("requested", "no_answer")
            assert node.rig.store.secret(psk) is not None
    node.cluster.follower.turn()
    assert node.word == "joined"
    assert node.rig.store.secret(psk) is None


def test_what_is_done_regularly_is_done_beside_commits_without_a_pause(
    central: PairedCentral, channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [0.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: passed[0])
    cluster = Cluster(
        central.rig.pipeline, node.queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    follow(cluster, cluster._pipeline).attach()
    watched: list[float] = []
    monkeypatch.setattr(cluster._central, "watch", lambda: watched.append(passed[0]))
    for number in range(8):
        central.rig.committed((WEB, {"timeout": 20 + number}))
        assert cluster.work()
        passed[0] += 0.5
    assert watched == [1.5, 3.0]


def settled(cluster: Cluster) -> None:
    while cluster.work():
        pass


def test_a_node_that_does_not_answer_at_its_address_is_named(
    central: PairedCentral, channel: Channel, node: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = CommitQueue()
    monkeypatch.setattr("doorward.cluster.cluster._REACH_SECONDS", 0.05)
    cluster = Cluster(
        central.rig.pipeline, queue, node_id=central.id, key=central.key, connector=channel, events=central.events,
        state=node.state,
    )  # fmt: skip
    cluster._peers.pin(node.id, node.key.certificate, 0.0)
    central.write(Place(nodes.PATH, node.id), {"address": "10.0.0.99", "roles": []})
    follow(cluster, cluster._pipeline).start()
    until(lambda: "address_unreachable" in codes(cluster, node.id))
    found = values(cluster)
    assert {name[1]: value for name, value in found.items() if name[0] == "doorward_cluster_nodes"} == {
        "offline": 1,
        "issues": 0,
        "ok": 0,
    }, "itself is not counted, one that was never there is offline"
    assert found["doorward_cluster_sync_nodes", "n/a"] == 1
    central.write(Place(nodes.PATH, node.id), {"address": "10.0.0.2", "roles": []})
    until(lambda: "address_unreachable" not in codes(cluster, node.id))
    cluster.stop()
    queue.close()


def codes(cluster: Cluster, key: str) -> list[str]:
    (item,) = [item for item in cluster.statuses() if item["key"] == key]
    return [issue["code"] for issue in item.get("issues", {}).get("warnings", [])]


def test_the_secret_of_a_pairing_goes_once_the_node_has_come_with_its_certificate(
    tmp_path: Path, central: PairedCentral, channel: Channel
) -> None:
    queue = CommitQueue()
    cluster = Cluster(
        central.rig.pipeline, queue, node_id=central.id, key=central.key, connector=channel, events=central.events, state=tmp_path
    )
    central.central = cluster._central
    (tmp_path / "applicant").mkdir()
    applicant = Applicant(tmp_path / "applicant", central)
    applicant.accepted()
    psk = applicant.member()["psk"]
    cluster.start()
    try:
        applicant.pair()
        assert central.rig.store.secret(psk) is not None
        cluster._central.head(PinnedPeer(str(applicant.id), applicant.key.certificate), None)
        until(lambda: applicant.member()["psk"] is None and central.rig.store.secret(psk) is None)
    finally:
        cluster.stop()
        queue.close()
