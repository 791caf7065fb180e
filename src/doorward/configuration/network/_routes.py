"""Which interface a gateway is in reach of."""

from __future__ import annotations

import ipaddress
from typing import Any

from doorward.configuration.network._addresses import PATHS, ordered
from doorward.tree.snapshot import Snapshot

ROUTING = "/api/configuration/network/routing"

Way = tuple[str, int]
"""The path of a NIC and a VLAN tag on it; 0 is untagged."""


def way_to(snapshot: Snapshot, gateway: str) -> Way | None:
    """Return the interface in whose network a gateway is, the narrowest of several; None where it is out of reach."""
    wanted = ipaddress.ip_address(gateway)
    found = [
        (network.prefixlen, (path, interface["vlantag"]))
        for path in PATHS
        for _, interface in ordered(snapshot.value(path)["interfaces"])
        for network in _networks(interface)
        if wanted in network
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


def routes_by_interface(snapshot: Snapshot) -> dict[Way, list[tuple[str, str]]]:
    """Return the routes of ``network/routing``, (target, gateway), by the interface that they lead through."""
    found: dict[Way, list[tuple[str, str]]] = {}
    for route in snapshot.value(ROUTING):
        way = way_to(snapshot, route["gateway"])
        if way is not None:
            found.setdefault(way, []).append((route["target_network"], route["gateway"]))
    return found


def _networks(interface: dict[str, Any]) -> list[Any]:
    return [ipaddress.ip_interface(text).network for _, text in ordered(interface["addresses"])]
