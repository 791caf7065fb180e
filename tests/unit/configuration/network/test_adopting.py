"""What is taken over of addresses and routes that somebody changed on the host."""

from __future__ import annotations

from typing import Any

from doorward.configuration.network._routes import ROUTING
from doorward.host.kinds.network import Addressing
from doorward.host.network_resources import NetworkAddress, Route
from doorward.tree.nodes import Valued
from tests.unit.configuration.network.test_rendering import NIC1, TREE, interface, nic, snapshot

ROUTES = [
    {"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"},
    {"gateway": "192.0.2.2", "target_network": "10.0.0.0/8"},
    {"gateway": "192.0.2.3", "target_network": "172.16.0.0/12"},
]


def adopted(path: str, made: Any, addresses: dict[int, set[str]] | None = None, gateways: dict[str, str] | None = None) -> Any:
    """What is taken over where the device has these addresses, by VLAN, and routes."""

    def found(resource: Any) -> object:
        if isinstance(resource, Route):
            return (gateways or {}).get(resource.target)
        assert isinstance(resource, NetworkAddress)
        texts = (addresses or {}).get(resource.tag)
        return None if texts is None else Addressing(frozenset(texts), frozenset())

    node = TREE[path].node
    assert isinstance(node, Valued)
    assert node.adopt is not None
    return node.adopt(made, found)


def test_a_route_gets_the_gateway_that_it_has_or_goes() -> None:
    made = snapshot(nics__nic1=nic("eth0", i=interface("lan", 0, "192.0.2.5/24")), routing=ROUTES)
    there = {"0.0.0.0/0": "192.0.2.9", "10.0.0.0/8": "192.0.2.2"}
    assert adopted(ROUTING, made, gateways=there) == [
        {"gateway": "192.0.2.9", "target_network": "0.0.0.0/0"},
        {"gateway": "192.0.2.2", "target_network": "10.0.0.0/8"},
    ]
    as_configured = {route["target_network"]: route["gateway"] for route in ROUTES}
    assert adopted(ROUTING, made, gateways=as_configured) is None


def test_an_address_is_replaced_by_the_one_that_came_or_left_out() -> None:
    lan, vlan = interface("lan", 0, "192.0.2.5/24", "2001:db8::5/64"), interface("office", 7, "198.51.100.5/24")
    made = snapshot(nics__nic1=nic("eth0", i=lan, v=vlan))
    there = {0: {"192.0.2.6/24", "203.0.113.9/24", "fe80::1/64"}, 7: {"198.51.100.5/24"}}
    expected = nic("eth0", i=interface("lan", 0, "192.0.2.6/24"), v=vlan)
    assert adopted(NIC1, made, there) == expected
    as_configured = {0: {"192.0.2.5/24", "2001:db8::5/64", "203.0.113.9/24"}, 7: {"198.51.100.5/24"}}
    assert adopted(NIC1, made, as_configured) is None
    assert adopted(NIC1, made) is None, "a device that is not there says nothing"
