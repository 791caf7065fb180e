"""The listener of the cluster interface, where nodes talk to each other: ``/api/configuration/local_services/cluster``.

Every node of a cluster needs it, Central Management as well as those that join. Committing it opens or closes the listener of the
node channel (TCP 7443, or the start option ``--cluster-port``); nothing else is restarted. It can't be switched off while the
node is in a cluster or asks to join one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from doorward.configuration._claims import Rank
from doorward.configuration.network._addresses import InterfaceAddress, ip_of
from doorward.configuration.network._nics import PATHS as NICS
from doorward.host.claims import Claim
from doorward.host.resources import AccessRule
from doorward.membership import channel, join_request, promote
from doorward.membership.cluster_role import cluster_role
from doorward.tree.models import Body, Off, Switched
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/local_services/cluster"


class On(Body):
    """The interface is open."""

    enabled: Literal[True] = Field(description="The interface is open.")
    listen_address: InterfaceAddress | None = Field(None, description="The address of the node in its cluster.")


ClusterInterface = Annotated[On | Off, Switched()]


def listen_address(snapshot: Snapshot) -> str | None:
    """Return the address that the node has in its cluster; None while the interface is off."""
    interface = snapshot.read(NODE)
    reference = interface.listen_address if isinstance(interface, On) else None
    return ip_of(snapshot, reference) if reference else None


def claims(snapshot: Snapshot) -> Iterator[Claim]:
    """Want the port of the channel at that address."""
    address = listen_address(snapshot)
    if address is not None:
        yield Claim(
            address=address,
            port=channel.port(snapshot),
            rule=AccessRule("cluster"),
            path=PATH,
            pointer="/listen_address",
            rank=Rank.CLUSTER,
        )


def needs_address(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """An open interface needs an address."""
    interface = snapshot.read(NODE)
    if isinstance(interface, On) and interface.listen_address is None:
        yield Problem("required_with", "Needed while the interface is enabled.", "/listen_address")


def in_use(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """A node of a cluster, or one that asks to join, can't do without."""
    if snapshot.read(NODE).enabled:
        return
    state = cluster_role(snapshot).state
    if state in {"joined", "central"}:
        yield Problem("referenced", "The node is in a cluster.", "/enabled")
    elif state == "requested":
        yield Problem("referenced", "A join request is open.", "/enabled")


NODE: Singleton[ClusterInterface] = Singleton(
    title="Cluster interface",
    model=ClusterInterface,
    default={"enabled": False},
    scope="node",
    rules=(needs_address, in_use),
    claims=claims,
    reads=(channel.PATH, join_request.PATH, promote.PATH, *NICS),
)
