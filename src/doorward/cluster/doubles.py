"""Two machines with one identity: the copy of a member's machine runs beside it, and both report as the same node.

Each process of a node makes up an instance when it starts, and counts its reports. One instance follows another where a node was
restarted, and never comes back; where it does, or where a count does not go up (the copy was made of a machine that ran), two
machines take turns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from doorward.cluster.statuses import NodeReport

WINDOW_SECONDS = 60.0
"""So long signs count; a node reports every 10 s."""
SIGNS = 2
"""One alone can be a report that was overtaken by a restart."""
_MAX_INSTANCES = 8


@dataclass(slots=True)
class _Node:
    instance: str
    sequence: int
    where: dict[str, str]
    """What the instances said of where they are, the one that reported last at the end."""
    signs: deque[float] = field(default_factory=lambda: deque(maxlen=SIGNS))


class Doubles:
    """Counts the signs. Times are those of a clock that nobody sets; the caller sees to it that one thread at a time comes."""

    def __init__(self) -> None:
        self._nodes: dict[str, _Node] = {}

    def saw(self, node_id: str, report: NodeReport, now: float) -> None:
        """Take note of a report."""
        if report.instance is None:
            return
        # One more place for the address: live copies share the instance, and a machine that moves stays one.
        where = f"{report.fqdn} at {report.listen_address}"
        found = self._nodes.get(node_id)
        if found is None:
            self._nodes[node_id] = _Node(report.instance, report.sequence, {report.instance: where})
            return
        came_back = report.instance != found.instance and report.instance in found.where
        if came_back or (report.instance == found.instance and report.sequence <= found.sequence):
            found.signs.append(now)
        found.where.pop(report.instance, None)
        found.where[report.instance] = where
        while len(found.where) > _MAX_INSTANCES:
            del found.where[next(iter(found.where))]
        found.instance, found.sequence = report.instance, report.sequence

    def of(self, node_id: str, now: float) -> str | None:
        """Return where the two machines are that have the identity of a node; None where it is one."""
        found = self._nodes.get(node_id)
        if found is None or len(found.signs) < SIGNS or now - found.signs[0] > WINDOW_SECONDS:
            return None
        return " and ".join(dict.fromkeys(list(found.where.values())[-2:]))

    def forget(self, node_id: str) -> None:
        """Forget a node that was removed."""
        self._nodes.pop(node_id, None)
