"""What services want to listen on: addresses and ports, of which each belongs to one of them. Pure.

The nodes of the configuration declare their claims; from all of them together follow both the conflicts and the listeners.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from msgspec import Struct

from doorward.host.resources import AccessRule, Listener, ServerCertificate, ShownHostKey


class Claim(Struct, frozen=True, kw_only=True):
    """A service wants a TCP port of an IP address, for the clients of a rule."""

    address: str
    port: int
    rule: AccessRule
    path: str
    """Where that is configured: a node, or an object of it."""
    pointer: str
    """Where in its body the port or, failing that, the address stands."""
    rank: int
    """Who has the port in a conflict: the lowest. Of two with the same rank it is the one that comes first."""
    shared: Hashable = None
    """Claims of different paths that have an equal value here may have the same address and port; None is never shared."""
    shows: ServerCertificate | None = None
    """What TLS clients get to see; None: the service has its own, or speaks no TLS."""
    https_port: int = 0
    """Where a port that only redirects leads to; 0: it does not."""
    host_keys: tuple[ShownHostKey, ...] = ()
    """What SSH clients get to see. Of services that share a port clients see those of one or the other."""

    def shares_with(self, other: Claim) -> bool:
        """Whether another service may have the same address and port."""
        return self.shared is not None and self.shared == other.shared and self.path != other.path


def conflicts(claims: Iterable[Claim]) -> Iterator[tuple[Claim, Claim]]:
    """Yield each claim that can't be met, with the one that was there before it."""
    taken: dict[tuple[str, int], list[Claim]] = {}
    for claim in _by_rank(claims):
        there = taken.setdefault((claim.address, claim.port), [])
        for earlier in there:
            if not claim.shares_with(earlier):
                yield claim, earlier
        there.append(claim)


def listeners(claims: Iterable[Claim]) -> Iterator[Listener]:
    """Yield the listeners of all services, one for each address and port. Who is in conflict with the first has none."""
    found: dict[tuple[str, int], list[Claim]] = {}
    for claim in _by_rank(claims):
        wanted = found.setdefault((claim.address, claim.port), [])
        if not wanted or claim.shares_with(wanted[0]):
            wanted.append(claim)
    for (address, port), wanted in found.items():
        first = wanted[0]
        rules = tuple(dict.fromkeys(claim.rule for claim in wanted))
        keys = tuple(dict.fromkeys(key for claim in wanted for key in claim.host_keys))
        yield Listener(address, port, rules, first.shows, first.https_port, first.path, keys)


def _by_rank(claims: Iterable[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: claim.rank)
