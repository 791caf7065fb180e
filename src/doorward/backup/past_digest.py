"""Size and digest of the history of a node, carried on from one archive to the next: a history only grows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from doorward.store.port import Store


class Digest(Protocol):
    """A SHA-256 that is not finished."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the digest so far, in hex."""

    def copy(self) -> Digest:
        """Return one that goes on from here."""


@dataclass(frozen=True, slots=True)
class Known:
    """The lines up to a revision. Its ``hash`` is chained to all before it, so that it stands for every byte of them."""

    number: int = 0
    hash: str = ""
    size: int = 0
    digest: Digest = field(default_factory=hashlib.sha256, repr=False)


class PastDigest:
    """What is known of a history. Any thread may ask: what is known is replaced as a whole."""

    def __init__(self) -> None:
        self._known = Known()

    def forget(self) -> None:
        """Begin anew: what the store gives now is not what it gave."""
        self._known = Known()

    def up_to(self, store: Store, number: int, digest: str, lines: Callable[[int], Iterable[bytes]]) -> tuple[int, str]:
        """Return size and SHA-256, in hex, of the lines up to a revision, of which ``digest`` is the hash.

        ``lines`` yields the lines from a revision on.
        """
        known = self._known
        revision = store.revision(known.number) if 0 < known.number <= number else None
        if revision is None or revision.hash != known.hash:
            known = Known()
        size, found = known.size, known.digest.copy()
        for line in lines(known.number + 1):
            size += len(line)
            found.update(line)
        self._known = Known(number, digest, size, found)
        return size, found.hexdigest()
