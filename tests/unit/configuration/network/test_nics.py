"""The three NICs: what their bodies take, what the rules say, and what the first configuration has."""

from __future__ import annotations

import ipaddress
from copy import deepcopy
from typing import Annotated, Any

import psutil
import pytest

import doorward.configuration
from doorward.configuration.local_services import admin_web
from doorward.configuration.network import _addresses
from doorward.configuration.network._addresses import InterfaceAddress
from doorward.configuration.network._nics import NICS, PATHS
from doorward.configuration.network.nics import _nic
from doorward.host import nics as host_nics
from doorward.host.drivers.netlink import FoundNic
from doorward.host.machine import Machine
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.rules import check_rules
from doorward.tree.jsontext import encode
from doorward.tree.nodes import Singleton
from doorward.tree.nodes.node import constant
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, SemanticError
from doorward.tree.registry import discover
from doorward.tree.snapshot import Document, Snapshot
from doorward.tree.validation import check
from tests.unit.configuration.network.samples import NIC

TREE = discover(doorward.configuration)
NIC1 = TREE[PATHS[0]]
KEY = "nic1.interfaces.one.addresses.a"
NO_LINES = encode({"access_restriction": {"enabled": False}, "listen": []})
NOWHERE = Document(NO_LINES, NO_LINES)
"""A service that listens on none of the addresses here."""
USER = Place("/api/configuration/somewhere")
Reading = Annotated[InterfaceAddress, "as a member of some body"]


def body(*addresses: str, name: str | None = "eth0", interface: str = "default", tag: int = 0, **more: Any) -> dict[str, Any]:
    entries = {f"a{index}": address for index, address in enumerate(addresses)}
    one = {"addresses": {"@order": list(entries), **entries}, "name": interface, "vlantag": tag}
    return {"interfaces": {"@order": ["i", *more], "i": one, **more}, "name": name, "speed": "auto"}


def snapshot(*bodies: dict[str, Any]) -> Snapshot:
    made = TREE.defaults(Machine())
    empty: dict[str, Any] = {"interfaces": {"@order": []}, "name": None, "speed": "auto"}
    made = made.put(Place(admin_web.PATH), NOWHERE)
    for path, value in zip(PATHS, [*bodies, empty, empty][:3], strict=True):
        made = made.put(Place(path), TREE.load(Place(path), value))
    return made


def refused(value: Any) -> list[tuple[str, str]]:
    assert isinstance(NIC1.node, Singleton)
    with pytest.raises(InvalidBody) as caught:
        check(NIC1.node.adapter, value)
    return [(problem.code, problem.pointer) for problem in caught.value.problems]


def found(rule: Any, made: Snapshot, number: int = 1) -> list[tuple[str, str]]:
    return [(problem.code, problem.pointer) for problem in rule(made, Place(PATHS[number - 1]))]


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.5", "192.0.2.0/24", "192.0.2.255/24", "0.0.0.0/0", "224.0.0.1/24", "255.255.255.255/32", "192.0.2.5/33",
        "192.0.2.5/255.255.255.0", "192.0.2.05/24", "::/64", "ff02::1/64", "2001:db8::/64", "fe80::1%eth0/64", "eth0/24",
        "192.0.2.5/", "/24", "", " 192.0.2.5/24", "192.0.2.5/24\n", "192.0.2.5/+24",
    ],
)  # fmt: skip
def test_what_is_no_address_of_one_host_is_refused(address: str) -> None:
    assert refused(body(address)) == [("format", "/interfaces/i/addresses/a0")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("192.0.2.5/24", "192.0.2.5/24"),
        ("192.0.2.4/31", "192.0.2.4/31"),
        ("192.0.2.5/32", "192.0.2.5/32"),
        ("127.0.0.1/8", "127.0.0.1/8"),
        ("2001:DB8:0::5/64", "2001:db8::5/64"),
        ("2001:db8::/127", "2001:db8::/127"),
        ("::1/128", "::1/128"),
    ],
)
def test_addresses_are_kept_in_canonical_form(sent: str, kept: str) -> None:
    model = check(NIC1.node.adapter, body(sent)).model  # type: ignore[attr-defined]
    assert NIC1.node.adapter.dump_python(model)["interfaces"]["i"]["addresses"]["a0"] == kept  # type: ignore[attr-defined]


