"""What the three NICs have in common: model, default and rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from itertools import combinations
from operator import itemgetter
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails, PydanticCustomError

from doorward.configuration.network._addresses import NAMES, NICS, PATHS, addresses_in, first_body, ordered
from doorward.configuration.network._routes import ROUTING, routes_by_interface
from doorward.host.drivers import networkd
from doorward.host.machine import Machine
from doorward.host.network_resources import NetworkAddress, Networkd, Vlan
from doorward.host.nics import SANDBOX, found_nics
from doorward.host.resources import File, Resource
from doorward.tree.changes import ORDER
from doorward.tree.fields import Name, bad_format
from doorward.tree.models import Body, Interrelated, wrong
from doorward.tree.nodes import Singleton
from doorward.tree.ordered import Ordered
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

_POINT_TO_POINT = 2
"""Up to so many addresses a network has neither an address of its own nor one for broadcasts."""


def interface_address(value: str) -> str:
    """Return ``ip/prefix`` in canonical form. Refuses what is no address of one host in its network."""
    address, slash, prefix = value.partition("/")
    try:
        if not slash or not prefix.isdecimal() or "%" in address:
            raise ValueError
        found = ipaddress.ip_interface(value)
    except ValueError:
        raise bad_format("Must be an address with prefix, such as 192.0.2.5/24.") from None
    network = found.network
    if found.ip.is_multicast or found.ip.is_unspecified or str(found.ip) == "255.255.255.255":
        raise bad_format("Must be the address of one host.")
    if network.num_addresses > _POINT_TO_POINT:
        if found.ip == network.network_address:
            raise bad_format("Is the address of the network, not of a host in it.")
        if found.version == 4 and found.ip == network.broadcast_address:  # noqa: PLR2004 - IPv6 has no broadcast
            raise bad_format("Is the broadcast address of the network, not of a host in it.")
    return str(found)


def _untagged(value: int | None) -> int:
    return value or 0


def _only_auto(value: str) -> str:
    if value != "auto":
        raise PydanticCustomError("not_supported", "Only auto is supported by this release.")
    return value


AddressText = Annotated[str, StringConstraints(max_length=64), AfterValidator(interface_address)]


class Interface(Body):
    """Addresses in one network, untagged or in a VLAN."""

    addresses: Annotated[dict[str, AddressText], Ordered(most=256)] = Field(
        default_factory=dict, description="Static addresses with prefix by id; an id keeps its meaning when its address changes."
    )
    name: Name = Field(description="Name of the interface, unique on the node.", examples=["default"])
    vlantag: Annotated[int | None, Field(ge=0, le=4094), AfterValidator(_untagged)] = Field(
        default=0, description="VLAN tag; 0 is untagged. One interface for each tag."
    )


class Nic(Interrelated):
    """A network device of the node and its interfaces."""

    interfaces: Annotated[dict[str, Interface], Ordered(most=64)] = Field(
        default_factory=dict, description="The interfaces by id."
    )
    name: str | None = Field(
        default=None,
        description="The device, read-only; null where the machine has none.",
        json_schema_extra={"readOnly": True},
    )
    speed: Annotated[str, AfterValidator(_only_auto)] = Field(default="auto", description="Speed and duplex: auto.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Interfaces of one NIC differ in name and VLAN tag, and no address stands there twice."""
        interfaces = sent.get("interfaces")
        seen: set[tuple[str, Any]] = set()
        for key, interface in interfaces.items() if isinstance(interfaces, dict) else ():
            if key == ORDER or not isinstance(interface, dict):
                continue
            for at, value in _once(interface):
                if (at[0], value) in seen:
                    yield wrong("duplicate", "Stands on this NIC already.", "interfaces", key, *at)
                seen.add((at[0], value))


