"""The alerts of Central Management about its nodes: each begins and ends once, however often it is looked at."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from doorward.events.alarm import Alarm
from doorward.events.events import Events

FORKED = (
    "These nodes hold another history than this Central Management, as after it came back from an old copy, and take nothing from"
    " it: {}. See `doorward cluster repair`."
)


class NodeAlarms:
    """Called by one thread at a time. ``now`` is of the clock that nobody sets."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._alarms: dict[tuple[str, str], Alarm] = {}

    def node(self, key: str, item: dict[str, Any], now: float, *, has_reported: bool, double: str | None) -> None:
        """Take how a node does, by its id. ``double``: where the two machines are that have its identity."""
        name = item["fqdn"] or key
        if has_reported:
            offline = item["status"] == "offline"
            self._alarm("cluster_node_offline", key).update(now, begun=offline, text=f"The node {name} is offline.")
        outdated = item["sync_status"] == "outdated"
        text = f"The node {name} could not take the configuration."
        if double is not None:
            outdated, text = True, f"Two machines have the identity of the node {name}: {double}. Stop the copy."
        self._alarm("cluster_sync_failed", key).update(now, begun=outdated, text=text)

    def forked(self, names: Iterable[str], now: float) -> None:
        """Take which nodes hold another history; one mail for all of them."""
        told = ", ".join(sorted(names))
        alarm = self._alarm("cluster_sync_failed", "")
        alarm.update(now, begun=bool(told), text=FORKED.format(told) if told else alarm.text)

    def keep(self, there: Collection[str], now: float) -> None:
        """End the alerts of nodes that were removed: nobody waits for them."""
        for name in [name for name in self._alarms if name[1] not in there and name[1]]:
            gone = self._alarms.pop(name)
            gone.update(now, begun=False, text=gone.text)

    def _alarm(self, what: str, key: str) -> Alarm:
        """Return an alarm; without a key that of the cluster as a whole."""
        if (what, key) not in self._alarms:
            href = f"/api/cluster/status/{key}" if key else "/api/cluster/repair"
            self._alarms[what, key] = Alarm(self._events, what, href)
        return self._alarms[what, key]