def test_what_may_be_there_once_is_named_with_everything_else() -> None:
    value = deepcopy(NIC)
    value["interfaces"]["two"] |= {"name": "default", "vlantag": None, "addresses": {"@order": ["x"], "x": "192.0.2.5/25"}}
    value["interfaces"]["one"]["addresses"]["b"] = "nonsense"
    assert refused(value) == [
        ("format", "/interfaces/one/addresses/b"),
        ("duplicate", "/interfaces/two/addresses/x"),
        ("duplicate", "/interfaces/two/name"),
        ("duplicate", "/interfaces/two/vlantag"),
    ]


@pytest.mark.parametrize("tag", [-1, 4095])
def test_a_vlan_tag_has_its_range(tag: int) -> None:
    assert refused(body(tag=tag)) == [("range", "/interfaces/i/vlantag")]


def test_another_speed_is_a_matter_of_support() -> None:
    candidate = Candidate.on(Running(1, "", snapshot(body())))
    with pytest.raises(SemanticError) as caught:
        NIC1.node.replace(candidate, "", body() | {"speed": "1000full"}, strict=False)
    assert [(problem.code, problem.pointer) for problem in caught.value.problems] == [("not_supported", "/speed")]


@pytest.mark.parametrize("name", ["eth7", None, 7])
def test_the_device_is_not_changed_by_a_put(name: Any) -> None:
    candidate = Candidate.on(Running(1, "", snapshot(body())))
    assert NIC1.node.replace(candidate, "", body("192.0.2.5/24") | {"name": name}, strict=True) == ()
    value = candidate.snapshot.value(PATHS[0])
    assert (value["name"], value["interfaces"]["i"]["addresses"]["a0"]) == ("eth0", "192.0.2.5/24")


def test_a_nic_without_device_has_no_interfaces() -> None:
    assert found(_nic.no_device, snapshot(body(name=None))) == [("no_device", "/interfaces")]
    assert found(_nic.no_device, snapshot(body())) == []
    assert found(_nic.no_device, snapshot(body()), 2) == []


def test_loopback_addresses_are_for_the_sandbox() -> None:
    made = snapshot(body("192.0.2.5/24", "127.0.0.2/8", "::1/128"))
    expected = [("unsuitable", f"/interfaces/i/addresses/a{index}") for index in (1, 2)]
    assert found(_nic.loopback, made) == expected
    assert found(_nic.loopback, snapshot(body("127.0.0.2/8", name="sandbox0"))) == []


def test_no_address_and_no_name_is_on_two_nics() -> None:
    made = snapshot(body("192.0.2.5/24"), body("192.0.2.9/24", "192.0.2.5/26", name="eth1"))
    assert found(_nic.once_on_the_node, made, 2) == [
        ("duplicate", "/interfaces/i/addresses/a1"),
        ("duplicate", "/interfaces/i/name"),
    ]
    assert found(_nic.once_on_the_node, snapshot(body("192.0.2.5/24"), body("192.0.2.6/24", interface="other")), 2) == []


def test_interfaces_in_overlapping_networks_are_worth_a_warning() -> None:
    vlan = {"addresses": {"@order": ["x"], "x": "192.0.2.200/25"}, "name": "guests", "vlantag": 20}
    [problem] = _nic.overlap(snapshot(body("192.0.2.5/24", "2001:db8::5/64", vlan=vlan)), Place(PATHS[0]))
    assert (problem.code, problem.pointer, problem.path) == ("overlap", "/interfaces/vlan/addresses", PATHS[0])
    [problem] = _nic.overlap(snapshot(body("192.0.2.5/24"), body("192.0.0.1/16", interface="other")), Place(PATHS[0]))
    assert problem.path == PATHS[1]
    assert found(_nic.overlap, snapshot(body("192.0.2.5/24", "192.0.2.6/24"), body("192.0.3.5/24", interface="other"))) == []


def referring(made: Snapshot, key: str) -> Snapshot:
    """The configuration with another endpoint that refers to an address."""
    node: Singleton[Any] = Singleton(model=Reading, default=constant(key))
    return made.put(USER, node.load(key))


def test_an_address_that_is_used_stays() -> None:
    made = referring(snapshot(NIC), KEY)
    candidate = Candidate.on(Running(1, "", made))
    other = {**deepcopy(NIC)}
    other["interfaces"]["one"]["addresses"] = {"@order": ["b"], "b": "192.0.2.5/24"}
    with pytest.raises(SemanticError) as caught:
        NIC1.node.replace(candidate, "", other, strict=False)
    [problem] = caught.value.problems
    assert (problem.code, problem.pointer, problem.path) == ("referenced", "/interfaces", PATHS[0])
    assert USER.href in problem.message
    assert not candidate.changed
    # It came to be used after the write: the commit says it.
    late = snapshot(other)
    late = referring(late, KEY)
    assert ("referenced", "/interfaces") in found(_nic.in_use, late)


