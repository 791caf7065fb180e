"""What a commit changes, document by document, with the documents themselves."""

from __future__ import annotations

from doorward.store.port import Edit
from doorward.tree.places import Place
from doorward.tree.snapshot import Document, Entry


class DocumentEdit(Edit, frozen=True):
    """An edit with what stands at its place ``before`` and ``after``, so that nobody looks that up or parses it again."""

    before: Document | None = None
    after: Document | None = None

    @classmethod
    def between(cls, place: Place, before: Entry | None, after: Entry | None) -> DocumentEdit:
        """Return the edit that leads from one entry of a place to another one; None: there is nothing."""
        stands = after or before
        old, new = before.document if before else None, after.document if after else None
        return cls(
            place, old.stored if old else None, new.stored if new else None, stands.position if stands else 0, old, new
        )  # fmt: skip
