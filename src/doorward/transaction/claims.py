"""The addresses and ports that a configuration wants: one rule over the claims of all nodes."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.host.claims import Claim, conflicts
from doorward.tree.problems import Problem
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot


def claims(tree: Tree, snapshot: Snapshot) -> Iterator[Claim]:
    """Yield what the services want."""
    for endpoint in tree.claiming:
        if endpoint.node.claims:
            yield from endpoint.node.claims(snapshot)


def port_conflicts(tree: Tree, snapshot: Snapshot) -> Iterator[Problem]:
    """Refuse an address and port that two services want, unless they may share it; told of the one with less right to it."""
    for claim, earlier in conflicts(claims(tree, snapshot)):
        message = f"{claim.address} port {claim.port} is also wanted by {earlier.path}#{earlier.pointer[1:]}."
        yield Problem("port_conflict", message, claim.pointer, claim.path)
