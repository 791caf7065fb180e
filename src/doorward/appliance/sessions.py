"""Sessions of a node, wired up: the catalogue, the trails, and what deletes both when they are old."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from doorward.areas.area import Area, Issue, Metric
from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.criteria import ALL, Compared
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.sqlite.tables import FILE, PURPOSE
from doorward.sessions.retention import SessionRetention
from doorward.sessions.trails import DIRECTORY, Keys, Trails, no_keys
from doorward.store.anchor import HistoryKey
from doorward.tree.snapshot import Snapshot

if TYPE_CHECKING:
    from doorward.sessions.central.answering import LocalSessions


SEARCHED_SECONDS: Final = 12.0
"""How long a look through the catalogue may take for another node, which waits a little longer."""


@dataclass(frozen=True, slots=True)
class SharedCatalogue:
    """A catalogue that several nodes write to, and the id of this one."""

    address: CatalogueAddress
    node: str


@dataclass
class SessionParts(Area):
    """What a node has of sessions. Raises CatalogueDamagedError."""

    catalogue: SessionCatalogue
    trails: Trails
    retention: SessionRetention

    @classmethod
    def at(
        cls, state: Path, snapshot: Callable[[], Snapshot], keys: Keys = no_keys, shared: SharedCatalogue | None = None
    ) -> SessionParts:
        """Open what is in a state directory, made if it is not there. Raises CatalogueDamagedError, OSError.

        ``keys`` are those that this node may open encrypted trails with. ``shared``: rows and text are kept there, trails here.
        """
        directory = state / DIRECTORY
        directory.mkdir(mode=0o700, exist_ok=True)
        trails = Trails(directory, keys)
        key = HistoryKey.at(state).derived(PURPOSE)
        catalogue: SessionCatalogue
        if shared is not None:
            from doorward.sessions.catalogue.postgresql import PostgresCatalogue
            from doorward.sessions.catalogue.postgresql.tally_memory import MEMORY, TallyKey

            catalogue = PostgresCatalogue(shared.address, shared.node, trails.may_read, kept=TallyKey(key, state / MEMORY))
        else:
            catalogue = SqliteCatalogue(state / FILE, trails.may_read, key=key)
        return cls(catalogue, trails, SessionRetention(catalogue, trails, snapshot))

    def local(self) -> LocalSessions:
        """Return what answers other nodes about these sessions."""
        from doorward.sessions.central.answering import LocalSessions

        node = self.catalogue.node
        own = ALL if node is None else Compared(FIELDS["node_id"], "=", node)
        return LocalSessions(self.catalogue, self.trails, SEARCHED_SECONDS, own)

    is_early = True

    def start(self) -> None:
        """Delete old sessions when their time has come."""
        self.retention.start()

    def issues(self) -> Iterator[Issue]:
        """Tell where nothing can be written about sessions."""
        if (failure := self.catalogue.failing) is not None:
            yield Issue(f"No session can begin: the session catalogue can't be written ({failure}).", "/api/audit", level="error")

    def metrics(self) -> Iterator[Metric]:
        """Yield whether nothing can be written about sessions."""
        is_failing = self.catalogue.failing is not None
        about = "1 while no session can begin: the catalogue can't be written."
        yield Metric("doorward_session_catalogue_failing", about, is_failing)

    def stop(self) -> None:
        """End what goes on, and write what waits."""
        self.retention.stop()
        self.catalogue.close()
