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

from doorward.configuration._web import ADMIN_WEB, HTTP_PORT, HTTPS_PORT, MOST, USER_WEB, ListenLine, WebService, whole
from doorward.configuration.local_services._listen import CLUSTER, allowed_from, listeners, port_conflicts
from doorward.configuration.management import certificates
from doorward.configuration.network import naming
from doorward.configuration.network._addresses import listening
from doorward.configuration.network._nics import PATHS as NICS
from doorward.host.machine import Machine
from doorward.host.resources import Listener
from doorward.membership import channel
from doorward.tree.models import Elements
from doorward.tree.nodes import Singleton
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = ADMIN_WEB


class AdminWeb(WebService):
    """Where administrators and API clients are served, and which of them."""

    listen: Annotated[list[ListenLine], Elements(least=1, most=MOST, unique=whole)] = Field(description="Addresses and ports.")


def first(machine: Machine) -> dict[str, Any]:
    """Return the lines of ``--listen``; a wildcard becomes a line for each address of the machine."""
    redirect = HTTP_PORT if machine.kind == "system" and machine.port == HTTPS_PORT else None
    lines = [{"address": key, "http_port": redirect, "https_port": machine.port} for key in listening(machine)]
    return {"access_restriction": {"enabled": False}, "listen": lines[:MOST]}


def render(snapshot: Snapshot) -> Iterator[Listener]:
    """Ask the host for the listeners of all local services: they may share addresses and ports."""
    return listeners(snapshot, certificates.shown(snapshot))


def shuts_out(snapshot: Snapshot, address: str) -> Iterator[Problem]:
    """Refuse to shut out the address that a commit comes from. No rule: it depends on who asks."""
    networks = allowed_from(snapshot, PATH)
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
    rules=(port_conflicts,),
    advice=(certificates.names_missing,),
    render=render,
    reads=(CLUSTER, USER_WEB, certificates.PATH, naming.PATH, channel.PATH, *NICS),
)
