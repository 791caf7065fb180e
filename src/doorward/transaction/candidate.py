"""A login session's private copy of the configuration, with uncommitted changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from msgspec import Struct

from doorward.transaction.edits import DocumentEdit
from doorward.tree.places import Place
from doorward.tree.snapshot import Document, Snapshot


class Running(Struct, frozen=True):
    """The committed configuration in effect: number and hash of its revision, and what it holds."""

    number: int
    hash: str
    snapshot: Snapshot


@dataclass(slots=True)
class Candidate:
    """An open transaction. ``base`` is the running revision it started from.

    ``touched`` are the places written so far, in order; ``secrets`` the texts of write-once objects made here, by key. ``kept``
    are secrets from elsewhere, by key, in the form and text in which their owner keeps them. ``from_central``: it brings what
    Central Management sets. ``from_archive``: it brings what was committed before, here or elsewhere.
    """

    base: Running
    snapshot: Snapshot
    touched: dict[Place, None] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    kept: dict[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    from_central: bool = False
    from_archive: bool = False

    @classmethod
    def on(cls, running: Running) -> Candidate:
        """Return a fresh candidate on the running configuration."""
        return cls(running, running.snapshot)

    def copy(self) -> Candidate:
        """Return a candidate of its own with the same content, for work in another thread."""
        return replace(self, touched=dict(self.touched), secrets=dict(self.secrets), kept=dict(self.kept))

    def put(self, place: Place, document: Document, position: int | None = None) -> None:
        """Set a body. An equal body is no change."""
        snapshot = self.snapshot.put(place, document, position)
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            self.touched[place] = None

    def remove(self, place: Place) -> None:
        """Remove an object."""
        self.snapshot = self.snapshot.remove(place)
        self.touched[place] = None

    def edits(self) -> Iterator[DocumentEdit]:
        """Yield the net difference to the base, in the order of the writes."""
        for place in self.touched:
            edit = DocumentEdit.between(place, self.base.snapshot.entry(place), self.snapshot.entry(place))
            if edit.old != edit.new:
                yield edit

    @property
    def texts(self) -> dict[str, str]:
        """The texts of the secrets that it brings, by key; of those that are only compared, the hash."""
        return self.secrets | {key: text for key, (_, text) in self.kept.items()}

    @property
    def changed(self) -> bool:
        """Whether anything differs from the base."""
        return next(self.edits(), None) is not None
