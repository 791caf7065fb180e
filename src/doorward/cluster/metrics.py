"""The metrics of a cluster, as one of its nodes sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from doorward.areas.area import Metric
from doorward.cluster import statuses


def metrics(items: Sequence[dict[str, Any]], lost_seconds: float | None, errors: int) -> Iterator[Metric]:
    """Yield how the nodes are and how far they follow, and how this one does as a member.

    ``items``: the statuses of other nodes on Central Management; ``errors``: for how many reasons this one does not follow.
    """
    about = "Other nodes of the cluster, on Central Management, by how they do."
    counted = Counter(item["status"] for item in items)
    for status in get_args(statuses.StatusWord):
        yield Metric("doorward_cluster_nodes", about, counted[status], {"status": status})
    about = "Other nodes of the cluster, on Central Management, by how far they follow its configuration."
    counted = Counter(item["sync_status"] for item in items)
    for status in get_args(statuses.SyncWord):
        yield Metric("doorward_cluster_sync_nodes", about, counted[status], {"sync_status": status})
    about = "For how long Central Management has not answered; 0: it does, or there is none."
    yield Metric("doorward_cluster_central_lost_seconds", about, lost_seconds or 0)
    about = "Errors for which this node does not follow Central Management."
    yield Metric("doorward_cluster_node_errors", about, errors)
