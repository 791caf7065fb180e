"""What the node makes for itself in a commit: secrets that the configuration needs and nobody brought, such as host keys."""

from __future__ import annotations

import uuid

from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.merge import rebased
from doorward.tree.nodes import Supply
from doorward.tree.places import Place
from doorward.tree.registry import Tree


def supplied(tree: Tree, candidate: Candidate, running: Running) -> Candidate:
    """Return a candidate with what the configuration that it leads to still needs; the same one where that is nothing.

    Making keys takes its time. Raises MergeConflict.
    """
    if not any(supply.is_needed(candidate.snapshot) for _, supply in tree.supplying):
        return candidate
    candidate = rebased(tree, candidate, running)
    for place, supply in tree.supplying:
        if supply.is_needed(candidate.snapshot):
            _fill(tree, candidate, place, supply)
    return candidate


def _fill(tree: Tree, candidate: Candidate, place: Place, supply: Supply) -> None:
    made = {str(uuid.uuid4()): parts for parts in supply.make()}
    for key, (body, secret) in made.items():
        stored = Place(supply.store, key)
        candidate.put(stored, tree.load(stored, body))
        candidate.secrets[key] = secret
    candidate.put(place, tree.load(place, supply.body([*made])))
