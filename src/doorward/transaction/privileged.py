"""What a commit may do only on behalf of somebody who may do everything: let secrets go where they did not go before.

A stored secret stays with the place that it was first committed for, and with the destination of that place. Whoever may write
the place could otherwise have it sent elsewhere, though no right lets anybody read it. What runs is enough to judge by: a secret
that nothing refers to any more vanishes at that very commit, its key leads nowhere from then on, and only who may do everything
brings it back, by a restore.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from doorward.store.port import Store
from doorward.transaction.candidate import Candidate
from doorward.transaction.edits import DocumentEdit
from doorward.transaction.merge import Merged
from doorward.tree.destinations import Towards, Use, uses
from doorward.tree.nodes import Valued, WriteOnce
from doorward.tree.places import Place
from doorward.tree.problems import Problem, pointer
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Document, Snapshot

REQUIRED = "privilege_required"
"""The code of problems that only those have who may not do everything."""


class Committer(Struct, frozen=True):
    """On whose behalf a configuration is changed.

    ``account`` is the key of the account; ``everything``: whether it may do everything, as the node itself may.
    """

    account: str = ""
    everything: bool = False


NOBODY = Committer()


def judged(
    tree: Tree, store: Store, before: Snapshot, merged: Merged, candidate: Candidate, by: Committer
) -> tuple[list[Problem], list[Problem]]:
    """Return the problems and the warnings of a change that lets secrets go elsewhere."""
    found = [problem for endpoint in tree.guarding for problem in endpoint.node.leaves(before, merged.snapshot)]
    warnings = [problem for problem in found if problem.code != REQUIRED]
    if by.everything or candidate.from_central:
        return [], warnings
    problems = [problem for problem in found if problem.code == REQUIRED]
    secrets = _Secrets(tree, store, before, merged.snapshot, candidate, by)
    return [*(problem for edit in merged.edits for problem in secrets.problems(edit)), *problems], warnings


def holds_secret(document: Document) -> bool:
    """Whether a write-once object has a secret; certificates may come without private key."""
    return document.value.get("has_private_key") is not False


def may_use(tree: Tree, store: Store, running: Snapshot, use: Use, account: str) -> bool:
    """Whether a secret may be used as it would be, without a change of the configuration: as the place that owns it does.

    One that nothing owns yet is for the account that committed it, given by key.
    """
    target = Place(use.reference.to, use.reference.key)
    document = running.document(target)
    if document is None:
        return False
    owners = running.who_refers_to(target.href)
    if not owners:
        return store.committer(target) == account
    return any(use.towards.within(other) for owner in owners for other in _towards(tree, running, owner, target.href))


class _Secrets(Struct, frozen=True):
    """The secrets of one change."""

    tree: Tree
    store: Store
    before: Snapshot
    after: Snapshot
    candidate: Candidate
    by: Committer

    def problems(self, edit: DocumentEdit) -> Iterator[Problem]:
        """Yield which secrets of a changed body would go elsewhere."""
        node, document = self.tree[edit.place.path].node, edit.after
        if document is None or not document.references or not isinstance(node, Valued):
            return
        for use in uses(document.read(node)):
            target = Place(use.reference.to, use.reference.key)
            secret = self.after.document(target)
            if secret is None or not holds_secret(secret) or self._is_taken(target):
                continue
            if not self._stays(edit.place, target, use.towards):
                message = "A stored password or key stays with the place and the server that it was committed for; bring it anew."
                yield Problem("secret_required", message, pointer(use.at), edit.place.href)

    def _is_taken(self, target: Place) -> bool:
        """Whether a secret that has one owner would have two: that is refused to everybody, and said by another rule."""
        node = self.tree[target.path].node
        return isinstance(node, WriteOnce) and not node.shared and len(self.after.who_refers_to(target.href)) > 1

    def _stays(self, owner: Place, target: Place, towards: Towards) -> bool:
        """Whether a secret comes with this very change, or goes where it goes now."""
        if self.before.document(target) is None:
            return target.key in self.candidate.secrets
        owners = self.before.who_refers_to(target.href)
        if not owners:
            return self.store.committer(target) == self.by.account
        return owner in owners and any(towards.within(now) for now in _towards(self.tree, self.before, owner, target.href))


def _towards(tree: Tree, snapshot: Snapshot, owner: Place, href: str) -> Iterator[Towards]:
    """Yield where a secret goes from a place."""
    node, document = tree[owner.path].node, snapshot.document(owner)
    if document is not None and isinstance(node, Valued):
        for use in uses(document.read(node)):
            if use.reference.href == href:
                yield use.towards
