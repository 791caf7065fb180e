"""Who this node is: a UUID made at the first start, kept with the store."""

from __future__ import annotations

import uuid

from doorward.store.port import Record, Store

KIND, ID = "node", "id"
"""Where the store keeps it."""


def node_id(store: Store) -> str:
    """Return the UUID of the node; a store that has none gets one."""
    found = store.record(KIND, ID)
    if found is None:
        found = Record(KIND, ID, str(uuid.uuid4()))
        store.put_record(found)
    return str(found.body)
