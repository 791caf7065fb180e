"""Addresses of the node's network interfaces, as other endpoints refer to them.

A reference has the key ``nic1.interfaces.<id>.addresses.<id>``. The ids of the first configuration follow from device and
address, so that the defaults of other endpoints can name them.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from doorward.configuration.network._nics import NAMES, NIC, NICS, Nic
from doorward.host.drivers.netlink import FoundNic, Interface
from doorward.host.machine import Machine
from doorward.host.nics import WILDCARDS, found_nics, resolved
from doorward.tree.changes import ORDER
from doorward.tree.references import Reference, RefersToPart
from doorward.tree.snapshot import Snapshot

InterfaceAddress = Annotated[Reference[Any], RefersToPart(NICS, steps=("interfaces", None, "addresses", None))]
"""A reference to an address of a network interface."""

_ID_LENGTH = 22


def address_of(snapshot: Snapshot, key: str) -> Interface:
    """Return the address that a reference's key stands for. Raises KeyError where there is none."""
    nic, interfaces, interface, addresses, address = key.split(".")
    if (interfaces, addresses) != ("interfaces", "addresses"):
        raise KeyError(key)
    found = snapshot.read(dict(zip(NAMES, NIC, strict=True))[nic])
    return ipaddress.ip_interface(found.interfaces[interface].addresses[address])


def ip_of(snapshot: Snapshot, reference: Reference[Any]) -> str | None:
    """Return the address that a reference stands for, without its prefix; None where there is none, which no commit accepts."""
    try:
        return str(address_of(snapshot, reference.text).ip)
    except KeyError:
        return None


def addresses(snapshot: Snapshot) -> list[tuple[str, Interface]]:
    """Return every address of the node with the key of a reference to it, in order."""
    return [found for name, at in zip(NAMES, NIC, strict=True) for found in addresses_in(name, snapshot.read(at))]


def addresses_in(name: str, nic: Nic) -> Iterator[tuple[str, Interface]]:
    """Yield the addresses of one NIC with the keys of references to them, in order."""
    for key, interface in nic.interfaces.items():
        for address, value in interface.addresses.items():
            yield f"{name}.interfaces.{key}.addresses.{address}", ipaddress.ip_interface(value)


def first_addresses(machine: Machine) -> list[tuple[str, Interface]]:
    """Return what ``addresses`` gives for the first configuration of a machine."""
    return [found for name, nic in zip(NAMES, found_nics(machine), strict=False) for found in addresses_in(name, _first(nic))]


def listening(machine: Machine) -> list[str]:
    """Return the keys of the first addresses on which ``--listen`` accepts: the one it names, or all of a wildcard.

    None where it names an address that is on no NIC, such as the loopback address of a system host.
    """
    first = first_addresses(machine)
    if machine.host in WILDCARDS:
        return [key for key, _ in first]
    wanted = resolved(machine.host)
    return [key for key, address in first if address.ip in wanted]


def _first(nic: FoundNic) -> Nic:
    return NIC[0].parse(first_body(nic))


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