def _once(interface: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield what may occur once only: its place in the interface, and its value in canonical form."""
    if isinstance(interface.get("name"), str):
        yield ("name",), interface["name"]
    tag = interface.get("vlantag")
    if tag is None or type(tag) is int:
        yield ("vlantag",), tag or 0
    addresses = interface.get("addresses")
    for key, text in addresses.items() if isinstance(addresses, dict) else ():
        if key != ORDER and isinstance(text, str):
            try:
                yield ("addresses", key), ipaddress.ip_interface(text).ip
            except ValueError:
                continue


def in_use(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """An address that something refers to stays."""
    there = {_href(key) for key, _ in addresses_in(_nic(place), snapshot.value(place.path))}
    for href in sorted(snapshot.referrers):
        if href.startswith(f"{place.href}#") and href not in there:
            for referrer in snapshot.who_refers_to(href):
                yield Problem("referenced", f"The address {href.partition('#')[2]} is used by {referrer.href}.", "/interfaces")


def no_device(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Without a device there are no interfaces."""
    body = snapshot.value(place.path)
    if body["name"] is None and body["interfaces"][ORDER]:
        yield Problem("no_device", "The machine has no such network device.", "/interfaces")


def loopback(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Loopback addresses are for a sandbox, where nothing is set on a device."""
    body = snapshot.value(place.path)
    for key, address in addresses_in(_nic(place), body) if body["name"] != SANDBOX else ():
        if address.ip.is_loopback:
            yield Problem("unsuitable", "A loopback address can't be set on a network device.", _pointer(key))


def once_on_the_node(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """No address and no interface name is on two NICs."""
    others = [(name, snapshot.value(f"{NICS}/{name}")) for name in NAMES if name != _nic(place)]
    taken = {address.ip: name for name, body in others for _, address in addresses_in(name, body)}
    names = {interface["name"]: name for name, body in others for _, interface in ordered(body["interfaces"])}
    body = snapshot.value(place.path)
    for key, address in addresses_in(_nic(place), body):
        if address.ip in taken:
            yield Problem("duplicate", f"The address is on {taken[address.ip]} already.", _pointer(key))
    for key, interface in ordered(body["interfaces"]):
        if interface["name"] in names:
            yield Problem("duplicate", f"The name is taken on {names[interface['name']]}.", f"/interfaces/{key}/name")


def overlap(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of interfaces in overlapping networks: which one packets take is not certain then."""
    interfaces = [
        (f"{NICS}/{name}", key, interface)
        for name in NAMES
        for key, interface in ordered(snapshot.value(f"{NICS}/{name}")["interfaces"])
    ]
    for (_, _, one), (path, key, other) in combinations(interfaces, 2):
        if any(a.overlaps(b) for a in _networks(one) for b in _networks(other) if a.version == b.version):
            message = f"The interfaces {one['name']} and {other['name']} are in overlapping networks."
            yield Problem("overlap", message, f"/interfaces/{key}/addresses", path)


def _networks(interface: dict[str, Any]) -> list[Any]:
    return [ipaddress.ip_interface(text).network for _, text in ordered(interface["addresses"])]


def render(path: str) -> Callable[[Snapshot], Iterator[Resource]]:
    """Return what asks the host for a NIC: its VLANs and addresses in the kernel, and the files of systemd-networkd."""

    def of(snapshot: Snapshot) -> Iterator[Resource]:
        body = snapshot.value(path)
        device = body["name"]
        if device is None:
            return
        interfaces = sorted((interface for _, interface in ordered(body["interfaces"])), key=itemgetter("vlantag"))
        for interface in interfaces:
            tag = interface["vlantag"]
            if tag:
                yield Vlan(device, tag, networkd.vlan_name(device, tag), origin=path)
            for _, address in ordered(interface["addresses"]):
                yield NetworkAddress(device, tag, address, origin=path)
        yield from _files(snapshot, path, device, interfaces)

    return of


def _files(snapshot: Snapshot, path: str, device: str, interfaces: list[dict[str, Any]]) -> Iterator[Resource]:
    routes = routes_by_interface(snapshot)
    vlans = [networkd.vlan_name(device, interface["vlantag"]) for interface in interfaces if interface["vlantag"]]
    written: dict[str, str] = {networkd.network_path(device): networkd.network_text(device, path, vlans=vlans)}
    for interface in interfaces:
        tag, name = interface["vlantag"], device
        if tag:
            name = networkd.vlan_name(device, tag)
            written[networkd.netdev_path(name)] = networkd.netdev_text(name, tag, path)
        written[networkd.network_path(name)] = networkd.network_text(
            name,
            path,
            vlans=() if tag else vlans,
            addresses=[address for _, address in ordered(interface["addresses"])],
            routes=routes.get((path, tag), ()),
        )
    for file, text in written.items():
        yield File(file, text.encode(), origin=path, found=True)
    yield Networkd(device, tuple(written), origin=path)


def default(index: int) -> Callable[[Machine], dict[str, Any]]:
    """Return the default of a NIC by its number, 0 to 2."""

    def of(machine: Machine) -> dict[str, Any]:
        found = found_nics(machine)
        return first_body(found[index]) if index < len(found) else {"interfaces": {ORDER: []}, "name": None, "speed": "auto"}

    return of


def renewed(snapshot: Snapshot, place: Place, machine: Machine) -> dict[str, Any] | None:
    """Return the body of a NIC that had no device, where the machine has got one more by now."""
    if snapshot.value(place.path)["name"] is not None:
        return None
    taken = {snapshot.value(path)["name"] for path in PATHS}
    return next((first_body(found) for found in found_nics(machine) if found.device not in taken), None)


def nic(index: int) -> Singleton:
    """Declare the NIC with a number, 0 to 2."""
    return Singleton(
        title=f"Network interface {index + 1}",
        model=Nic,
        default=default(index),
        derived=("name",),
        renewed=renewed,
        scope="node",
        reads=(ROUTING,),
        render=render(PATHS[index]),
        at_write=(in_use,),
        rules=(in_use, no_device, loopback, once_on_the_node),
        advice=(overlap,),
    )


def _nic(place: Place) -> str:
    return place.path.rpartition("/")[2]


def _pointer(key: str) -> str:
    return "/" + key.partition(".")[2].replace(".", "/")


def _href(key: str) -> str:
    name, _, inside = key.partition(".")
    return f"{NICS}/{name}#{inside.replace('.', '/')}"
