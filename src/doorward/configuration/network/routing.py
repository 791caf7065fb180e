"""Static routes: which gateway packets to a network are sent to.

Committing the list sets the routes in the kernel and in the files of systemd-networkd, and reads them back from the kernel. In
a sandbox only the files are written.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from doorward.configuration.network._addresses import addresses
from doorward.configuration.network._nics import NIC, PATHS
from doorward.configuration.network._routes import ROUTING, StaticRoute, way_to
from doorward.host.machine import Machine
from doorward.host.network_resources import Route
from doorward.host.nics import COUNT, found_nics, found_routes
from doorward.tree.models import Elements
from doorward.tree.nodes import ListSingleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = ROUTING


def gateway_unreachable(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """A gateway is a neighbour: in the network of an interface, and not the node itself."""
    own = {str(address.ip) for _, address in addresses(snapshot)}
    for index, route in enumerate(snapshot.read(NODE)):
        if route.gateway in own:
            yield Problem("gateway_unreachable", f"The gateway {route.gateway} is this node.", f"/{index}/gateway")
        elif way_to(snapshot, route.gateway) is None:
            message = f"The gateway {route.gateway} is in no network of an interface."
            yield Problem("gateway_unreachable", message, f"/{index}/gateway")


def render(snapshot: Snapshot) -> Iterator[Route]:
    """Ask the host for the routes; the files of systemd-networkd belong to the interfaces."""
    yield from (route for one in snapshot.read(NODE) if (route := _asked(snapshot, one)) is not None)


def _asked(snapshot: Snapshot, route: StaticRoute) -> Route | None:
    """Return what a route asks the host for; None where no device leads to its gateway."""
    way = way_to(snapshot, route.gateway)
    device = snapshot.read(NIC[PATHS.index(way[0])]).name if way is not None else None
    return Route(device, route.target_network, route.gateway, origin=PATH) if device is not None else None


def adopt(snapshot: Snapshot, found: Callable[[Any], object]) -> list[dict[str, str]] | None:
    """Return the routes with the gateways that the host has for them, without those that it does not have."""
    configured, adopted = snapshot.read(NODE), []
    for route in configured:
        asked = _asked(snapshot, route)
        gateway = found(asked) if asked is not None else route.gateway
        if isinstance(gateway, str):
            adopted.append({"gateway": gateway, "target_network": route.target_network})
    return adopted if adopted != [route.model_dump(mode="json") for route in configured] else None


def first_routes(machine: Machine) -> list[dict[str, str]]:
    """Return the static routes of the machine whose gateways are in reach of its interfaces."""
    interfaces = [address for nic in found_nics(machine)[:COUNT] for _, found in nic.addresses for address in found]
    found = []
    for network, gateway in found_routes(machine):
        address = ipaddress.ip_address(gateway)
        if any(address in one.network and address != one.ip for one in interfaces):
            found.append({"gateway": gateway, "target_network": network})
    return found[:MAX_ROUTES]


MAX_ROUTES = 256


def _identity(route: StaticRoute) -> str:
    return route.target_network


NODE: ListSingleton[StaticRoute] = ListSingleton(
    title="Static routes",
    model=Annotated[list[StaticRoute], Elements(most=MAX_ROUTES, unique=_identity)],
    default=first_routes,
    scope="node",
    reads=PATHS,
    rules=(gateway_unreachable,),
    render=render,
    adopt=adopt,
)
