"""What travels of a configuration to the nodes of a cluster, found by reading all of it."""

from __future__ import annotations

from doorward.cluster.revisions import Row, documents
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot


def travelling(tree: Tree, snapshot: Snapshot) -> list[Row]:
    """Return the documents of scope ``cluster`` in the order of the tree, then the write-once objects that they own."""
    found = dict(documents(tree, snapshot))
    references = (one for document in found.values() for one in sorted(document.references, key=lambda one: one.href))
    for place in [Place(one.to, one.key) for one in references if isinstance(tree[one.to].node, WriteOnce)]:
        if (document := snapshot.document(place)) is not None:
            found.setdefault(place, document)
    return [(*place, document.stored.decode()) for place, document in found.items()]
