"""What a node is in its cluster, by every combination of documents that says so."""

from __future__ import annotations

from typing import Any

import pytest

from doorward.host.machine import Machine
from doorward.membership import channel, join_request, nodes, promote
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.transaction.scope import from_central_management
from doorward.transaction.startup import whole_tree
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot

TREE = whole_tree()
OWN, CENTRE = "46f97a58-4028-467d-9a22-9cfe78ae3e1c", "b35c54da-b556-4f91-ade5-d26283d68277"
CLUSTER = "0a4f1c1e-2b7d-4f0e-8a51-7a3a5a0f3e22"
REQUEST = {"central_management_address": "10.0.0.1", "node_id": OWN}
JOINED = REQUEST | {"joined": {"central_node_id": CENTRE, "cluster_id": CLUSTER}}
ZONE = Place("/api/configuration/datetime/timezone")


def snapshot(*documents: tuple[str, str, Any]) -> Snapshot:
    made = TREE.defaults(Machine())
    for path, key, body in documents:
        made = made.put(Place(path, key), TREE.load(Place(path, key), body))
    return made


def member(key: str, address: str, *roles: str) -> tuple[str, str, Any]:
    return nodes.PATH, key, {"address": address, "roles": list(roles)}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([], ClusterRole()),
        ([(join_request.PATH, "", REQUEST)], ClusterRole("failed", OWN, central_addresses=("10.0.0.1",))),
        (
            [(join_request.PATH, "", REQUEST | {"psk": CLUSTER})],
            ClusterRole("requested", OWN, central_addresses=("10.0.0.1",), psk=CLUSTER),
        ),
        (
            [(join_request.PATH, "", JOINED | {"previous_address": "10.0.0.9"})],
            ClusterRole("joined", OWN, CLUSTER, CENTRE, ("10.0.0.1", "10.0.0.9")),
        ),
        (
            [(join_request.PATH, "", JOINED), member(OWN, "10.0.0.2", "managed-host")],
            ClusterRole("joined", OWN, CLUSTER, CENTRE, ("10.0.0.1",), ("managed-host",)),
        ),
        (
            [
                (promote.PATH, "", {"cluster_id": CLUSTER, "epoch": 1, "node_id": CENTRE}),
                member(CENTRE, "10.0.0.1", "central-management"),
            ],
            ClusterRole("central", CENTRE, CLUSTER, CENTRE, ("10.0.0.1",), ("central-management",)),
        ),
    ],
)
def test_the_documents_say_what_the_node_is(documents: list[tuple[str, str, Any]], expected: ClusterRole) -> None:
    found = cluster_role(snapshot(*documents))
    assert found == expected
    assert found.is_member == (expected.state in {"joined", "central"})
    assert found.managed == ("managed-host" in expected.roles)


def test_a_tree_without_membership_is_that_of_a_standalone_node() -> None:
    assert cluster_role(Snapshot()) == ClusterRole()
    assert channel.port(Snapshot()) == channel.PORT


@pytest.mark.parametrize(("roles", "refused"), [((), []), (("managed-host",), ["from_central_management"])])
def test_only_a_managed_host_may_not_write_what_has_scope_cluster(roles: tuple[str, ...], refused: list[str]) -> None:
    found = snapshot((join_request.PATH, "", JOINED), member(OWN, "10.0.0.2", *roles))
    own = [Place("/api/configuration/local_services/admin_web"), Place("/api/configuration/passwords", CLUSTER)]
    assert [problem.code for problem in from_central_management(TREE, found, [ZONE, *own])] == refused


def test_no_two_nodes_have_one_address() -> None:
    found = snapshot(member(OWN, "10.0.0.2"), member(CENTRE, "10.0.0.2"))
    (problem,) = nodes.addresses_differ(found, Place(nodes.PATH, OWN))
    assert (problem.code, problem.path) == ("duplicate_address", f"{nodes.PATH}/{OWN}")
    assert list(nodes.addresses_differ(snapshot(member(OWN, "10.0.0.2")), Place(nodes.PATH, OWN))) == []


def test_the_secret_of_a_pairing_is_no_part_of_what_is_shown() -> None:
    document = TREE.load(Place(nodes.PATH, OWN), {"address": "10.0.0.2", "psk": CLUSTER, "roles": []})
    assert [(reference.href, reference.form) for reference in document.references] == [
        (f"/api/configuration/passwords/{CLUSTER}", "sealed")
    ]
