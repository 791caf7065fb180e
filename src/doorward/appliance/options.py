"""How a node is run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from doorward.host.machine import MachineKind
from doorward.sessions.catalogue.address import CatalogueAddress


class StartError(Exception):
    """Why the server can't start, in one sentence for the operator."""

    code = 1
    """What the program ends with."""


class NewerStateError(StartError):
    """A newer release has used the state directory; trying again does not help (EX_CONFIG of sysexits.h)."""

    code = 78


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    ``host`` and ``port`` count at the first start; ``listen_given``: somebody asked for them. ``cluster_port`` None: as it was.
    ``plain_http`` is for measurements on loopback only.
    """

    state: Path
    host: str = "127.0.0.1"
    port: int = 8443
    machine: MachineKind = "sandbox"
    admin_password: str | None = field(default=None, repr=False)
    plain_http: bool = False
    listen_given: bool = False
    cluster_port: int | None = None
    wizard: bool = False
    """Whether a first start leaves the first settings to ``POST /api/setup``."""
    catalogue: CatalogueAddress | None = None
    """Where sessions are catalogued in PostgreSQL; None: in a file of the state directory."""
