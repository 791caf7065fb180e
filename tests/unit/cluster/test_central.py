"""Central Management's end: who is paired, what becomes of the secret, what it says of its nodes."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from doorward.cluster.calls import CallRefusedError, EncodedAnswer, Since
from doorward.cluster.pairing import PSK_SECONDS, PairingAttempt, PairingRefusedError, new_psk
from doorward.cluster.peers import TOMBSTONE_SECONDS, Peers
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.statuses import NodeIssue, NodeReport
from doorward.membership import nodes, promote
from doorward.tree.places import Place
from tests.unit.cluster.applicants import Applicant
from tests.unit.cluster.pairs import Machine, Node, PairedCentral
from tests.unit.transaction.rig import ZONE

Join = Callable[..., Node]


@pytest.fixture
def applicant(tmp_path: Path, central: PairedCentral) -> Applicant:
    (tmp_path / "applicant").mkdir()
    return Applicant(tmp_path / "applicant", central)


def test_an_accepted_node_is_paired_and_its_secret_destroyed_when_it_comes_back(
    central: PairedCentral, applicant: Applicant
) -> None:
    applicant.accepted()
    psk = applicant.member()["psk"]
    applicant.pair()
    assert central.peers.paired(str(applicant.id))
    assert central.peers.all()[str(applicant.id)].certificate == applicant.key.certificate
    applicant.pair()  # the answer was lost: the same certificate may come again
    central.central.pairing.retire(str(applicant.id))
    assert applicant.member()["psk"] is None
    assert central.rig.store.secret(psk) is None
    assert central.rig.store.record("cluster_psk", psk) is None
    assert applicant.refused() == "not_accepted"
    assert central.peers.paired(str(applicant.id))


def test_a_pin_outlives_a_restart(central: PairedCentral, applicant: Applicant) -> None:
    applicant.accepted()
    applicant.pair()
    assert Peers(central.rig.store).all() == central.peers.all()


def test_who_is_not_accepted_or_has_another_secret_is_told_the_same(central: PairedCentral, applicant: Applicant) -> None:
    assert applicant.refused() == "not_accepted"
    applicant.accepted(new_psk())
    assert applicant.refused() == "not_accepted"
    assert applicant.issues() == ["psk_mismatch"]
    assert not central.peers.all()
    applicant.accepted()
    applicant.pair()
    assert applicant.issues() == []


def test_another_release_is_named_on_the_central_and_keeps_the_secret(central: PairedCentral, applicant: Applicant) -> None:
    applicant.accepted()
    assert applicant.refused("9.9.9") == "version_mismatch"
    assert applicant.issues() == ["version_mismatch"]
    applicant.pair()


def test_a_clock_that_is_wrong_is_told_from_the_pairing_on(central: PairedCentral, applicant: Applicant) -> None:
    late = applicant.request(behind=3600.0)[1]
    with pytest.raises(PairingRefusedError):
        central.central.pair(late, "10.0.0.7")  # by somebody who has yet to be accepted
    applicant.accepted()
    assert applicant.issues() == []
    central.central.pair(late, "10.0.0.7")
    assert applicant.issues() == ["clock_skew"]
    report = NodeReport("node2", "0.1.0", "10.0.0.7", datetime.now(UTC).timestamp())
    central.central.status(PinnedPeer(str(applicant.id), b""), msgspec.to_builtins(report))
    assert applicant.issues() == [], "what it says later counts"


def test_a_secret_dies_after_a_day_and_the_node_stays_listed(
    central: PairedCentral, applicant: Applicant, monkeypatch: pytest.MonkeyPatch
) -> None:
    applicant.accepted()
    assert applicant.refused("9.9.9")  # its time begins
    psk = applicant.member()["psk"]
    central.central.pairing.retire(str(applicant.id))
    assert applicant.member()["psk"] == psk, "neither paired nor over"
    later = datetime.now(UTC).timestamp() + PSK_SECONDS + 1
    monkeypatch.setattr("doorward.tree.times.SystemClock.time", lambda _clock: later)
    assert applicant.refused() == "not_accepted"
    assert central.central.pairing.due() == [str(applicant.id)]
    central.central.pairing.retire(str(applicant.id))
    assert central.rig.store.secret(psk) is None
    assert applicant.issues() == ["not_paired"]


def test_a_node_that_is_known_and_accepted_anew_pairs_by_the_new_secret(central: PairedCentral, applicant: Applicant) -> None:
    applicant.accepted()
    applicant.pair()
    central.central.pairing.retire(str(applicant.id))
    applicant.psk = new_psk()
    applicant.accepted()
    central.central.pairing.retire(str(applicant.id))  # it came once more by what it had, before it paired
    applicant.pair()
    central.central.pairing.retire(str(applicant.id))
    assert applicant.member()["psk"] is None


def test_a_node_that_is_no_central_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "m")
    peer = PinnedPeer("x", b"")
    with pytest.raises(CallRefusedError) as refused:
        machine.central.head(peer, None)
    assert (refused.value.status, refused.value.code) == (404, "not_central")
    attempt = PairingAttempt(new_psk(), uuid.uuid4(), machine.key, machine.key.fingerprint)
    with pytest.raises(PairingRefusedError, match="not_accepted"):  # and held, since it may be promoted in this moment
        machine.central.pair(attempt.request(version="0.1.0", address="10.0.0.7", time=datetime.now(UTC)), "10.0.0.7")
    assert machine.central.hello(peer) == {"node_id": machine.id, "version": "0.1.0"}
    machine.rig.close()


def test_a_removed_node_leaves_a_tombstone_for_a_month(central: PairedCentral, join: Join) -> None:
    node = join()
    central.peers.mark_removed(node.id, 1000.0)
    assert not central.peers.paired(node.id)
    assert central.peers.over(1000.0 + TOMBSTONE_SECONDS) == []
    assert central.peers.over(1001.0 + TOMBSTONE_SECONDS) == [node.id]
    central.peers.forget([node.id])
    assert not Peers(central.rig.store).all()


def test_a_node_is_told_only_what_it_does_not_have(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    newest = central.central.ledger.newest
    assert newest is not None
    have = Since(*newest.header.at)
    assert central.central.head(node.wire.peer, have) is None
    assert central.central.membership(node.wire.peer, have) is None
    assert central.central.head(node.wire.peer, Since(have.epoch, have.number - 1)) == newest.header
    assert central.central.head(node.wire.peer, Since(have.epoch + 1, 0)) == newest.header, "a node that is ahead must see it"


def test_alerts_come_and_go_with_the_words(central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: clock[0])
    node = join("managed-host")
    node.wire.tamper = lambda envelope: type(envelope)(
        envelope.header, envelope.headers, "9.9.9", "", None, envelope.content, envelope.secrets
    )
    central.central.watch()
    assert central.events.raised == [], "a node that was never there can't go offline"
    node.follow()
    node.report()
    assert central.events.raised == [("cluster_sync_failed", False)]
    clock[0] += 61
    central.central.watch()
    assert central.events.raised[1:] == [("cluster_node_offline", False)]
    node.wire.tamper = lambda envelope: envelope
    node.following._tried_at = -1e9
    node.follow()
    node.report(now=clock[0])
    assert sorted(central.events.raised[2:]) == [("cluster_node_offline", True), ("cluster_sync_failed", True)]
    central.remove(Place(nodes.PATH, node.id))
    central.central.forget(node.id)
    central.central.watch()
    assert [item["key"] for item in central.central.items()] == []


def test_a_clock_that_is_set_makes_nobody_offline_or_present(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, wall, passed = join(), [1_000.0], [1_000.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.time", lambda _clock: wall[0])
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: passed[0])
    node.report()
    wall[0] += 7_200
    assert central.central.items()[0]["status"] != "offline"
    wall[0] -= 14_400
    passed[0] += 61
    assert central.central.items()[0]["status"] == "offline"


def test_an_alert_about_a_node_ends_when_it_is_removed(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, passed = join(), [1_000.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: passed[0])
    node.report()
    passed[0] += 61
    central.central.watch()
    central.remove(Place(nodes.PATH, node.id))
    central.central.forget(node.id)
    central.central.watch()
    assert central.events.raised == [("cluster_node_offline", False), ("cluster_node_offline", True)]


def test_a_node_is_behind_from_the_commit_on_not_only_when_the_ledger_has_looked(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    node.report()
    (item,) = central.central.items()
    assert item["sync_status"] == "up-to-date"
    central.central.expected = central.central.noted + 1
    (item,) = central.central.items()
    assert item["sync_status"] == "pending"


def test_the_last_report_outlives_a_restart(central: PairedCentral, join: Join) -> None:
    from doorward.cluster.central import Central

    node = join("managed-host")
    node.follow()
    node.report()
    (before,) = central.central.items()
    central.central.keep()
    again = Central(central.rig.pipeline, central.id, central.key, central.peers, central.events)
    again.ledger.note(central.rig.pipeline.running)
    assert again.items() == [before]


def test_over_a_restart_it_counts_when_a_node_reported_last(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    from doorward.cluster.central import Central

    wall, passed = [1_000.0], [1_000.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.time", lambda _clock: wall[0])
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: passed[0])
    join("managed-host").report()
    central.central.keep()

    def status(later: float) -> str:
        """What a Central Management says that starts so much later, on a machine that was started as well."""
        wall[0], passed[0] = 1_000.0 + later, 5.0
        again = Central(central.rig.pipeline, central.id, central.key, central.peers, central.events)
        (item,) = again.items()
        return str(item["status"])

    assert status(61.0) == "offline"
    assert status(0.0) != "offline"
    assert status(-3_600.0) != "offline", "a clock that was set back makes nobody older"


def test_two_machines_of_one_identity_raise_the_alert(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = [1_000.0]
    monkeypatch.setattr("doorward.tree.times.SystemClock.monotonic", lambda _clock: passed[0])
    node = join("managed-host")
    node.follow()
    said = node.report()
    for instance, sequence in (("a", 5), ("b", 1), ("a", 6), ("b", 2)):
        node.wire.report(msgspec.structs.replace(said, instance=instance, sequence=sequence))
    assert central.events.raised == [("cluster_sync_failed", False)]
    passed[0] += 50
    node.wire.report(msgspec.structs.replace(said, instance="b", sequence=3))
    passed[0] += 50
    node.wire.report(msgspec.structs.replace(said, instance="b", sequence=4))
    assert central.events.raised[1:] == [("cluster_sync_failed", True)]


def test_nodes_that_look_elsewhere_are_known(central: PairedCentral, join: Join) -> None:
    node = join()
    node.report()
    assert central.central.not_told("10.0.0.9") == [node.id]
    assert central.central.not_told("10.0.0.1") == []
    silent = str(uuid.uuid4())
    central.peers.pin(silent, b"", 0.0)
    assert central.central.not_told("10.0.0.1") == [silent]
    central.peers.mark_removed(silent, 0.0)
    assert central.central.not_told("10.0.0.1") == []


def test_nodes_may_report_while_somebody_looks_for_those_that_look_elsewhere(central: PairedCentral, join: Join) -> None:
    node = join()
    node.report()

    class Address(str):
        """An address during whose comparison another node reports for the first time."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            report = msgspec.to_builtins(NodeReport("another", "0.1.0", None, 0.0))
            central.central.status(PinnedPeer(str(uuid.uuid4()), b""), report)
            return str(self) == other

    assert central.central.not_told(Address("10.0.0.1")) == []


