"""Who gets which address and port of those that services want."""

from __future__ import annotations

from collections.abc import Hashable

from doorward.host.claims import Claim, conflicts, listeners
from doorward.host.resources import AccessRule, ServerCertificate

SHOWN = ServerCertificate("a certificate", "a key", "a fingerprint")


def claim(
    path: str, port: int = 22, rank: int = 3, shared: Hashable = None, *, address: str = "192.0.2.1", shows: bool = False
) -> Claim:
    return Claim(
        address=address, port=port, rule=AccessRule(path[1:2], (f"{address}/32",)), path=path, pointer="/port", rank=rank,
        shared=shared, shows=SHOWN if shows else None,
    )  # fmt: skip


def told(*claims: Claim) -> list[tuple[str, str]]:
    return [(one.path, earlier.path) for one, earlier in conflicts(claims)]


def test_an_address_and_port_has_one_service() -> None:
    assert told(claim("/a"), claim("/b", 23), claim("/c", address="192.0.2.2")) == []
    assert told(claim("/a"), claim("/b"), claim("/c")) == [("/b", "/a"), ("/c", "/a"), ("/c", "/b")]


def test_the_lowest_rank_has_it_whoever_comes_first() -> None:
    assert told(claim("/sessions"), claim("/admin", rank=0)) == [("/sessions", "/admin")]
    [one] = listeners([claim("/sessions"), claim("/admin", rank=0)])
    assert (one.origin, [rule.service for rule in one.rules]) == ("/admin", ["a"])


def test_what_is_shared_is_shared_with_other_paths_alone() -> None:
    assert told(claim("/a", shared="ssh"), claim("/b", shared="ssh")) == []
    assert told(claim("/a", shared="ssh"), claim("/a", shared="ssh")) == [("/a", "/a")]
    assert told(claim("/a", shared="ssh"), claim("/b", shared="web")) == [("/b", "/a")]
    assert told(claim("/a", shared="ssh"), claim("/b")) == [("/b", "/a")]


def test_a_listener_has_the_rules_of_all_that_share_it_in_order() -> None:
    first, second, out = claim("/b", shared="x", shows=True), claim("/a", shared="x", shows=True), claim("/c")
    other = claim("/d", 23)
    one, another = listeners([first, second, out, other])
    assert one.rules == (first.rule, second.rule)
    assert (one.name, one.shows, one.origin) == ("192.0.2.1:22", SHOWN, "/b")
    assert (another.name, another.rules, another.shows) == ("192.0.2.1:23", (other.rule,), None)
