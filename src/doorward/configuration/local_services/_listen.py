"""What the local services have in common: the lines they listen on, who is let in, whose a port is. No endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from doorward.configuration._web import ADMIN_WEB, OPEN, USER_WEB, WEB, Restriction
from doorward.configuration.network._addresses import InterfaceAddress, address_of
from doorward.host.resources import AccessRule, Listener, ServerCertificate
from doorward.membership import channel
from doorward.tree.described import At
from doorward.tree.models import Body, Off, Switched
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference
from doorward.tree.snapshot import Snapshot

CLUSTER = "/api/configuration/local_services/cluster"


class On(Body):
    """The interface is open."""

    enabled: Literal[True] = Field(description="The interface is open.")
    listen_address: InterfaceAddress | None = Field(None, description="The address of the node in its cluster.")


ClusterInterface = Annotated[On | Off, Switched()]

CLUSTER_INTERFACE: At[On | Off] = At(CLUSTER, ClusterInterface)


@dataclass(frozen=True, slots=True)
class Claim:
    """A service wants an address and port. ``line`` is what two services may share; () is never shared."""

    path: str
    pointer: str
    address: str
    port: int
    line: tuple[Any, ...] = ()
    https_port: int = 0
    """Where a port that only redirects leads to; 0: it does not."""

    def shares_with(self, other: Claim) -> bool:
        """Whether another service may have the same address and port."""
        return bool(self.line) and self.line == other.line and self.path != other.path


def claims(snapshot: Snapshot) -> Iterator[Claim]:
    """Yield what the services want, the first ones first in right. Addresses that are on no interface are left out."""
    for path in (ADMIN_WEB, USER_WEB):
        for index, entry in enumerate(snapshot.read(WEB[path]).listen):
            address = _address(snapshot, entry.address)
            line = address, entry.http_port, entry.https_port
            if address is not None:
                at = f"/listen/{index}"
                yield Claim(path, f"{at}/https_port", address, entry.https_port, line)
                if entry.http_port is not None:
                    yield Claim(path, f"{at}/http_port", address, entry.http_port, line, entry.https_port)
    cluster = snapshot.read(CLUSTER_INTERFACE)
    if isinstance(cluster, On) and cluster.listen_address and (address := _address(snapshot, cluster.listen_address)):
        yield Claim(CLUSTER, "/listen_address", address, channel.port(snapshot))


def _address(snapshot: Snapshot, reference: Reference[Any]) -> str | None:
    try:
        return str(address_of(snapshot, reference.text).ip)
    except KeyError:
        return None


def port_conflicts(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse an address and port that two services want, or two lines; told of the one that is further down."""
    earlier: dict[tuple[str, int], list[Claim]] = {}
    for claim in claims(snapshot):
        taken = earlier.setdefault((claim.address, claim.port), [])
        for other in taken:
            if not claim.shares_with(other):
                message = f"{claim.address} port {claim.port} is also wanted by {other.path}#{other.pointer[1:]}."
                yield Problem("port_conflict", message, claim.pointer, claim.path)
        taken.append(claim)


def listeners(snapshot: Snapshot, shows: ServerCertificate | None) -> Iterator[Listener]:
    """Yield the listeners of all services, one for each address and port. Who came first in a conflict has the port."""
    found: dict[tuple[str, int], list[Claim]] = {}
    for claim in claims(snapshot):
        sharing = found.setdefault((claim.address, claim.port), [])
        if not sharing or claim.shares_with(sharing[0]):
            sharing.append(claim)
    for sharing in found.values():
        first = sharing[0]
        doors = tuple(_door(snapshot, claim) for claim in sharing)
        tls = None if first.https_port or first.path == CLUSTER else shows
        yield Listener(first.address, first.port, doors, tls, first.https_port, first.path)


def _door(snapshot: Snapshot, claim: Claim) -> AccessRule:
    name = "redirect" if claim.https_port else claim.path.rpartition("/")[2]
    return AccessRule(name, allowed_from(snapshot, claim.path))


def allowed_from(snapshot: Snapshot, path: str) -> tuple[str, ...] | None:
    """Return the networks that a service lets in; None: everybody."""
    restriction = snapshot.read(WEB[path]).access_restriction if path in WEB else OPEN
    return tuple(restriction.allowed_from) if isinstance(restriction, Restriction) else None
