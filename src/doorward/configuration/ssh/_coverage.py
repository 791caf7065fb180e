"""Whether everything that one rule matches is matched by another one too. Pure; no endpoint."""

from __future__ import annotations

import ipaddress
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, product
from typing import Any, TypeVar

from pydantic import BaseModel

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_T = TypeVar("_T")

_GROUPS = ("gateway_groups", "remote_groups", "execs", "subsystems")
_NETWORKS = ("clients", "servers")


def networks(texts: Iterable[str]) -> list[Network]:
    """Return networks without host bits."""
    return [ipaddress.ip_network(text, strict=False) for text in texts]


Span = tuple[int, int, int]
"""All addresses from one to another one, both included: version, first, last. Far quicker to compare than networks."""


def span(network: Network) -> Span:
    """Return the addresses of a network."""
    return network.version, int(network.network_address), int(network.broadcast_address)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same addresses in order, in as few spans as can be."""
    found: list[Span] = []
    for version, first, last in sorted(spans):
        if found and found[-1][0] == version and first <= found[-1][2] + 1:
            found[-1] = version, found[-1][1], max(last, found[-1][2])
        else:
            found.append((version, first, last))
    return found


def are_within(inner: Iterable[Span], outer: Sequence[Span]) -> bool:
    """Whether all addresses of some spans are among those of others, which are merged."""
    return all(_is_within(one, outer) for one in inner)


def _is_within(one: Span, outer: Sequence[Span]) -> bool:
    version, first, last = one
    at = bisect_right(outer, (version, first, 1 << 128)) - 1
    return at >= 0 and outer[at][0] == version and outer[at][1] <= first and last <= outer[at][2]


def all_within(inner: Iterable[Network], outer: Iterable[Network]) -> bool:
    """Whether every address of the first networks is in one of the second ones."""
    return are_within(map(span, inner), merged(map(span, outer)))


class Taken:
    """Which clients earlier policies take, at which addresses and ports."""

    def __init__(self) -> None:
        self._clients: dict[int, dict[Span, list[Span]]] = {}

    def add(self, ports: Iterable[int], targets: Sequence[Span], clients: Sequence[Span]) -> None:
        """Take clients from now on."""
        for port, target in product(ports, targets):
            there = self._clients.setdefault(port, {})
            there[target] = merged([*there.get(target, ()), *clients])

    def has_all(self, port: int, target: Span, clients: Iterable[Span]) -> bool:
        """Whether all of these clients are taken at a port of every address of a network."""
        found = [taken for wider, taken in self._clients.get(port, {}).items() if _is_within(target, [wider])]
        return are_within(clients, found[0] if len(found) == 1 else merged(chain.from_iterable(found)))


def covers(earlier: BaseModel, later: BaseModel) -> bool:
    """Whether a rule of a channel policy matches whatever another one of the same channel matches.

    An empty list restricts nothing. Says no where it can't tell, as of regular expressions that are not the same.
    """
    one, other = (_members(rule) for rule in (earlier, later))
    if one["time_policy"] not in {"-100", other["time_policy"]}:
        return False
    if not all(_lists_within(other[name], one[name]) for name in _GROUPS if name in one):
        return False
    if not all(_networks_within(other[name], one[name]) for name in _NETWORKS):
        return False
    if "networks" in one and not _networks_within(*([entry["value"] for entry in rule["networks"]] for rule in (other, one))):
        return False
    forwards = next((name for name in one if name.endswith("_forwards")), None)
    return forwards is None or not one[forwards] or (bool(other[forwards]) and all(f in one[forwards] for f in other[forwards]))


def _members(rule: BaseModel) -> dict[str, Any]:
    return rule.model_dump(mode="json")


def _lists_within(later: Sequence[_T], earlier: Sequence[_T]) -> bool:
    return not earlier or (bool(later) and set(later) <= set(earlier))


def _networks_within(later: Sequence[str], earlier: Sequence[str]) -> bool:
    return not earlier or (bool(later) and all_within(networks(later), networks(earlier)))
