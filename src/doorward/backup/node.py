"""The node that an archive is made of, and that one is restored on."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, field

from doorward.backup.past_digest import PastDigest
from doorward.backup.signing import NodeSigningKeys
from doorward.configuration import x509
from doorward.host.machine import Machine
from doorward.transaction.pipeline import Pipeline


class NodeView(Struct, frozen=True):
    """What backups see of a node: ``state`` is the state directory, ``id`` the UUID of the node."""

    pipeline: Pipeline
    state: Path
    id: str
    machine: Machine
    signing: NodeSigningKeys
    past: PastDigest = field(default_factory=PastDigest)

    @property
    def spool(self) -> Path:
        """Where files lie while they are worked on. What a killed process left there goes at the next start."""
        return self.state / "backup" / "spool"

    def certificate(self, key: str) -> str | None:
        """Return a certificate of the running configuration, in PEM; None where there is none of that key."""
        found = self.pipeline.running.snapshot.find(x509.NODE, key)
        return found.certificate if found is not None else None
