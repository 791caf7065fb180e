"""The history in an archive: it becomes that of a node that has none of its own (section 9)."""

from __future__ import annotations

from collections.abc import Iterator

from doorward.backup.content import HISTORY, revision_of
from doorward.backup.opening import ArchiveRefusedError, Opened
from doorward.store import history
from doorward.store.port import Edit, Past, Revision, StoreDamagedError
from doorward.tree.jsontext import decode
from doorward.tree.problems import InvalidBody

MAX_BYTES = 256 << 20
"""Bytes of a history that is taken over; what it leads to is held in memory."""


def past_of(opened: Opened) -> Past | None:
    """Return the history of an archive; None where it is not whole, or does not end with the revision that was archived.

    Nor where it is so long that following it would take too much memory and time.
    """

    def revisions() -> Iterator[tuple[Revision, list[Edit]]]:
        size = 0
        for line in opened.lines(HISTORY):
            size += len(line)
            if size > MAX_BYTES:
                raise StoreDamagedError("The history is too long.")
            yield revision_of(decode(line))

    try:
        found = history.past(revisions)
    except (ArchiveRefusedError, InvalidBody, StoreDamagedError, KeyError, TypeError, ValueError, AttributeError):
        return None
    archived = opened.manifest["revision"]
    return found if (found.head.number, found.head.hash) == (archived["number"], archived["hash"]) else None
