"""Whether everything that one rule matches is matched by another one too. Pure; no endpoint."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Sequence
from itertools import product
from typing import Any, TypeVar

from pydantic import BaseModel

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_T = TypeVar("_T")

_GROUPS = ("gateway_groups", "remote_groups", "execs", "subsystems")
_NETWORKS = ("clients", "servers")


def networks(texts: Iterable[str]) -> list[Network]:
    """Return networks without host bits."""
    return [ipaddress.ip_network(text, strict=False) for text in texts]


def all_within(inner: Iterable[Network], outer: Collection[Network]) -> bool:
    """Whether every address of the first networks is in one of the second ones."""
    return all(_is_covered(one, outer) for one in inner)


def _is_covered(one: Network, outer: Collection[Network]) -> bool:
    if one in outer or any(_is_within(one, other) for other in outer):
        return True
    parts = [other for other in outer if _is_within(other, one)]
    if sum(part.num_addresses for part in parts) < one.num_addresses:
        return False
    version: Any = type(one)
    return one in ipaddress.collapse_addresses([version(part) for part in parts])


class Taken:
    """Which clients earlier policies take, at which addresses and ports."""

    def __init__(self) -> None:
        self._clients: dict[int, dict[Network, set[Network]]] = {}

    def add(self, ports: Iterable[int], targets: Iterable[Network], clients: Iterable[Network]) -> None:
        """Take clients from now on."""
        for port, target in product(ports, targets):
            self._clients.setdefault(port, {}).setdefault(target, set()).update(clients)

    def has_all(self, port: int, target: Network, clients: Iterable[Network]) -> bool:
        """Whether all of these clients are taken at a port of every address of a network."""
        found: set[Network] = set()
        for wider, taken in self._clients.get(port, {}).items():
            if _is_within(target, wider):
                found |= taken
        return all_within(clients, found)


def _is_within(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


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
