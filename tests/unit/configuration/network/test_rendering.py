"""What the network asks of the host, word for word."""

from __future__ import annotations

from typing import Any

import doorward.configuration
from doorward.configuration.network._nics import PATHS
from doorward.configuration.network._routes import ROUTING
from doorward.host.machine import Machine
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.resources import File
from doorward.tree.places import Place
from doorward.tree.registry import discover
from doorward.tree.snapshot import Snapshot

TREE = discover(doorward.configuration)
NIC1, NIC2, NIC3 = PATHS
NAMING, DNS = "/api/configuration/network/naming", "/api/configuration/network/dns"
D = "/etc/systemd/network/10-doorward-"


def interface(name: str, tag: int, *addresses: str) -> dict[str, Any]:
    entries = {f"a{index}": address for index, address in enumerate(addresses)}
    return {"addresses": {"@order": list(entries), **entries}, "name": name, "vlantag": tag}


def nic(device: str | None, **interfaces: Any) -> dict[str, Any]:
    return {"interfaces": {"@order": list(interfaces), **interfaces}, "name": device, "speed": "auto"}


def snapshot(**bodies: Any) -> Snapshot:
    values = {NIC1: nic("eth0"), NIC2: nic(None), NIC3: nic(None), ROUTING: []}
    values[NAMING] = {"domainname": "example.com", "hostname": "node1", "nickname": None}
    values |= {f"/api/configuration/network/{name.replace('__', '/')}": value for name, value in bodies.items()}
    made = TREE.defaults(Machine())
    for path, value in values.items():
        made = made.put(Place(path), TREE.load(Place(path), value))
    return made


def rendered(path: str, made: Snapshot) -> list[Any]:
    render = TREE[path].node.render
    assert render is not None
    found = list(render(made))
    assert all(one.unmanaged for one in found)
    assert {one.origin for one in found} <= {path}
    return found


def files(found: list[Any]) -> dict[str, str]:
    return {one.path: one.content.decode() for one in found if isinstance(one, File)}


HEAD = "# Written by Doorward from {}; a change by hand counts as drift.\n\n"
ETH0 = (
    HEAD.format(NIC1)
    + """[Match]
Name=eth0

[Network]
DHCP=no
VLAN=eth0.20
Address=192.0.2.5/24
Address=2001:db8::5/64

[Route]
Destination=0.0.0.0/0
Gateway=192.0.2.1

[Route]
Destination=2001:db8:1::/48
Gateway=2001:db8::1
"""
)
VLAN_DEVICE = (
    HEAD.format(NIC1)
    + """[NetDev]
Name=eth0.20
Kind=vlan

[VLAN]
Id=20
"""
)
VLAN_NETWORK = (
    HEAD.format(NIC1)
    + """[Match]
Name=eth0.20

[Network]
DHCP=no
Address=198.51.100.5/24

[Route]
Destination=203.0.113.0/24
Gateway=198.51.100.1
"""
)
WHOLE = snapshot(
    nics__nic1=nic(
        "eth0",
        guests=interface("guests", 20, "198.51.100.5/24"),
        plain=interface("default", 0, "192.0.2.5/24", "2001:db8::5/64"),
    ),
    routing=[
        {"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"},
        {"gateway": "198.51.100.1", "target_network": "203.0.113.0/24"},
        {"gateway": "2001:db8::1", "target_network": "2001:db8:1::/48"},
    ],
)


def test_a_nic_becomes_vlans_addresses_and_the_files_that_keep_them() -> None:
    found = rendered(NIC1, WHOLE)
    assert found[:4] == [
        NetworkAddress("eth0", 0, "192.0.2.5/24", origin=NIC1),
        NetworkAddress("eth0", 0, "2001:db8::5/64", origin=NIC1),
        Vlan("eth0", 20, "eth0.20", origin=NIC1),
        NetworkAddress("eth0", 20, "198.51.100.5/24", origin=NIC1),
    ]
    assert files(found) == {
        f"{D}eth0.network": ETH0,
        f"{D}eth0.20.netdev": VLAN_DEVICE,
        f"{D}eth0.20.network": VLAN_NETWORK,
    }
    assert found[-1] == Networkd("eth0", tuple(files(found)), origin=NIC1)


def test_a_nic_without_interfaces_is_written_down_as_such() -> None:
    found = rendered(NIC1, snapshot())
    assert files(found) == {f"{D}eth0.network": HEAD.format(NIC1) + "[Match]\nName=eth0\n\n[Network]\nDHCP=no\n"}


def test_a_nic_without_device_asks_for_nothing() -> None:
    assert rendered(NIC2, snapshot()) == []


def test_a_nic_with_only_vlans_carries_them() -> None:
    found = files(rendered(NIC1, snapshot(nics__nic1=nic("enp0s31f6u1u2", one=interface("one", 4094, "192.0.2.5/24")))))
    assert list(found) == [f"{D}enp0s31f6u1u2.network", f"{D}vlan4094.f6u1u2.netdev", f"{D}vlan4094.f6u1u2.network"]
    assert "VLAN=vlan4094.f6u1u2\n" in found[f"{D}enp0s31f6u1u2.network"]
    assert all(len(path.removeprefix(D).rpartition(".")[0]) <= 15 for path in found)


def test_routes_go_to_the_kernel_and_into_the_file_of_their_interface() -> None:
    assert rendered(ROUTING, WHOLE) == [
        Route("eth0", "0.0.0.0/0", "192.0.2.1", origin=ROUTING),
        Route("eth0", "203.0.113.0/24", "198.51.100.1", origin=ROUTING),
        Route("eth0", "2001:db8:1::/48", "2001:db8::1", origin=ROUTING),
    ]


def test_of_two_networks_the_narrower_one_leads_to_a_gateway() -> None:
    made = snapshot(
        nics__nic1=nic("eth0", one=interface("one", 0, "10.0.0.5/8")),
        nics__nic2=nic("eth1", two=interface("two", 0, "10.1.0.5/16")),
        routing=[{"gateway": "10.1.0.1", "target_network": "0.0.0.0/0"}],
    )
    assert [route.device for route in rendered(ROUTING, made)] == ["eth1"]
    assert "[Route]" not in files(rendered(NIC1, made))[f"{D}eth0.network"]
    assert "[Route]" in files(rendered(NIC2, made))[f"{D}eth1.network"]


def test_name_servers_come_with_the_domain() -> None:
    made = snapshot(dns={"primary": "192.0.2.53", "secondary": "2001:db8::53"})
    assert rendered(DNS, made) == [NameServers(("192.0.2.53", "2001:db8::53"), "example.com", origin=DNS)]
    assert rendered(DNS, snapshot(dns={"primary": None, "secondary": None})) == [NameServers((), "example.com", origin=DNS)]


def test_the_name_becomes_two_files_and_that_of_the_machine() -> None:
    assert rendered(NAMING, snapshot()) == [
        File("/etc/hostname", b"node1\n", origin=NAMING, unmanaged=True),
        NetworkLine("/etc/hosts", "127.0.1.1", "127.0.1.1\tnode1.example.com node1", origin=NAMING),
        Hostname("node1", origin=NAMING),
    ]
