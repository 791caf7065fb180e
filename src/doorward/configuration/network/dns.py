"""The name servers that the node asks.

Committing them writes ``/etc/resolv.conf``, with the domain of ``network/naming``, or a file for systemd-resolved where that is
who answers on this machine; read back. Programs that run already may go on asking the old servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field
from pydantic_core import InitErrorDetails

from doorward.configuration.network import naming
from doorward.host.identity import name_servers
from doorward.host.network_resources import NameServers
from doorward.tree.fields import Ip, ip_address
from doorward.tree.models import Interrelated, wrong
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/network/dns"


class Dns(Interrelated):
    """Up to two name servers."""

    primary: Ip | None = Field(default=None, description="Address of the server that is asked first.", examples=["192.0.2.53"])
    secondary: Ip | None = Field(default=None, description="Address of the server that is asked when the first one is silent.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """The second server needs a first one, and is another one."""
        primary, secondary = sent.get("primary"), sent.get("secondary")
        if secondary is not None and primary is None:
            yield wrong("contradiction", "Needs a primary name server.", "secondary")
        elif isinstance(secondary, str) and isinstance(primary, str) and _same(primary, secondary):
            yield wrong("duplicate", "Is the primary name server.", "secondary")


def _same(one: str, other: str) -> bool:
    try:
        return ip_address(one) == ip_address(other)
    except ValueError:
        return False


def render(snapshot: Snapshot) -> Iterator[NameServers]:
    """Ask the host for the servers."""
    dns = snapshot.read(NODE)
    servers = tuple(server for server in (dns.primary, dns.secondary) if server is not None)
    yield NameServers(servers, snapshot.read(naming.NODE).domainname, origin=PATH)


def no_resolver(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of a node that can't ask for names."""
    if place.path == PATH and snapshot.read(NODE).primary is None:
        yield Problem("no_resolver", "Without a name server only the names in /etc/hosts are known.", "/primary")


NODE: Singleton[Dns] = Singleton(
    title="Name servers",
    model=Dns,
    default=name_servers,
    scope="node",
    reads=(naming.PATH,),
    advice=(no_resolver,),
    render=render,
)
