"""Who may write what on a managed host: scope ``cluster`` comes from Central Management (configuration contract, section 1.6)."""

from __future__ import annotations

from collections.abc import Iterable

from doorward.membership.cluster_role import cluster_role
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot


def from_central_management(tree: Tree, snapshot: Snapshot, places: Iterable[Place]) -> list[Problem]:
    """Return a problem for each place that is not this node's to write."""
    known = cluster_role(snapshot)
    if not known.managed:
        return []
    message = f"Set by Central Management at {known.central_addresses[0]}."
    return [
        Problem("from_central_management", message, "", place.href)
        for place in places
        if tree[place.path].node.scope == "cluster"
    ]
