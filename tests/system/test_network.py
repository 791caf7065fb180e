"""The network of a real kernel, in namespaces of their own: addresses, routes and the name are set, read back and put back."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import doorward.configuration
from doorward.configuration.network._addresses import addresses
from doorward.configuration.network._nics import PATHS
from doorward.configuration.network._routes import ROUTING
from doorward.host.drivers.kernel import KernelNetwork
from doorward.host.drivers.owners import owner
from doorward.host.engine import ApplyError, Host
from doorward.host.kinds.network import AddressKind, HostnameKind, RouteKind, VlanKind
from doorward.host.machine import Machine
from doorward.host.network_resources import Hostname, NetworkAddress, Route, Vlan
from doorward.host.plan import Plan
from doorward.host.resources import HostResource
from doorward.tree.registry import discover
from tests.support.fake_host import FakeClock
from tests.support.namespaces import apart, neighbour, run

DEVICE = "door0"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host that has nothing but the kernel's network."""
    network = KernelNetwork()
    kinds: dict[type, Any] = {Vlan: VlanKind(network), NetworkAddress: AddressKind(network), Route: RouteKind(network)}
    kinds[Hostname] = HostnameKind(network)
    return Host("system", tmp_path, kinds, clock=FakeClock())


def device() -> None:
    run(f"ip link add {DEVICE} type veth peer name far0")
    run("ip link set far0 up")


def address(text: str, tag: int = 0) -> NetworkAddress:
    return NetworkAddress(DEVICE, tag, text, origin="nic1")


def route(target: str, gateway: str) -> Route:
    return Route(DEVICE, target, gateway, origin="routing")


def change(host: Host, old: Sequence[HostResource], new: Sequence[HostResource]) -> list[str]:
    plan: Plan = host.plan(old, new)
    host.apply(plan, deadline=time.monotonic() + 30)
    return [action.action for action in plan.actions]


def shown() -> tuple[set[str], set[tuple[str, str]]]:
    """The addresses of the device and the routes by gateways, as the tool `ip` shows them."""
    [link] = json.loads(run(f"ip -json address show dev {DEVICE}"))
    has = {f"{one['local']}/{one['prefixlen']}" for one in link["addr_info"] if one["scope"] == "global"}
    routes = [one for family in (4, 6) for one in json.loads(run(f"ip -json -{family} route") or "[]")]
    return has, {(one["dst"], one["gateway"]) for one in routes if "gateway" in one}


@apart
def test_addresses_and_routes_are_set_and_read_back(host: Host) -> None:
    device()
    old: list[HostResource] = [address("192.0.2.5/24"), address("2001:db8::5/64"), route("0.0.0.0/0", "192.0.2.1")]
    assert change(host, [], old) == [
        "set address 192.0.2.5/24 on door0", "set address 2001:db8::5/64 on door0", "set route to 0.0.0.0/0 by 192.0.2.1",
    ]  # fmt: skip
    assert shown() == ({"192.0.2.5/24", "2001:db8::5/64"}, {("default", "192.0.2.1")})
    assert host.plan(old, old, full=True).actions == ()
    assert host.drift(old) == []
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("2001:db8::5", 0))  # it is ready for use, not only there
    new: list[HostResource] = [
        address("198.51.100.5/24"),
        route("0.0.0.0/0", "198.51.100.1"),
        route("2001:db8:1::/48", "2001:db8::1"),
    ]
    change(host, old, [*new, old[1]])
    assert shown() == ({"198.51.100.5/24", "2001:db8::5/64"}, {("default", "198.51.100.1"), ("2001:db8:1::/48", "2001:db8::1")})
    run(f"ip address delete 198.51.100.5/24 dev {DEVICE}")
    assert [warning.message for warning in host.drift(new)] == [
        "the host does not have the address 198.51.100.5/24 on door0",
        "the host does not have the route to 0.0.0.0/0 by 198.51.100.1",
    ]
    host.apply(host.plan(new, new, full=True), deadline=time.monotonic() + 30)
    assert host.drift(new) == []
    change(host, [*new, old[1]], [])
    assert shown() == (set(), set())


@apart
def test_a_step_that_the_kernel_refuses_brings_everything_back(host: Host) -> None:
    device()
    old: list[HostResource] = [address("192.0.2.5/24"), route("0.0.0.0/0", "192.0.2.1")]
    change(host, [], old)
    run(f"ip route add 203.0.113.0/24 via 192.0.2.9 dev {DEVICE}")  # somebody else's
    before = shown()
    # The old address goes before the route fails, and takes its routes along.
    new: list[HostResource] = [address("198.51.100.5/24"), route("0.0.0.0/0", "198.51.100.1"), route("10.0.0.0/8", "172.16.0.1")]
    with pytest.raises(
        ApplyError, match=r"setting the route to 10\.0\.0\.0/8 by 172\.16\.0\.1 failed: Network is unreachable"
    ) as caught:
        change(host, old, new)
    assert caught.value.restored
    assert shown() == before


@apart
def test_an_address_that_goes_takes_nothing_else_along(host: Host) -> None:
    device()
    old: list[HostResource] = [address("192.0.2.5/24"), address("192.0.2.6/24"), route("0.0.0.0/0", "192.0.2.1")]
    change(host, [], old)
    change(host, old, old[1:])
    assert shown() == ({"192.0.2.6/24"}, {("default", "192.0.2.1")})


