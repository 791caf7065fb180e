"""The web listeners for administrators and the REST API: ``/api/configuration/local_services/admin_web``.

At first the appliance listens where ``doorward serve --listen`` said. A commit opens new listeners and proves them by a TLS
handshake, before it closes old ones; connections that are open live on for up to a minute, and the answer to the commit itself
still comes on its own. A commit that would shut out the address it comes from is refused. The HTTP port only redirects.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from doorward.configuration._claims import Rank, web_claims
from doorward.configuration._web import ADMIN_WEB, HTTP_PORT, HTTPS_PORT, MAX_LISTENS, ListenLine, WebService, whole
from doorward.configuration.management import certificates
from doorward.configuration.network import naming
from doorward.configuration.network._addresses import listening
from doorward.configuration.network._nics import PATHS as NICS
from doorward.host.claims import Claim
from doorward.host.machine import Machine
from doorward.tree.models import Elements
from doorward.tree.nodes import Singleton
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = ADMIN_WEB


class AdminWeb(WebService):
    """Where administrators and API clients are served, and which of them."""

    listen: Annotated[list[ListenLine], Elements(least=1, most=MAX_LISTENS, unique=whole)] = Field(
        description="Addresses and ports."
    )


def first(machine: Machine) -> dict[str, Any]:
    """Return the lines of ``--listen``; a wildcard becomes a line for each address of the machine."""
    redirect = HTTP_PORT if machine.kind == "system" and machine.port == HTTPS_PORT else None
    lines = [{"address": key, "http_port": redirect, "https_port": machine.port} for key in listening(machine)]
    return {"access_restriction": {"enabled": False}, "listen": lines[:MAX_LISTENS]}


def claims(snapshot: Snapshot) -> Iterator[Claim]:
    """Want every line's address and ports."""
    return web_claims(snapshot, PATH, Rank.ADMIN_WEB)


def shuts_out(snapshot: Snapshot, address: str) -> Iterator[Problem]:
    """Refuse to shut out the address that a commit comes from. No rule: it depends on who asks."""
    networks = snapshot.read(NODE).allowed_from
    if networks is not None and not any(
        ipaddress.ip_address(address) in ipaddress.ip_network(cidr, strict=False) for cidr in networks
    ):
        message = f"This would shut out {address}, where the commit comes from."
        yield Problem("locks_out_caller", message, "/access_restriction/allowed_from", PATH)


NODE: Singleton[AdminWeb] = Singleton(
    title="Web listeners for administrators",
    scope="node",
    model=AdminWeb,
    default=first,
    advice=(certificates.names_missing,),
    claims=claims,
    reads=(certificates.PATH, naming.PATH, *NICS),
)
