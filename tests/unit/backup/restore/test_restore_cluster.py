"""Restores of nodes that belong to a cluster, and of those that do not any more."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from doorward.backup.content import CLUSTER_KINDS
from doorward.backup.restore.replacing import put_membership
from doorward.cluster import following, ledger, peers
from doorward.configuration.local_services import cluster
from doorward.configuration.network._addresses import addresses
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import cluster_role
from doorward.store.port import StoredRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.tree.places import Place
from tests.unit.backup.restore.test_restore import archived, outcome, restored, tried
from tests.unit.backup.test_archive import unpacked
from tests.unit.transaction.rig import SERVERS, TREE, USERS, ZONE, ip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.unit.backup.parts import Site

CLUSTER, CENTRE, MEMBER, OTHER = (f"0000000{n}-0000-4000-8000-000000000000" for n in range(4))
PSK = "a secret of a pairing"


def put(site: Site, rows: dict[Place, Any], psk: bool = False) -> None:
    """Commit documents of the cluster. With ``psk`` a node is still to be paired."""
    candidate = Candidate.on(site.rig.pipeline.running)
    [(address, _)] = addresses(candidate.snapshot)
    site.rig.put(candidate, "local_services/cluster", {"enabled": True, "listen_address": address})
    if psk:
        key = site.rig.post(candidate, "passwords", {"plain": PSK})
        rows = {**rows, Place(nodes.PATH, OTHER): {"address": "192.0.2.13", "psk": key, "roles": ["search-local"]}}
    for place, body in rows.items():
        candidate.put(place, TREE.load(place, body))
    site.rig.pipeline.commit(candidate, Order("admin", ""))


def central(site: Site) -> None:
    put(
        site,
        {
            Place(promote.PATH): {"cluster_id": CLUSTER, "epoch": 100, "node_id": site.node.id},
            Place(nodes.PATH, site.node.id): {"address": "192.0.2.11", "psk": None, "roles": ["central-management"]},
            Place(nodes.PATH, MEMBER): {"address": "192.0.2.12", "psk": None, "roles": ["managed-host"]},
        },
        psk=True,
    )


def managed(site: Site) -> None:
    joined = {"central_node_id": CENTRE, "cluster_id": CLUSTER}
    request = {
        "central_management_address": "192.0.2.11", "joined": joined, "node_id": site.node.id, "previous_address": None,
        "psk": None,
    }  # fmt: skip
    put(
        site,
        {
            Place(join_request.PATH): request,
            Place(nodes.PATH, site.node.id): {"address": "192.0.2.12", "psk": None, "roles": ["managed-host"]},
        },
    )


def test_a_central_comes_back_on_another_machine_as_a_newer_one(new_site: Callable[[], Site], tmp_path: Path) -> None:
    site, other = new_site().filled(), new_site()
    central(site)
    site.rig.store.put_record(StoredRecord("cluster_peer", MEMBER, {"at": 1.0, "certificate": "AAAA", "removed": None}))
    path = archived(site)
    files = unpacked(path, tmp_path / "u")
    assert PSK.encode() not in b"".join(files.values())
    membership = json.loads(files["cluster/membership.json"])
    assert sorted(membership["nodes"]) == sorted([site.node.id, MEMBER]), "pairings that are not over are left out"
    before = time.time()
    checked = restored(
        other, path, scope="system", take_over=True, accept_signer=site.node.signing.fingerprint, network="restore"
    )  # fmt: skip
    assert checked.passed
    snapshot = other.rig.pipeline.running.snapshot
    assert cluster_role(snapshot).state == "central"
    assert snapshot.value(promote.PATH)["epoch"] >= int(before)
    assert sorted(snapshot.objects(nodes.PATH).order) == sorted([site.node.id, MEMBER])
    assert other.rig.store.record("cluster_peer", MEMBER) is not None
    assert other.tree() == site.tree()


def test_the_archive_of_a_member_names_the_cluster_revision_that_it_has(new_site: Callable[[], Site], tmp_path: Path) -> None:
    central_node, node = new_site(), new_site()

    def named(site: Site, into: str) -> Any:
        found: dict[str, Any] = json.loads(unpacked(archived(site), tmp_path / into)["configuration/revision.json"])
        for file in site.spool.iterdir():  # the next one may have the same second in its name
            file.unlink()
        return found.get("cluster_revision", "none")

    assert named(central_node, "alone") == "none"
    central(central_node)
    counted = ledger.Ledger(TREE, central_node.rig.store, central_node.rig.pipeline.secrets)
    counted.note(central_node.rig.pipeline.running)
    central_node.rig.committed((ZONE, "Asia/Tokyo"))
    counted.note(central_node.rig.pipeline.running)
    assert counted.newest is not None
    header = msgspec.to_builtins(counted.newest.header)
    assert (named(central_node, "centre"), header["number"]) == (header, 2)
    managed(node)
    assert named(node, "before it took anything") is None
    sync = following.Sync(applied=counted.newest.header, membership=counted.newest.header)
    node.rig.store.put_record(StoredRecord("cluster_sync", "node", msgspec.to_builtins(sync)))
    assert named(node, "node") == header


@pytest.mark.parametrize("make", [central, managed])
def test_a_machine_with_another_network_and_no_open_interface_takes_the_place(
    new_site: Callable[[], Site], make: Callable[[Site], None]
) -> None:
    site, other = new_site().filled(), new_site()
    make(site)
    path = archived(site)
    asked: dict[str, Any] = {"take_over": True, "accept_signer": site.node.signing.fingerprint}
    alone = restored(other, path, **asked)
    assert "address_differs" not in [warning.code for warning in alone.warnings]
    assert other.rig.value("local_services/cluster") == {"enabled": False}, "it is in no cluster, and stays closed"
    checked = restored(other, path, scope="system", **asked)
    assert "address_differs" in [warning.code for warning in checked.warnings]
    running = other.rig.pipeline.running.snapshot
    assert cluster_role(running).is_member
    (address, _), *_ = addresses(running)
    assert running.value(cluster.PATH) == {"enabled": True, "listen_address": address}


def test_a_member_keeps_its_place_and_is_no_new_machine(site: Site) -> None:
    path = archived(site.filled())
    central(site)
    site.rig.committed((ZONE, "Asia/Tokyo"))
    assert outcome(tried(site, path, scope="system"))[1] == "cluster_member"
    restored(site, path)
    assert site.rig.value(ZONE) == "Europe/Budapest"
    assert cluster_role(site.rig.pipeline.running.snapshot).state == "central"
    assert len(site.rig.pipeline.running.snapshot.objects(nodes.PATH).order) == 3


def test_a_managed_host_restores_what_is_its_own(site: Site) -> None:
    rig = site.rig
    rig.committed((ZONE, "Europe/Budapest"), (SERVERS, [ip("192.0.2.1")]))
    candidate = rig.candidate()
    rig.post(candidate, USERS, {"name": "jane", "password": rig.post(candidate, "passwords", {"plain": "correct horse battery"})})
    rig.commit(candidate)
    path = archived(site)
    users = rig.pipeline.running.snapshot.objects("/api/configuration/" + USERS).order
    candidate = rig.candidate()
    rig.delete(candidate, USERS, users[-1])
    rig.put(candidate, ZONE, "Asia/Tokyo")
    rig.put(candidate, SERVERS, [ip("192.0.2.2")])
    rig.commit(candidate)
    managed(site)
    checked = restored(site, path)
    assert "cluster_part_ignored" in [warning.code for warning in checked.warnings]
    scopes = {TREE["/api/configuration/" + at].node.scope: at for at in (ZONE, SERVERS)}
    if "node" in scopes:
        assert rig.value(scopes["node"]) in ("Europe/Budapest", [ip("192.0.2.1")])
    if "cluster" in scopes:
        assert rig.value(scopes["cluster"]) in ("Asia/Tokyo", [ip("192.0.2.2")])
    assert len(rig.pipeline.running.snapshot.objects("/api/configuration/" + USERS).order) == len(users) - 1
    assert rig.store.check() == []


def test_the_records_of_the_cluster_are_those_that_it_keeps() -> None:
    assert set(CLUSTER_KINDS) == {peers.KIND, ledger.KIND, following.KIND}


def test_a_central_that_comes_back_is_newer_than_before_whatever_its_clock_says(site: Site) -> None:
    candidate = Candidate.on(site.rig.pipeline.running)
    promotion = {"cluster_id": CLUSTER, "epoch": 1 << 33, "node_id": site.node.id}
    put_membership(candidate, TREE, {"join_request": None, "nodes": {}, "promote": promotion})
    assert candidate.snapshot.value(promote.PATH)["epoch"] == (1 << 33) + 1
