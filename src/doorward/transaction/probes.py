"""What is known, when a commit answers, of the time servers that it adds (time contract, section 1, checks 7 and 8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorward.host.ntp_probe import Prober, ProbeResult
from doorward.store.port import Edit
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Valued
from doorward.tree.problems import Problem
from doorward.tree.registry import Tree

FAR_SECONDS = 10.0
_UNSYNCHRONISED_STRATA = {0, 16}
_LEAP_UNKNOWN = 3


def probe_warnings(tree: Tree, edits: Iterable[Edit], prober: Prober) -> Iterator[Problem]:
    """Yield warnings about added hosts whose probe has ended. Never waits."""
    for edit in edits:
        node = tree[edit.place.path].node
        if not isinstance(node, Valued) or node.probe is None or edit.new is None:
            continue
        for at, host in node.probe(decode_own(edit.old) if edit.old else [], decode_own(edit.new)):
            result = prober.known(host)
            if result is not None and (found := _judged(host, result)) is not None:
                yield Problem(found[0], found[1], at, edit.place.href)


def _judged(host: str, result: ProbeResult) -> tuple[str, str] | None:
    if not result.resolved:
        return "unresolved_name", f"{host} does not resolve yet; the daemon goes on trying."
    if not result.answered:
        return "no_answer", f"{host} did not answer within 2 s."
    if result.stratum in _UNSYNCHRONISED_STRATA or result.leap == _LEAP_UNKNOWN:
        return "unsynchronised", f"{host} says that it is not synchronised."
    if result.offset_seconds is not None and abs(result.offset_seconds) > FAR_SECONDS:
        return "far_off", f"{host} differs from this node's clock by {result.offset_seconds:.0f} s."
    return None
