"""Which network devices a fresh appliance finds, with their addresses: what its first configuration is filled from."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import psutil

from doorward.host.drivers.netlink import FoundNic, Interface, read_nics, read_routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from doorward.host.machine import Machine

COUNT = 3
"""How many devices the configuration has room for."""

SANDBOX = "sandbox0"
"""The one device of a sandbox; no machine has it."""

WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what is listened on is not decided here
"""What ``--listen`` takes for "every address"."""


def found_nics(machine: Machine) -> Sequence[FoundNic]:
    """Return the devices of the machine: those of the kernel; in a sandbox one that carries ``--listen``."""
    if machine.kind == "system":
        return read_nics()
    return (FoundNic(SANDBOX, ((0, tuple(_listening(machine.host))),)),)


def _listening(host: str) -> Iterable[Interface]:
    """Return the addresses on which a sandbox listens, each with the network that the machine has it in."""
    known = {found.ip: found for found in machine_addresses()}
    if host in WILDCARDS:
        return known.values()
    return [known.get(address, _alone(address)) for address in resolved(host)]


def resolved(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Return the address that a ``--listen`` host stands for; none where a name leads nowhere."""
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        pass
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return [ipaddress.ip_address(socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)[0][4][0])]
    except (OSError, ValueError):
        return []


def machine_addresses() -> list[Interface]:
    """Return every address of the machine that does not need a zone, loopback first."""
    found: dict[Interface, None] = {}
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6) and address.netmask and "%" not in address.address:
                found[ipaddress.ip_interface(f"{address.address}/{_prefix(address.netmask)}")] = None
    return sorted((one for one in found if not one.ip.is_link_local), key=_loopback_first)


def _prefix(netmask: str) -> int:
    return int(ipaddress.ip_address(netmask)).bit_count()


def _loopback_first(address: Interface) -> tuple[bool, int, int]:
    return not address.ip.is_loopback, address.version, int(address.ip)


def _alone(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Interface:
    """Return an address that the machine does not list; it has all of 127.0.0.0/8."""
    prefix = 8 if address.version == 4 and address.is_loopback else address.max_prefixlen  # noqa: PLR2004 - IPv4
    return ipaddress.ip_interface(f"{address}/{prefix}")


def found_routes(machine: Machine) -> list[tuple[str, str]]:
    """Return (target, gateway) of the static routes of the machine; none in a sandbox, which sets none."""
    return read_routes() if machine.kind == "system" else []
