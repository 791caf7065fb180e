"""Checks a history: that every revision is the one that was written, that none is missing, and that they lead to what runs."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from msgspec.structs import replace

from doorward.store.port import Edit, Past, Revision, StoreDamagedError
from doorward.store.vault import Vault
from doorward.tree.places import Place


def check_history(
    history: Iterable[tuple[Revision | None, list[Edit], str]],
    documents: Iterable[tuple[Place, int, bytes]],
    vault: Vault,
) -> list[str]:
    """Replay a history, oldest revision first, and compare its end with the running documents.

    Each element is (revision, its edits, its keyed mark). Returns findings, one sentence each; none: the history is whole.
    The chain shows every change inside the history. Putting back an old copy of the whole file can't be seen from inside.
    """
    findings: list[str] = []
    chain = _Chain()
    for revision, edits, mark in history:
        if revision is not None:
            findings.extend(chain.follow(revision, edits, marked=hmac.compare_digest(vault.mark(revision.hash), mark)))
    findings.extend(compare(chain.state, {place: (position, body) for place, position, body in documents}))
    return findings


def past(revisions: Callable[[], Iterator[tuple[Revision, list[Edit]]]]) -> Past:
    """Return a history from elsewhere and what it leads to. Raises StoreDamagedError where it is not whole."""
    chain, head = _Chain(), None
    for head, edits in revisions():
        for finding in chain.follow(head, edits):
            raise StoreDamagedError(finding)
    if head is None:
        raise StoreDamagedError("There is no revision in it.")
    return Past(head, chain.state, revisions)


@dataclass(slots=True)
class _Chain:
    """A history as it is followed from its beginning, and the documents that it has led to so far."""

    state: dict[Place, tuple[int, bytes]] = field(default_factory=dict)
    number: int = 0
    previous: str = ""

    def follow(self, revision: Revision, edits: list[Edit], *, marked: bool = True) -> Iterator[str]:
        """Take the next revision; yield what is wrong with it. ``marked``: whether its mark fits its hash."""
        self.number += 1
        if revision.number != self.number:
            yield f"Revision {self.number} is missing."
            self.number = revision.number
        if revision.parent_hash != self.previous:
            yield f"Revision {self.number} does not follow the revision before it."
        if replace(revision, hash="").hashed(edits) != revision.hash:
            yield f"Revision {self.number} was altered."
        elif not marked:
            yield f"Revision {self.number} was not written with this data key."
        yield from _replay(self.number, edits, self.state)
        self.previous = revision.hash


def _replay(number: int, edits: Iterable[Edit], state: dict[Place, tuple[int, bytes]]) -> Iterable[str]:
    for edit in edits:
        if (state[edit.place][1] if edit.place in state else None) != edit.old:
            yield f"Revision {number} changes {edit.place.href} from a value that it did not have."
        if edit.new is None:
            state.pop(edit.place, None)
        else:
            state[edit.place] = (edit.position, edit.new)


def compare(expected: dict[Place, tuple[int, bytes]], found: dict[Place, tuple[int, bytes]]) -> Iterable[str]:
    """Yield where the running documents are not what the history leads to."""
    for place in sorted(expected.keys() | found.keys()):
        if expected.get(place) != found.get(place):
            yield f"The running {place.href} is not what the history leads to."
