"""The addresses of this node as far as SSH goes: where policies listen, and what is no target. No endpoint."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from doorward.configuration.network._addresses import addresses
from doorward.configuration.ssh._coverage import networks
from doorward.tree.snapshot import Snapshot

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_KEY = "ssh own addresses"


def own_addresses(snapshot: Snapshot) -> tuple[Ip, ...]:
    """Return the addresses of the node's network interfaces, in order."""
    found: tuple[Ip, ...] | None = snapshot.memo.get(_KEY)
    if found is None:
        found = snapshot.memo[_KEY] = tuple(dict.fromkeys(address.ip for _, address in addresses(snapshot)))
    return found


def own_in(snapshot: Snapshot, targets: list[str]) -> Iterator[Ip]:
    """Yield the addresses of the node that lie in some networks."""
    within = networks(targets)
    for address in own_addresses(snapshot):
        if any(address in network for network in within):
            yield address
