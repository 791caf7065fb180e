"""The TCP port of the channel between nodes, the same on all of them. Set by the start option ``--cluster-port``."""

from __future__ import annotations

from doorward.tree.fields import Port
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot

PATH = "/api/cluster/channel"
PORT = 7443


def port(snapshot: Snapshot) -> int:
    """Return the port of the node channel."""
    document = snapshot.document(Place(PATH))
    return PORT if document is None else int(document.value)


NODE = Singleton(title="Port of the node channel", model=Port, default=PORT, scope="node", listed=False)
