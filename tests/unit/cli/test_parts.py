"""References to addresses of network interfaces are addresses for people."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from doorward.cli import parts
from doorward.cli.describe import plan
from doorward.configuration.network._addresses import InterfaceAddress
from doorward.configuration.network._nics import NICS
from doorward.tree.references import RefersToPart
from tests.unit.cli.present import Memory, tree

NIC1, NIC2 = f"{NICS}/nic1", f"{NICS}/nic2"
WEB = "/api/configuration/local_services/admin_web"
[TO] = InterfaceAddress.__metadata__  # type: ignore[attr-defined]


def nic(*addresses: str, name: str = "sandbox0") -> dict[str, Any]:
    entries = {f"a{address.split('/')[0].rpartition('.')[2]}": address for address in addresses}
    interface = {"addresses": {"@order": list(entries), **entries}, "name": name, "vlantag": 0}
    return {"interfaces": {"@order": ["i"], "i": interface}, "name": name, "speed": "auto"}


@pytest.fixture
def present() -> Memory:
    found = Memory.fresh()
    found.values[NIC1] = nic("127.0.0.1/8", "127.0.0.2/8")
    found.values[WEB] = web("nic1.interfaces.i.addresses.a1")
    return found


def web(address: str) -> dict[str, Any]:
    return {"access_restriction": {"enabled": False}, "listen": [{"address": address, "http_port": None, "https_port": 8443}]}


def described(*, address: str, nic1: Any = None) -> dict[str, Any]:
    network = {"network": {"nics": {"nic1": nic1}}} if nic1 else {}
    return {"local_services": {"admin_web": web(address)}, **network}


def requests(present: Memory, description: Any) -> list[tuple[str, Any]]:
    made = plan(tree(), present, description)
    assert made.problems == ()
    return [(request.path, request.value) for request in made.requests]


def test_addresses_are_found_by_key_and_by_name(present: Memory) -> None:
    assert isinstance(TO, RefersToPart)
    present.values[NIC2] = nic("192.0.2.2/24", name="eth1")
    found = parts.names(tree(), TO, present.value)
    assert found == {
        "nic1.interfaces.i.addresses.a1": "127.0.0.1",
        "nic1.interfaces.i.addresses.a2": "127.0.0.2",
        "nic2.interfaces.i.addresses.a2": "192.0.2.2",
    }
    assert parts.key_of(found, "127.0.0.2") == parts.key_of(found, "127.0.0.2/8") == "nic1.interfaces.i.addresses.a2"
    assert parts.key_of(found, "nic1.interfaces.i.addresses.a1") == "nic1.interfaces.i.addresses.a1"
    assert parts.key_of(found, "127.0.0.3") is None
    assert parts.key_of({**found, "x": "127.0.0.1"}, "127.0.0.1") is None, "which one is not clear"


def test_an_address_stands_for_its_key(present: Memory) -> None:
    assert requests(present, described(address="127.0.0.1")) == []
    assert requests(present, described(address="127.0.0.2")) == [(WEB, web("nic1.interfaces.i.addresses.a2"))]
    assert requests(present, described(address="203.0.113.1")) == [(WEB, web("203.0.113.1"))], "for the server to judge"


def test_an_address_that_comes_is_made_before_it_is_used(present: Memory) -> None:
    more = nic("127.0.0.1/8", "127.0.0.2/8", "127.0.0.3/8")
    assert requests(present, described(address="127.0.0.3", nic1=more)) == [
        (NIC1, more),
        (WEB, web("nic1.interfaces.i.addresses.a3")),
    ]


def test_an_address_that_goes_is_left_first(present: Memory) -> None:
    fewer = copy.deepcopy(nic("127.0.0.2/8"))
    assert [path for path, _ in requests(present, described(address="127.0.0.2", nic1=fewer))] == [WEB, NIC1]