def test_an_address_that_is_used_may_get_another_text() -> None:
    made = referring(snapshot(NIC), KEY)
    candidate = Candidate.on(Running(1, "", made))
    other = deepcopy(NIC)
    other["interfaces"]["one"]["addresses"] = {"@order": ["a"], "a": "198.51.100.5/24"}
    assert NIC1.node.replace(candidate, "", other, strict=False) == ()
    assert _addresses.address_of(candidate.snapshot, KEY) == ipaddress.ip_interface("198.51.100.5/24")
    assert check_rules(TREE, candidate.snapshot, ()).problems == ()


def test_addresses_come_with_the_keys_of_references_to_them() -> None:
    made = snapshot(NIC, body("198.51.100.5/24", name="eth1", interface="second"))
    assert _addresses.addresses(made) == [
        ("nic1.interfaces.one.addresses.a", ipaddress.ip_interface("192.0.2.5/24")),
        ("nic1.interfaces.one.addresses.b", ipaddress.ip_interface("2001:db8::5/64")),
        ("nic2.interfaces.i.addresses.a0", ipaddress.ip_interface("198.51.100.5/24")),
    ]
    assert all(_addresses.address_of(made, key) == address for key, address in _addresses.addresses(made))
    for key in ("nic1.interfaces.one.addresses.c", "nic1.interfaces.x.addresses.a", "nic4.interfaces.one.addresses.a"):
        with pytest.raises(KeyError):
            _addresses.address_of(made, key)


@pytest.mark.parametrize(
    ("listen", "addresses"),
    [
        ("127.0.0.1", ["127.0.0.1/8"]),
        ("127.0.0.7", ["127.0.0.7/8"]),
        ("localhost", ["127.0.0.1/8"]),
        ("::1", ["::1/128"]),
        ("192.0.2.9", ["192.0.2.9/24"]),
        ("203.0.113.1", ["203.0.113.1/32"]),
        ("0.0.0.0", ["127.0.0.1/8", "::1/128", "192.0.2.9/24"]),  # noqa: S104 - nothing listens
    ],
)
def test_a_sandbox_starts_with_the_address_it_listens_on(
    listen: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lo = psutil.net_if_addrs()["lo"]
    other = lo[0]._replace(address="192.0.2.9", netmask="255.255.255.0")
    local = lo[0]._replace(address="169.254.1.1", netmask="255.255.0.0")
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: {"lo": lo, "eth0": [other, local]})
    machine = Machine("sandbox", listen)
    made = TREE.defaults(machine)
    first = _addresses.addresses(made)
    assert [str(address) for _, address in first] == addresses
    assert _addresses.first_addresses(machine) == first
    assert _addresses.listening(machine) == [key for key, _ in first]
    value = made.value(PATHS[0])
    assert (value["name"], value["interfaces"]["@order"] != []) == ("sandbox0", True)
    assert [made.value(path)["name"] for path in PATHS[1:]] == [None, None]
    assert check_rules(TREE, made, ()).problems == ()


def test_a_name_that_leads_nowhere_gives_no_address() -> None:
    machine = Machine("sandbox", "nowhere.invalid")
    assert _addresses.first_addresses(machine) == []
    assert _addresses.listening(machine) == []


def test_a_system_starts_with_what_the_kernel_has(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ipaddress.ip_interface("192.0.2.5/24"), ipaddress.ip_interface("198.51.100.5/24")
    devices = [FoundNic("eth0", ((0, (one,)), (20, (two,)))), *(FoundNic(f"eth{index}") for index in (1, 2, 3))]
    monkeypatch.setattr(host_nics, "read_nics", lambda: devices)
    machine = Machine("system", "192.0.2.5")
    made = TREE.defaults(machine)
    value = made.value(PATHS[0])
    interfaces = [value["interfaces"][key] for key in value["interfaces"]["@order"]]
    assert [(interface["name"], interface["vlantag"]) for interface in interfaces] == [("eth0", 0), ("eth0.20", 20)]
    assert [made.value(path)["name"] for path in PATHS] == ["eth0", "eth1", "eth2"]
    assert [address for _, address in _addresses.addresses(made)] == [one, two]
    assert _addresses.listening(machine) == [_addresses.addresses(made)[0][0]]
    assert _addresses.listening(Machine("system", "127.0.0.1")) == []
    for path in PATHS:
        assert all(not list(rule(made, Place(path))) for rule in TREE[path].node.rules)
    assert TREE.defaults(machine) == made, "ids are the same each time"
    assert made.value(NICS + "/nic1")["speed"] == "auto"
