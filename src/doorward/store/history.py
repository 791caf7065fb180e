"""Checks a history: that every revision is the one that was written, that none is missing, and that they lead to what runs."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import replace

from doorward.store.port import Edit, Revision
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
    state: dict[Place, tuple[int, bytes]] = {}
    number, previous = 0, ""
    for revision, edits, mark in history:
        if revision is None:
            continue
        number += 1
        if revision.number != number:
            findings.append(f"Revision {number} is missing.")
            number = revision.number
        if revision.parent_hash != previous:
            findings.append(f"Revision {number} does not follow the revision before it.")
        if replace(revision, hash="").hashed(edits) != revision.hash:
            findings.append(f"Revision {number} was altered.")
        elif not hmac.compare_digest(vault.mark(revision.hash), mark):
            findings.append(f"Revision {number} was not written with this data key.")
        findings.extend(_replay(number, edits, state))
        previous = revision.hash
    findings.extend(_compare(state, {place: (position, body) for place, position, body in documents}))
    return findings


def _replay(number: int, edits: Iterable[Edit], state: dict[Place, tuple[int, bytes]]) -> Iterable[str]:
    for edit in edits:
        if (state[edit.place][1] if edit.place in state else None) != edit.old:
            yield f"Revision {number} changes {edit.place.href} from a value that it did not have."
        if edit.new is None:
            state.pop(edit.place, None)
        else:
            state[edit.place] = (edit.position, edit.new)


def _compare(expected: dict[Place, tuple[int, bytes]], found: dict[Place, tuple[int, bytes]]) -> Iterable[str]:
    for place in sorted(expected.keys() | found.keys()):
        if expected.get(place) != found.get(place):
            yield f"The running {place.href} is not what the history leads to."
