"""Addresses of the node's network interfaces, as other endpoints refer to them.

A reference has the key ``nic1.interfaces.<id>.addresses.<id>``. The ids of the first configuration follow from device and
address, so that the defaults of other endpoints can name them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from doorward.host.drivers.netlink import FoundNic, Interface
from doorward.host.machine import Machine
from doorward.host.nics import WILDCARDS, found_nics, resolved
from doorward.tree.changes import ORDER
from doorward.tree.references import Reference, RefersToPart
from doorward.tree.snapshot import Snapshot

NICS = "/api/configuration/network/nics"
NAMES = ("nic1", "nic2", "nic3")
PATHS = tuple(f"{NICS}/{name}" for name in NAMES)

InterfaceAddress = Annotated[Reference, RefersToPart(NICS, steps=("interfaces", None, "addresses", None))]
"""A reference to an address of a network interface."""

_ID_LENGTH = 22


def address_of(snapshot: Snapshot, key: str) -> Interface:
    """Return the address that a reference's key stands for. Raises KeyError where there is none."""
    nic, interfaces, interface, addresses, address = key.split(".")
    if (interfaces, addresses) != ("interfaces", "addresses"):
        raise KeyError(key)
    body = snapshot.value(f"{NICS}/{nic}")
    return ipaddress.ip_interface(body["interfaces"][interface]["addresses"][address])


def addresses(snapshot: Snapshot) -> list[tuple[str, Interface]]:
    """Return every address of the node with the key of a reference to it, in order."""
    return [found for name in NAMES for found in addresses_in(name, snapshot.value(f"{NICS}/{name}"))]


def addresses_in(name: str, body: dict[str, Any]) -> Iterator[tuple[str, Interface]]:
    """Yield the addresses in the body of one NIC with the keys of references to them, in order."""
    for interface, text in ordered(body["interfaces"]):
        for address, value in ordered(text["addresses"]):
            yield f"{name}.interfaces.{interface}.addresses.{address}", ipaddress.ip_interface(value)


def ordered(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the entries of an ordered map."""
    for key in members[ORDER]:
        yield key, members[key]


def first_addresses(machine: Machine) -> list[tuple[str, Interface]]:
    """Return what ``addresses`` gives for the first configuration of a machine."""
    return [found for name, nic in zip(NAMES, found_nics(machine), strict=False) for found in addresses_in(name, first_body(nic))]


def listening(machine: Machine) -> list[str]:
    """Return the keys of the first addresses on which ``--listen`` accepts: the one it names, or all of a wildcard.

    None where it names an address that is on no NIC, such as the loopback address of a system host.
    """
    first = first_addresses(machine)
    if machine.host in WILDCARDS:
        return [key for key, _ in first]
    wanted = resolved(machine.host)
    return [key for key, address in first if address.ip in wanted]


def first_body(nic: FoundNic) -> dict[str, Any]:
    """Return the body of a NIC as it was found on the machine."""
    interfaces: dict[str, Any] = {ORDER: []}
    for tag, found in nic.addresses:
        texts = {_id(f"{nic.device}.{tag}/{address}"): str(address) for address in found}
        key = _id(f"{nic.device}.{tag}")
        interfaces[ORDER].append(key)
        interfaces[key] = {"addresses": {ORDER: list(texts), **texts}, "name": _name(nic.device, tag), "vlantag": tag}
    return {"interfaces": interfaces, "name": nic.device, "speed": "auto"}


def _name(device: str, tag: int) -> str:
    return f"{device}.{tag}" if tag else device


def _id(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()[:_ID_LENGTH]
