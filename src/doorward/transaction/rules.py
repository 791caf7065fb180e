"""Looks over a merged configuration: everything that needs more than one document to judge (protocol, section 9.8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from doorward.store.port import Edit
from doorward.transaction.claims import port_conflicts
from doorward.transaction.edits import DocumentEdit
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Collection, Rule, Valued, WriteOnce, arranges
from doorward.tree.places import Place
from doorward.tree.problems import Problem, pointer
from doorward.tree.references import references
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Entry, Snapshot

_BY_TIME = {"expired", "not_yet_valid"}
"""Codes of what time alone brings about, or a clock that is wrong."""


class Findings(Struct, frozen=True):
    """What the rules found: problems prevent a commit, warnings don't. Every one has its ``path``."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def from_archive(self) -> Findings:
        """Return the findings about a configuration that was committed before: what only time has changed is a warning."""
        aged = tuple(problem for problem in self.problems if problem.code in _BY_TIME)
        return Findings(tuple(problem for problem in self.problems if problem not in aged), (*self.warnings, *aged))


def check_rules(tree: Tree, snapshot: Snapshot, edits: Sequence[DocumentEdit]) -> Findings:
    """Run every rule that the edits touch, over the whole configuration."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for edit in edits:
        if edit.after is None:
            problems.extend(_still_referenced(snapshot, edit.place))
        else:
            problems.extend(_integrity(tree, snapshot, edit.place, edit.after))
            warnings.extend(_step(tree, snapshot, edit))
    for path in dict.fromkeys(edit.place.path for edit in edits):
        problems.extend(_too_many(tree, snapshot, path))
    for place in _concerned(tree, edits):
        node = tree[place.path].node
        problems.extend(_run(node.rules, snapshot, place))
        warnings.extend(_run(node.advice, snapshot, place))
    changed = {edit.place.path for edit in edits}
    if any(endpoint.concerned(changed) for endpoint in tree.claiming):
        problems.extend(port_conflicts(tree, snapshot))
    return Findings(tuple(dict.fromkeys(problems)), tuple(dict.fromkeys(warnings)))


def about_steps(tree: Tree, snapshot: Snapshot, edits: Iterable[Edit]) -> list[Problem]:
    """Return the warnings about what changed; all others are about what is."""
    found: list[Problem] = []
    for edit in edits:
        node, entry = tree[edit.place.path].node, snapshot.entry(edit.place)
        if entry is not None and edit.old is not None and isinstance(node, Valued) and node.step:
            before = Entry(entry.position, tree.load(edit.place, decode_own(edit.old)))
            found.extend(_step(tree, snapshot, DocumentEdit.between(edit.place, before, entry)))
    return found


def _concerned(tree: Tree, edits: Sequence[DocumentEdit]) -> Iterator[Place]:
    """Yield the places whose own rules must run: those changed, and those that read what changed."""
    changed = {edit.place.path for edit in edits}
    for edit in edits:
        if edit.after is not None:
            yield edit.place
    for reader in dict.fromkeys(reader for path in changed for reader in tree.readers.get(path, ())):
        if reader not in changed or isinstance(tree[reader].node, Collection):
            yield Place(reader)


def _run(rules: tuple[Rule, ...], snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    for rule in rules:
        for problem in rule(snapshot, place):
            yield problem if problem.path else replace(problem, path=place.href)


def _step(tree: Tree, snapshot: Snapshot, edit: DocumentEdit) -> Iterator[Problem]:
    node = tree[edit.place.path].node
    if edit.before is None or edit.after is None or not isinstance(node, Valued) or not node.step or arranges(node, edit.place):
        return
    for problem in node.step(edit.before.read(node), edit.after.read(node), snapshot):
        yield replace(problem, path=edit.place.href)


def _still_referenced(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    for referrer in snapshot.who_refers_to(place.href):
        yield Problem("referenced", f"Still used by {referrer.href}.", "", place.href)


def _integrity(tree: Tree, snapshot: Snapshot, place: Place, document: Document) -> Iterator[Problem]:
    node = tree[place.path].node
    if isinstance(node, Collection):
        yield from _unique_name(snapshot, node, place, document)
    if isinstance(node, Valued) and document.references:
        for at, reference in references(document.read(node)):
            if not snapshot.has(reference):
                yield Problem("unknown_reference", f"There is no {reference.href}.", pointer(at), place.href)
            store = tree[reference.to].node
            has_one_owner = isinstance(store, WriteOnce) and not store.shared  # thousands may share a policy
            owners = snapshot.who_refers_to(reference.href) if has_one_owner else []
            if owners[1:]:
                other = next((owner for owner in owners if owner != place), place)
                yield Problem("referenced_twice", f"Also used by {other.href}.", pointer(at), place.href)


def _too_many(tree: Tree, snapshot: Snapshot, path: str) -> Iterator[Problem]:
    node = tree[path].node
    if isinstance(node, Collection) and len(snapshot.objects(path)) > node.most:
        yield Problem("length", f"At most {node.most} objects.", "", path)


def _unique_name(snapshot: Snapshot, node: Collection[Any], place: Place, document: Document) -> Iterator[Problem]:
    objects = snapshot.objects(place.path)
    if document.name is not None and len(objects.with_names(document.name)) > 1:
        other = next(key for key in objects.with_names(document.name) if key != place.key)
        yield Problem("duplicate", f"The name is taken by {place.path}/{other}.", pointer([node.unique]), place.href)
