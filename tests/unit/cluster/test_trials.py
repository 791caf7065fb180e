"""What a cluster is told of a commit that awaits its confirmation: nothing, and of everything else all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from doorward import __version__
from doorward.cluster.cluster import Cluster
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.revisions import Header
from doorward.cluster.statuses import NodeReport
from doorward.membership import nodes, promote
from doorward.store.port import Edit
from doorward.transaction.queue import CommitQueue
from doorward.tree.places import Place
from tests.support.areas import follow
from tests.unit.cluster.pairs import INTERFACE, Node, PairedCentral
from tests.unit.transaction.rig import ROOT, SERVERS, WEB, ZONE, ip

NIC1 = "network/nics/nic1"
Start = Callable[[], Cluster]


@pytest.fixture
def start(central: PairedCentral, tmp_path: Path) -> Iterator[Start]:
    """Starts what follows from the commits of Central Management, with the time standing still."""
    queue = CommitQueue()
    nobody: Any = None

    def made() -> Cluster:
        central.rig.pipeline.subscribers.published.clear()
        cluster = Cluster(
            central.rig.pipeline,
            queue,
            node_id=central.id,
            key=central.key,
            connector=nobody,
            events=central.events,
            state=tmp_path,
        )
        follow(cluster, cluster._pipeline).attach()
        return cluster

    yield made
    queue.close()


def newest(cluster: Cluster) -> Header:
    found = cluster._central.ledger.newest
    assert found is not None
    return found.header


def told(cluster: Cluster) -> str:
    """The rows of which nodes are told, as a text."""
    found = cluster._central.ledger.newest
    assert found is not None
    return "".join(row[2] for row in found.content.tree)


def look(cluster: Cluster) -> None:
    """Let it do what there is to do."""
    while cluster.work():
        pass


def try_out(central: PairedCentral, *puts: tuple[str, Any]) -> None:
    central.rig.committed(*puts, confirm_seconds=3600)
    central.rig.confirmations.load()


def confirm(central: PairedCentral) -> None:
    assert central.rig.confirmations.pending is not None
    central.rig.confirmations.confirm(central.rig.confirmations.pending)


def test_over_a_restart_nodes_are_told_what_was_before(central: PairedCentral, start: Start) -> None:
    before = newest(start())
    try_out(central, (ZONE, "Asia/Tokyo"), (SERVERS, [ip("192.0.2.1")]))
    again = start()
    assert newest(again) == before
    assert "Asia/Tokyo" not in told(again)
    confirm(central)
    look(again)
    assert newest(again).number == before.number + 1
    assert "Asia/Tokyo" in told(again)


def test_a_commit_right_before_is_told_all_the_same(central: PairedCentral, start: Start) -> None:
    cluster = start()
    before = newest(cluster)
    central.rig.committed((ZONE, "Asia/Tokyo"))
    try_out(central, (ZONE, "Europe/Oslo"))
    look(cluster)
    assert newest(cluster).number == before.number + 1
    assert "Asia/Tokyo" in told(cluster)
    central.rig.confirmations.go_back()
    look(cluster)
    assert newest(cluster).number == before.number + 1, "nodes have that already"


def test_roles_on_trial_change_nothing_in_what_a_node_may_ask(
    central: PairedCentral, join: Callable[..., Node], start: Start
) -> None:
    node = join("managed-host")
    cluster = start()
    central.peers.pin(node.id, node.key.certificate, 0.0)
    cluster = start()
    place = Place(nodes.PATH, node.id)
    on_trial: list[Callable[..., None]] = [
        partial(central.write, place, {"address": "10.0.0.2", "roles": []}),
        partial(central.remove, place),
    ]
    for work in on_trial:
        work(confirm_seconds=3600)
        central.rig.confirmations.load()
        look(cluster)
        assert [peer.roles for peer in cluster._settling.trusted()] == [{"managed-host"}]
        assert [peer.roles for peer in start()._settling.trusted()] == [{"managed-host"}]
        central.rig.confirmations.go_back()


def test_a_node_is_behind_from_the_confirmation_on(central: PairedCentral, join: Callable[..., Node], start: Start) -> None:
    def says() -> str:
        (item,) = cluster._central.items()
        return str(item["sync_status"])

    node = join("managed-host")
    cluster = start()
    head = newest(cluster)
    report = NodeReport("", __version__, "10.0.0.2", 0.0, head, head)
    cluster._central.status(PinnedPeer(node.id, b""), msgspec.to_builtins(report))
    assert says() == "up-to-date"
    try_out(central, (WEB, {"timeout": 30}))
    assert says() == "up-to-date"
    look(cluster)
    assert says() == "up-to-date"
    confirm(central)
    assert says() == "pending"
    try_out(central, (WEB, {"timeout": 40}))
    assert says() == "pending", "what was confirmed is not on trial any more"
    look(cluster)
    assert (says(), newest(cluster).number) == ("pending", head.number + 1)


def test_nothing_is_overtaken_by_what_is_done_regularly(central: PairedCentral, start: Start) -> None:
    cluster = start()
    before = newest(cluster).number
    for seconds in (20, 30, 40):
        central.rig.committed((WEB, {"timeout": seconds}))
    cluster._ticked -= 3600
    look(cluster)
    assert newest(cluster).number == before + 3


def test_a_new_address_of_central_management_is_a_warning_while_nodes_look_for_the_old_one(
    central: PairedCentral, join: Callable[..., Node], start: Start
) -> None:
    node = join("managed-host")
    node.report()
    body, on = central.rig.value(NIC1), central.rig.value(INTERFACE)
    [interface] = body["interfaces"]["@order"]
    addresses = body["interfaces"][interface]["addresses"]
    addresses["@order"].append("second")
    addresses["second"] = "10.0.0.9/8"
    central.rig.committed((NIC1, body))

    def warned(path: str, value: Any) -> list[str]:
        record = central.rig.committed((path, value))
        return [warning["message"] for warning in record.warnings if warning["code"] == "nodes_not_told"]

    def listening(address: str) -> dict[str, Any]:
        place, _, _ = on["listen_address"]["key"].rpartition(".")
        return {"enabled": True, "listen_address": f"{place}.{address}"}

    assert warned(INTERFACE, listening("second")) == [], "nobody has a word in it yet"
    central.rig.committed((INTERFACE, listening(addresses["@order"][0])))
    start()
    assert warned(ZONE, "Asia/Tokyo") == []
    assert warned(INTERFACE, listening("second")) == [f"These nodes look for Central Management elsewhere: {node.id}."]


@pytest.mark.parametrize(
    ("path", "travels"),
    [(nodes.PATH, True), (ROOT + ZONE, True), (ROOT + INTERFACE, False), (promote.PATH, False)],
)
def test_what_nodes_are_told_of(start: Start, path: str, travels: bool) -> None:
    assert start()._travels(Edit(Place(path), None, None)) is travels
