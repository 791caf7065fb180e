"""Names, name servers and routes: what their bodies take, and what the rules say."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest

from doorward.configuration.network import dns, routing
from doorward.configuration.network._routes import ROUTING
from doorward.host import identity
from doorward.host import nics as host_nics
from doorward.host.drivers.netlink import FoundNic
from doorward.host.machine import Machine
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody
from doorward.tree.validation import check
from tests.unit.configuration.network.test_rendering import TREE, interface, nic, snapshot

ROUTE = {"gateway": "192.0.2.1", "target_network": "0.0.0.0/0"}


def problems(name: str, value: Any) -> list[tuple[str, str]]:
    try:
        check(TREE[f"/api/configuration/network/{name}"].node.adapter, value)  # type: ignore[attr-defined]
    except InvalidBody as refused:
        return [(problem.code, problem.pointer) for problem in refused.problems]
    return []


def kept(name: str, value: Any) -> Any:
    adapter = TREE[f"/api/configuration/network/{name}"].node.adapter  # type: ignore[attr-defined]
    return adapter.dump_python(check(adapter, value).model, mode="json")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"primary": "192.0.2.1", "secondary": "192.0.2.2"}, []),
        ({}, []),
        ({"primary": "127.0.0.53"}, []),
        ({"secondary": "192.0.2.2"}, [("contradiction", "/secondary")]),
        ({"primary": None, "secondary": "192.0.2.2"}, [("contradiction", "/secondary")]),
        ({"primary": "2001:DB8::1", "secondary": "2001:db8:0::1"}, [("duplicate", "/secondary")]),
        ({"primary": "192.0.2.300", "secondary": "x"}, [("format", "/primary"), ("format", "/secondary")]),
        ({"primary": "fe80::1%eth0"}, [("format", "/primary")]),
        ({"primary": "ns.example.com"}, [("format", "/primary")]),
    ],
)
def test_name_servers(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems("dns", value) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, []),
        ({"hostname": "NODE-1"}, []),
        ({"hostname": "node.1"}, [("format", "/hostname")]),
        ({"hostname": "node1.example.com"}, [("format", "/hostname")]),
        ({"hostname": "7"}, [("format", "/hostname")]),
        ({"hostname": ""}, [("format", "/hostname")]),
        ({"hostname": "n" * 64}, [("format", "/hostname")]),
        ({"hostname": "-n"}, [("format", "/hostname")]),
        ({"domainname": "a_b.example"}, [("format", "/domainname")]),
        ({"nickname": ""}, [("length", "/nickname")]),
        ({"nickname": "n" * 65}, [("length", "/nickname")]),
        ({"nickname": "tab\there"}, [("format", "/nickname")]),
        ({"nickname": "Kőszeg \u2603"}, []),
    ],
)
def test_names(change: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert problems("naming", {"hostname": "node1", "domainname": "example.com"} | change) == found


def test_a_name_that_is_left_out_is_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Host7.Example.NET")
    assert kept("naming", {}) == {"hostname": "host7", "domainname": "example.net", "nickname": None}
    assert kept("naming", {"hostname": "A"}) == {"hostname": "a", "domainname": "example.net", "nickname": None}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("Node1.Example.COM", ("node1", "example.com")),
        ("node1", ("node1", "localdomain")),
        ("my_host.example.com", ("doorward", "example.com")),
        ("7.a_b", ("doorward", "localdomain")),
        ("(none)", ("doorward", "localdomain")),
        ("node1.7", ("node1", "localdomain")),
    ],
)
def test_what_the_host_calls_itself_makes_a_body_that_is_valid(
    host: str, expected: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    value = identity.naming(Machine())
    assert (value["hostname"], value["domainname"]) == expected
    assert problems("naming", value) == []


def test_the_name_servers_of_the_host_make_a_body_that_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    lines = ["# comment", "nameserver 0.0.0.0", "nameserver fe80::1%eth0", "nameserver", "nameserver 192.0.2.1"]
    path.write_text("\n".join([*lines, "nameserver 192.0.2.1", "nameserver 192.0.2.2 # x", "nameserver 192.0.2.3"]))
    value = identity.name_servers(Machine(), path)
    assert value == {"primary": "192.0.2.1", "secondary": "192.0.2.2"}
    assert problems("dns", value) == []
    assert identity.name_servers(Machine(), tmp_path / "none") == {"primary": None, "secondary": None}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ([ROUTE], []),
        ([], []),
        ([ROUTE, ROUTE], [("duplicate", "/1")]),
        ([ROUTE | {"target_network": "192.0.2.1/24"}], [("format", "/0/target_network")]),
        ([ROUTE | {"target_network": "192.0.2.0"}], [("format", "/0/target_network")]),
        ([ROUTE | {"target_network": "192.0.2.0/255.255.255.0"}], [("format", "/0/target_network")]),
        ([ROUTE | {"target_network": "::/0"}], [("contradiction", "/0/gateway")]),
        ([ROUTE | {"gateway": "router.example"}], [("format", "/0/gateway")]),
        ([{"gateway": "192.0.2.1"}], [("missing", "/0/target_network")]),
        ([ROUTE | {"target_network": f"10.{a}.{b}.0/24"} for a in range(2) for b in range(129)], [("length", "")]),
    ],
)
def test_routes(value: Any, found: list[tuple[str, str]]) -> None:
    assert problems("routing", value) == found


def test_a_gateway_is_a_neighbour_and_not_the_node() -> None:
    made = snapshot(
        nics__nic1=nic("eth0", one=interface("one", 0, "192.0.2.5/24")),
        routing=[
            ROUTE,
            {"gateway": "192.0.2.5", "target_network": "10.0.0.0/8"},
            {"gateway": "198.51.100.1", "target_network": "172.16.0.0/12"},
        ],
    )
    found = [(problem.code, problem.pointer) for problem in routing.gateway_unreachable(made, Place(ROUTING))]
    assert found == [("gateway_unreachable", "/1/gateway"), ("gateway_unreachable", "/2/gateway")]


def test_a_node_without_name_server_is_worth_a_warning() -> None:
    none = snapshot(dns={"primary": None, "secondary": None})
    assert [problem.code for problem in dns.no_resolver(none, Place(dns.PATH))] == ["no_resolver"]
    assert list(dns.no_resolver(snapshot(dns={"primary": "192.0.2.1", "secondary": None}), Place(dns.PATH))) == []


def test_a_system_starts_with_the_routes_whose_gateways_it_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FoundNic("eth0", ((0, (ipaddress.ip_interface("192.0.2.5/24"),)),))
    monkeypatch.setattr(host_nics, "read_nics", lambda: [device])
    found = [("0.0.0.0/0", "192.0.2.1"), ("10.0.0.0/8", "198.51.100.1"), ("172.16.0.0/12", "192.0.2.5")]
    monkeypatch.setattr(host_nics, "read_routes", lambda: found)
    assert TREE.defaults(Machine("system", "192.0.2.5")).value(ROUTING) == [ROUTE]
    assert TREE.defaults(Machine()).value(ROUTING) == []
