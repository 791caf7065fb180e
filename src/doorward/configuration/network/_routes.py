"""Which interface a gateway is in reach of."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration.network._nics import NIC
from doorward.tree.described import At
from doorward.tree.fields import Ip, bad_format
from doorward.tree.models import Interrelated, wrong
from doorward.tree.snapshot import Snapshot

ROUTING = "/api/configuration/network/routing"


def target(value: str) -> str:
    """Return a network in canonical form. Refuses host bits."""
    try:
        if "%" in value or not value.rpartition("/")[2].isdecimal() or "/" not in value:
            raise ValueError
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise bad_format("Must be a network without host bits, such as 10.0.0.0/8.") from None


class StaticRoute(Interrelated):
    """One network and the gateway to it."""

    gateway: Ip = Field(description="Address of the router, in the network of an interface.", examples=["192.0.2.1"])
    target_network: Annotated[str, StringConstraints(max_length=64), AfterValidator(target)] = Field(
        description="Network in CIDR notation without host bits; 0.0.0.0/0 and ::/0 are everything else.", examples=["0.0.0.0/0"]
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Gateway and network are both IPv4 or both IPv6."""
        gateway, network = sent.get("gateway"), sent.get("target_network")
        if not isinstance(gateway, str) or not isinstance(network, str):
            return
        try:
            versions = ipaddress.ip_address(gateway).version, ipaddress.ip_network(network).version
        except ValueError:
            return
        if len(set(versions)) > 1:
            yield wrong("contradiction", "The gateway of an IPv4 network is IPv4, that of an IPv6 network IPv6.", "gateway")


ROUTES: At[list[StaticRoute]] = At(ROUTING, list[StaticRoute])

Way = tuple[str, int]
"""The path of a NIC and a VLAN tag on it; 0 is untagged."""


def way_to(snapshot: Snapshot, gateway: str) -> Way | None:
    """Return the interface in whose network a gateway is, the narrowest of several; None where it is out of reach."""
    wanted = ipaddress.ip_address(gateway)
    found = [
        (network.prefixlen, (at.path, interface.tag))
        for at in NIC
        for interface in snapshot.read(at).interfaces.values()
        for network in interface.networks
        if wanted in network
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def routes_by_interface(snapshot: Snapshot) -> dict[Way, list[tuple[str, str]]]:
    """Return the routes of ``network/routing``, (target, gateway), by the interface that they lead through."""
    found: dict[Way, list[tuple[str, str]]] = {}
    for route in snapshot.read(ROUTES):
        way = way_to(snapshot, route.gateway)
        if way is not None:
            found.setdefault(way, []).append((route.target_network, route.gateway))
    return found
