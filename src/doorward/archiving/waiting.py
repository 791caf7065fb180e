"""Which sessions wait to be archived: found in the catalogue, which is looked through once, then only what is new."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.results import Unarchived
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared

MAX_WAITING: Final = 10_000
"""Sessions that are known to wait or to run; the others are found later."""
WINDOW: Final = 50_000
"""Ids that are looked through at a time."""
_SAVED_EVERY: Final = 1000
SETTLING_MS: Final = 600_000
"""How long after its end a session waits that nobody knew of any more: its worker may tell of it, and add to its trail."""


@prepared
@dataclass(frozen=True, slots=True)
class ArchiveMark:
    """Up to which id no session of some connection policies waits; kept, so that a start does not look through everything."""

    after: int = 0
    connections: tuple[str, ...] = ()
    id: str = "archive"
    is_shared: bool = False
    """Whether the ids are those of a catalogue that nodes share: in the other sort they say nothing."""


@dataclass
class WaitingTrails:
    """The sessions of a node that are to be archived. In one thread."""

    catalogue: SessionCatalogue
    store: Store
    node: str
    ended: dict[int, Unarchived] = field(default_factory=dict)
    """Those whose turn it is, by id, the oldest first."""
    has_more: bool = False
    """Whether there are others that were not looked at yet."""

    def __post_init__(self) -> None:
        self._kept = Records(self.store, "archive_mark", ArchiveMark)
        self._is_shared = self.catalogue.node is not None
        self._saved = self._kept.get(ArchiveMark().id) or ArchiveMark()
        self._after, self._connections = self._saved.after, frozenset(self._saved.connections)
        if self._saved.is_shared != self._is_shared:
            self._after = 0
        self._running: dict[int, Unarchived] = {}

    def look(self, connections: Collection[str], now: int) -> None:
        """Find what is new. ``connections``: keys of the connection policies that count; ``now`` in ms since 1970."""
        wanted = frozenset(connections)
        if not wanted <= self._connections:
            self._after = 0
        self._connections = wanted
        for known in (self.ended, self._running):
            for number in [number for number, one in known.items() if one.policy_key not in wanted]:
                del known[number]
        with self.catalogue.looking() as look:
            newest = look.newest(self.node)
            if self._after > newest:  # of a catalogue that was there before
                self._after = 0
            begun = look.unarchived_of([*self._running])
            self._running.clear()  # those that are gone, too
            self._settle(begun, now)
            while self._after < newest and len(self.ended) + len(self._running) < MAX_WAITING:
                until = min(newest, self._after + WINDOW)
                found = look.unarchived(self.node, wanted, self._after, until) if wanted else []
                room = MAX_WAITING - len(self.ended) - len(self._running)
                if len(found) > room:
                    found = found[:room]
                    until = found[-1].id
                self._settle(found, now)
                self._after = until
        self.has_more = self._after < newest
        self._save()

    def done(self, number: int) -> None:
        """Forget one that needs nothing any more."""
        self.ended.pop(number, None)

    def _settle(self, found: Collection[Unarchived], now: int) -> None:
        for one in found:
            is_over = one.ended is not None and (not one.is_recovered or one.ended + SETTLING_MS <= now)
            if is_over:
                self.ended.setdefault(one.id, one)
            else:
                self._running[one.id] = one

    def _save(self) -> None:
        first = min((*self.ended, *self._running), default=self._after + 1)
        mark = ArchiveMark(min(self._after, first - 1), tuple(sorted(self._connections)), is_shared=self._is_shared)
        saved = self._saved
        is_other = (mark.connections, mark.is_shared) != (saved.connections, saved.is_shared)
        if is_other or not saved.after <= mark.after < saved.after + _SAVED_EVERY:
            self._kept.put(mark)
            self._saved = mark
