"""Going back: what a candidate must hold to be an earlier revision again, and commits that go back by themselves."""

from __future__ import annotations

from pydantic import ValidationError

from doorward.membership import ROOT as CLUSTER
from doorward.store.port import Edit, Store
from doorward.transaction.candidate import Candidate
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import MeaningRefused, Problem
from doorward.tree.registry import Tree


def restore(tree: Tree, store: Store, candidate: Candidate, number: int, *, membership: bool = False) -> None:
    """Put the difference between the running revision and revision ``number`` into a candidate.

    Who belongs to the cluster stays as it is, unless ``membership`` goes back as well: a secret of a pairing is gone by then.

    Raises MeaningRefused where this release no longer takes what stood there. The candidate is then as before.
    """
    before: dict[Place, Edit] = {}
    for _, edits in store.edits_after(number):
        for edit in edits:
            if membership or not edit.place.path.startswith(f"{CLUSTER}/"):
                before.setdefault(edit.place, edit)
    problems: list[Problem] = []
    documents = []
    for place, edit in before.items():
        try:
            documents.append((place, edit, tree.load(place, decode_own(edit.old)) if edit.old is not None else None))
        except (ValidationError, KeyError):
            problems.append(Problem("unsuitable", "This release does not take what stood here.", "", place.href))
    if problems:
        raise MeaningRefused(problems)
    for place, edit, document in documents:
        if document is not None:
            candidate.put(place, document, edit.position)
        elif place.key and candidate.snapshot.document(place) is not None and not isinstance(tree[place.path].node, WriteOnce):
            candidate.remove(place)  # endpoints that came with a later release stay, secrets go with their owners
