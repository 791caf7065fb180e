"""What counts as one client where somebody may have many addresses, and which client has the most of something."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable


def source_of(address: str) -> str:
    """Return what counts as one source: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def busiest_source(sources: Iterable[str]) -> str:
    """Return the source that is there most often, of several the one that came first."""
    return Counter(sources).most_common(1)[0][0]
