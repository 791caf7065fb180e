"""Removes write-once objects that nobody ever owned, a day after they were made (configuration contract, section 9)."""

from __future__ import annotations

from doorward.transaction.candidate import Candidate, Running
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.registry import Tree


def unowned(tree: Tree, running: Running, before: str) -> Candidate | None:
    """Return a candidate without the objects made before a time (UTC text) that nothing refers to; None if there are none."""
    candidate = Candidate.on(running)
    for endpoint in tree:
        if isinstance(endpoint.node, WriteOnce):
            for key, document in running.snapshot.objects(endpoint.path).items():
                place = Place(endpoint.path, key)
                if document.value["created"] < before and not running.snapshot.who_refers_to(place.href):
                    candidate.remove(place)
    return candidate if candidate.touched else None
