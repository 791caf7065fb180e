"""Static routes: which gateway packets to a network are sent to.

Committing the list sets the routes in the kernel and in the files of systemd-networkd, and reads them back from the kernel. In
a sandbox only the files are written.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration.network._addresses import PATHS, addresses
from doorward.configuration.network._routes import ROUTING, way_to
from doorward.host.machine import Machine
from doorward.host.network_resources import Route
from doorward.host.nics import COUNT, found_nics, found_routes
from doorward.tree.fields import Ip, bad_format
from doorward.tree.models import Elements, Interrelated, wrong
from doorward.tree.nodes import ListSingleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = ROUTING


def target(value: str) -> str:
    """Return a network in canonical form. Refuses host bits."""
    try:
        if "%" in value or not value.rpartition("/")[2].isdecimal() or "/" not in value:
            raise ValueError
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise bad_format("Must be a network without host bits, such as 10.0.0.0/8.") from None


class StaticRoute(Interrelated):
    """One network and the gateway to it."""

    gateway: Ip = Field(description="Address of the router, in the network of an interface.", examples=["192.0.2.1"])
    target_network: Annotated[str, StringConstraints(max_length=64), AfterValidator(target)] = Field(
        description="Network in CIDR notation without host bits; 0.0.0.0/0 and ::/0 are everything else.", examples=["0.0.0.0/0"]
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Gateway and network are both IPv4 or both IPv6."""
        gateway, network = sent.get("gateway"), sent.get("target_network")
        if not isinstance(gateway, str) or not isinstance(network, str):
            return
        try:
            versions = ipaddress.ip_address(gateway).version, ipaddress.ip_network(network).version
        except ValueError:
            return
        if len(set(versions)) > 1:
            yield wrong("contradiction", "The gateway of an IPv4 network is IPv4, that of an IPv6 network IPv6.", "gateway")


def gateway_unreachable(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """A gateway is a neighbour: in the network of an interface, and not the node itself."""
    own = {str(address.ip) for _, address in addresses(snapshot)}
    for index, route in enumerate(snapshot.value(PATH)):
        gateway = route["gateway"]
        if gateway in own:
            yield Problem("gateway_unreachable", f"The gateway {gateway} is this node.", f"/{index}/gateway")
        elif way_to(snapshot, gateway) is None:
            message = f"The gateway {gateway} is in no network of an interface."
            yield Problem("gateway_unreachable", message, f"/{index}/gateway")


def render(snapshot: Snapshot) -> Iterator[Route]:
    """Ask the host for the routes; the files of systemd-networkd belong to the interfaces."""
    for route in snapshot.value(PATH):
        way = way_to(snapshot, route["gateway"])
        if way is not None:
            path, _ = way
            yield Route(route["target_network"], route["gateway"], snapshot.value(path)["name"], origin=PATH)


def first_routes(machine: Machine) -> list[dict[str, str]]:
    """Return the static routes of the machine whose gateways are in reach of its interfaces."""
    interfaces = [address for nic in found_nics(machine)[:COUNT] for _, found in nic.addresses for address in found]
    found = []
    for network, gateway in found_routes(machine):
        address = ipaddress.ip_address(gateway)
        if any(address in one.network and address != one.ip for one in interfaces):
            found.append({"gateway": gateway, "target_network": network})
    return found[:MOST]


MOST = 256


def _identity(route: Any) -> str:
    return str(route.target_network)


NODE = ListSingleton(
    title="Static routes",
    model=Annotated[list[StaticRoute], Elements(most=MOST, unique=_identity)],
    default=first_routes,
    scope="node",
    reads=PATHS,
    rules=(gateway_unreachable,),
    render=render,
)
