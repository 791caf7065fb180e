"""The TCP port of the channel between nodes, the same on all of them. Set by the start option ``--cluster-port``."""

from __future__ import annotations

from doorward.tree.fields import Port
from doorward.tree.nodes import Singleton
from doorward.tree.snapshot import Snapshot

PATH = "/api/cluster/channel"
PORT = 7443


def port(snapshot: Snapshot) -> int:
    """Return the port of the node channel."""
    found = snapshot.find(NODE)
    return PORT if found is None else found


NODE: Singleton[Port] = Singleton(title="Port of the node channel", model=Port, default=PORT, scope="node", listed=False)