@apart
def test_a_vlan_is_made_or_the_kernel_that_has_none_is_named(host: Host) -> None:
    device()
    vlan: list[HostResource] = [Vlan(DEVICE, 20, f"{DEVICE}.20", origin="nic1"), address("198.51.100.5/24", 20)]
    plain: list[HostResource] = [address("192.0.2.5/24")]
    supported = subprocess.run(
        ["ip", "link", "add", "link", "far0", "name", "far0.9", "type", "vlan", "id", "9"], capture_output=True, check=False
    )
    if supported.returncode != 0:
        with pytest.raises(ApplyError, match="making VLAN 20 on door0 failed: Operation not supported") as caught:
            change(host, [], [*plain, *vlan])
        assert caught.value.restored
        assert shown() == (set(), set())
        return
    change(host, [], [*plain, *vlan])
    [link] = json.loads(run(f"ip -json -details address show dev {DEVICE}.20"))
    assert (link["linkinfo"]["info_kind"], link["linkinfo"]["info_data"]["id"]) == ("vlan", 20)
    assert "198.51.100.5" in {one["local"] for one in link["addr_info"]}
    change(host, [*plain, *vlan], plain)
    assert shown() == ({"192.0.2.5/24"}, set())


@pytest.fixture
def machines() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Other machines, ended after the test."""
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for machine in found:
        machine.kill()
        machine.communicate()


@apart
def test_gateways_and_doubles_are_noticed(host: Host, machines: list[subprocess.Popen[bytes]]) -> None:
    machines.append(neighbour(DEVICE, "192.0.2.1/24"))
    machines.append(neighbour("door1", "2001:db8::5/64"))
    own: list[HostResource] = [address("192.0.2.5/24")]
    change(host, [], own)
    assert host.plan(own, [*own, route("0.0.0.0/0", "192.0.2.1")]).warnings == ()
    [warning] = host.plan(own, [*own, route("0.0.0.0/0", "192.0.2.9")]).warnings
    assert (warning.code, warning.origin) == ("no_answer", "routing")
    double = NetworkAddress("door1", 0, "2001:db8::5/64", origin="nic2")
    with pytest.raises(ApplyError, match="another machine on the network has 2001:db8::5 already") as caught:
        change(host, own, [*own, double])
    assert caught.value.restored
    assert "2001:db8::5" not in run("ip address show dev door1")


@apart
def test_what_is_not_there_is_named(host: Host) -> None:
    with pytest.raises(ApplyError, match="the machine has no network device door0"):
        change(host, [], [address("192.0.2.5/24")])
    assert len(host.drift([Hostname("some-other-name", origin="naming")])) == 0, "left as it was found"


@apart
def test_the_name_is_that_of_the_machine(host: Host) -> None:
    old, new = Hostname(socket.gethostname(), origin="naming"), Hostname("node-of-the-test", origin="naming")
    assert change(host, [old], [new]) == ["set host name node-of-the-test"]
    assert run("uname -n") == "node-of-the-test\n"
    with pytest.raises(ApplyError) as caught:
        change(host, [new], [Hostname("other", origin="naming"), address("192.0.2.5/24")])
    assert caught.value.restored
    assert run("uname -n") == "node-of-the-test\n"


@apart
def test_the_first_configuration_of_a_system_is_what_it_has(host: Host) -> None:
    device()
    for command in (
        f"address add 192.0.2.5/24 dev {DEVICE}",
        f"address add 2001:db8::5/64 dev {DEVICE} nodad",
        f"link set {DEVICE} up",
        "route add default via 192.0.2.1",
        "link add name bridge0 type bridge",
    ):
        run(f"ip {command}")
    tree = discover(doorward.configuration)
    made = tree.defaults(Machine("system", "192.0.2.5"))
    assert sorted(str(one) for _, one in addresses(made)) == ["192.0.2.5/24", "2001:db8::5/64"]
    assert [made.value(path)["name"] for path in PATHS] == [DEVICE, "far0", None]
    assert made.value(ROUTING) == [{"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"}]
    kinds = (Vlan, NetworkAddress, Route)
    wanted = [one for path in (*PATHS, ROUTING) for one in tree[path].node.render(made) if isinstance(one, kinds)]  # type: ignore[misc]
    assert len(wanted) == 3
    assert host.plan([], wanted).actions == (), "the first plan is empty"


def test_other_managers_are_known_by_what_they_leave_in_run(tmp_path: Path) -> None:
    assert owner("eth0", 2, tmp_path) is None
    (tmp_path / "network").mkdir()
    (tmp_path / "network/ifstate").write_text("lo=lo\neth1=eth1\n")
    devices = tmp_path / "NetworkManager/devices"
    devices.mkdir(parents=True)
    (devices / "2").write_text("[device]\nmanaged=true\nconnection-uuid=x\n")
    (devices / "3").write_text("[device]\nmanaged=false\n")
    (devices / "5").write_text("[device]\n")
    found = [owner(name, index, tmp_path) for name, index in (("eth0", 2), ("eth1", 3), ("eth2", 4), ("eth3", 5), ("lo", 1))]
    assert found == ["NetworkManager", "ifupdown", None, None, "ifupdown"]
