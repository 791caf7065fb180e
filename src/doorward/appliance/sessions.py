"""Sessions of a node, wired up: the catalogue, the trails, and what deletes both when they are old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from doorward.sessions.catalogue.port import LiveSessions
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.catalogue.tables import FILE
from doorward.sessions.live import NoLiveSessions
from doorward.sessions.retention import Retention
from doorward.sessions.trails import DIRECTORY, Trails
from doorward.tree.snapshot import Snapshot


@dataclass
class SessionParts:
    """What a node has of sessions. Raises CatalogueDamagedError."""

    catalogue: SqliteCatalogue
    trails: Trails
    retention: Retention
    live: LiveSessions = field(default_factory=NoLiveSessions)

    @classmethod
    def at(cls, state: Path, snapshot: Callable[[], Snapshot]) -> SessionParts:
        """Open what is in a state directory, made if it is not there. Raises CatalogueDamagedError, OSError."""
        directory = state / DIRECTORY
        directory.mkdir(mode=0o700, exist_ok=True)
        trails = Trails(directory)
        catalogue = SqliteCatalogue(state / FILE, trails.may_read)
        return cls(catalogue, trails, Retention(catalogue, trails, snapshot))

    def stop(self) -> None:
        """End what goes on, and write what waits."""
        self.retention.stop()
        self.catalogue.close()