def test_an_issue_may_go_while_the_nodes_are_looked_at(central: PairedCentral, join: Join) -> None:
    class Going(dict[str, NodeIssue]):
        """Issues that another thread takes away as soon as they were seen."""

        def __contains__(self, key: object) -> bool:
            return self.pop(str(key), None) is not None

    node = join()
    node.report()
    central.central.unreachable = Going({node.id: NodeIssue("address_unreachable", "It does not answer.")})
    assert len(central.central.items()) == 1


def test_a_peer_that_is_pinned_while_another_is_forgotten_stays(central: PairedCentral) -> None:
    pinning = threading.Thread(target=central.peers.pin, args=("new", b"", 0.0))

    class Old(str):
        """An id during whose comparison another thread pins a peer."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __ne__(self, other: object) -> bool:
            if not pinning.ident:
                pinning.start()
                pinning.join(0.2)
            return str(self) != other

    central.peers.pin("old", b"", 0.0)
    central.peers.forget([Old("old")])
    pinning.join()
    assert list(central.peers.all()) == ["new"]


def test_the_standing_of_the_central_is_final(central: PairedCentral) -> None:
    assert central.rig.pipeline.running.snapshot.value(promote.PATH)["cluster_id"] == central.cluster_id


def test_a_revision_is_put_together_once_for_all_who_have_the_same(
    central: PairedCentral, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = join("managed-host").wire.peer
    other = PinnedPeer(str(uuid.uuid4()), b"another", one.roles)
    central.committed((ZONE, "Asia/Tokyo"))

    def sent(peer: PinnedPeer, number: int) -> EncodedAnswer:
        found = central.central.revision(peer, Since(1_795_291_200, number))
        assert isinstance(found, EncodedAnswer)
        return found

    last = central.number - 1
    assert sent(one, last) is sent(other, last)
    assert sent(other, last - 1) is not sent(one, last)
    first = sent(one, last)
    monkeypatch.setattr("doorward.cluster.envelopes.KEEP_SECONDS", 0.0)
    central.central.watch()
    assert sent(one, last) is not first
    assert sent(one, last).compressed == first.compressed
    first = sent(one, last)
    central.committed((ZONE, "Europe/Budapest"))
    assert sent(one, last).compressed != first.compressed


def test_figures_alone_are_no_news_for_the_disk(central: PairedCentral, join: Join) -> None:
    node = join("managed-host")
    node.follow()
    node.report()
    central.central.keep()
    (before,) = central.rig.store.records("cluster_status")
    node.report(now=2_000.0)
    central.central.keep()
    assert central.rig.store.records("cluster_status") == [before]
    node.report(fqdn="other.example.com")
    central.central.keep()
    assert central.rig.store.records("cluster_status") != [before]
