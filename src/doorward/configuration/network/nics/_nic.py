"""What the three NICs have in common: model, default and rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import combinations
from operator import attrgetter
from typing import Any

from doorward.configuration.network._addresses import addresses_in, first_body
from doorward.configuration.network._nics import NAMES, NIC, NICS, PATHS, Interface, Nic
from doorward.configuration.network._routes import ROUTING, routes_by_interface
from doorward.host.drivers import networkd
from doorward.host.kinds.network import Addressing
from doorward.host.machine import Machine
from doorward.host.network_resources import NetworkAddress, Networkd, Vlan
from doorward.host.nics import SANDBOX, found_nics
from doorward.host.resources import File, HostResource
from doorward.tree.changes import ORDER
from doorward.tree.described import At
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot


def in_use(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """An address that something refers to stays."""
    there = {_href(key) for key, _ in addresses_in(_name(place), _nic(snapshot, place))}
    for href in sorted(snapshot.referrers):
        if href.startswith(f"{place.href}#") and href not in there:
            for referrer in snapshot.who_refers_to(href):
                yield Problem("referenced", f"The address {href.partition('#')[2]} is used by {referrer.href}.", "/interfaces")


def no_device(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Without a device there are no interfaces."""
    nic = _nic(snapshot, place)
    if nic.name is None and nic.interfaces:
        yield Problem("no_device", "The machine has no such network device.", "/interfaces")


def loopback(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Loopback addresses are for a sandbox, where nothing is set on a device."""
    nic = _nic(snapshot, place)
    for key, address in addresses_in(_name(place), nic) if nic.name != SANDBOX else ():
        if address.ip.is_loopback:
            yield Problem("unsuitable", "A loopback address can't be set on a network device.", _pointer(key))


def once_on_the_node(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """No address and no interface name is on two NICs."""
    others = [(name, snapshot.read(at)) for name, at in zip(NAMES, NIC, strict=True) if at.path != place.path]
    taken = {address.ip: name for name, other in others for _, address in addresses_in(name, other)}
    names = {interface.name: name for name, other in others for interface in other.interfaces.values()}
    nic = _nic(snapshot, place)
    for key, address in addresses_in(_name(place), nic):
        if address.ip in taken:
            yield Problem("duplicate", f"The address is on {taken[address.ip]} already.", _pointer(key))
    for key, interface in nic.interfaces.items():
        if interface.name in names:
            yield Problem("duplicate", f"The name is taken on {names[interface.name]}.", f"/interfaces/{key}/name")


def overlap(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Warn of interfaces in overlapping networks: which one packets take is not certain then."""
    interfaces = [(at.path, key, interface) for at in NIC for key, interface in snapshot.read(at).interfaces.items()]
    for (_, _, one), (path, key, other) in combinations(interfaces, 2):
        if any(a.overlaps(b) for a in one.networks for b in other.networks if a.version == b.version):
            message = f"The interfaces {one.name} and {other.name} are in overlapping networks."
            yield Problem("overlap", message, f"/interfaces/{key}/addresses", path)


def render(at: At[Nic]) -> Callable[[Snapshot], Iterator[HostResource]]:
    """Return what asks the host for a NIC: its VLANs and addresses in the kernel, and the files of systemd-networkd."""

    def of(snapshot: Snapshot) -> Iterator[HostResource]:
        nic = snapshot.read(at)
        device = nic.name
        if device is None:
            return
        interfaces = sorted(nic.interfaces.values(), key=attrgetter("tag"))
        for interface in interfaces:
            tag = interface.tag
            if tag:
                yield Vlan(device, tag, networkd.vlan_name(device, tag), origin=at.path)
            for address in interface.addresses.values():
                yield NetworkAddress(device, tag, address, origin=at.path)
        yield from _files(snapshot, at.path, device, interfaces)

    return of


def adopt(at: At[Nic]) -> Callable[[Snapshot, Callable[[Any], object]], dict[str, Any] | None]:
    """Return what gives the body of a NIC with the addresses that the device has.

    An address that is gone is replaced by one that came on the same interface, else left out; what came beside is not taken.
    """

    def of(snapshot: Snapshot, found: Callable[[Any], object]) -> dict[str, Any] | None:
        nic, body = snapshot.read(at), snapshot.value(at.path)
        if nic.name is None:
            return None
        interfaces = dict(body["interfaces"])
        for key, interface in nic.interfaces.items():
            one = next(iter(interface.addresses.values()), None)
            there = found(NetworkAddress(nic.name, interface.tag, one, origin=at.path)) if one is not None else None
            if isinstance(there, Addressing):  # without its device nothing is known of it
                interfaces[key] = interfaces[key] | {"addresses": _adopted(interface.addresses, there.addresses)}
        return {**body, "interfaces": interfaces} if interfaces != body["interfaces"] else None

    return of


def _adopted(configured: Mapping[str, str], there: AbstractSet[str]) -> dict[str, Any]:
    """Return the addresses of an interface by id, as the device has them."""
    came = [ipaddress.ip_interface(text) for text in sorted(there - set(configured.values()))]
    came = [address for address in came if not address.ip.is_link_local]
    adopted: dict[str, str] = {}
    for key, text in configured.items():
        if text in there:
            adopted[key] = text
            continue
        version = ipaddress.ip_interface(text).version
        other = next((address for address in came if address.version == version), None)
        if other is not None:
            came.remove(other)
            adopted[key] = str(other)
    return {ORDER: list(adopted), **adopted}


def _files(snapshot: Snapshot, path: str, device: str, interfaces: list[Interface]) -> Iterator[HostResource]:
    routes = routes_by_interface(snapshot)
    vlans = [networkd.vlan_name(device, interface.tag) for interface in interfaces if interface.tag]
    written: dict[str, str] = {networkd.network_path(device): networkd.network_text(device, path, vlans=vlans)}
    for interface in interfaces:
        tag, name = interface.tag, device
        if tag:
            name = networkd.vlan_name(device, tag)
            written[networkd.netdev_path(name)] = networkd.netdev_text(name, tag, path)
        written[networkd.network_path(name)] = networkd.network_text(
            name,
            path,
            vlans=() if tag else vlans,
            addresses=list(interface.addresses.values()),
            routes=routes.get((path, tag), ()),
        )
    for file, text in written.items():
        yield File(file, text.encode(), origin=path, unmanaged=True)
    yield Networkd(device, tuple(written), origin=path)


def default(index: int) -> Callable[[Machine], dict[str, Any]]:
    """Return the default of a NIC by its number, 0 to 2."""

    def of(machine: Machine) -> dict[str, Any]:
        found = found_nics(machine)
        return first_body(found[index]) if index < len(found) else {"interfaces": {ORDER: []}, "name": None, "speed": "auto"}

    return of


def renewed(snapshot: Snapshot, place: Place, machine: Machine) -> dict[str, Any] | None:
    """Return the body of a NIC that had no device, where the machine has got one more by now."""
    if _nic(snapshot, place).name is not None:
        return None
    taken = {snapshot.read(at).name for at in NIC}
    return next((first_body(found) for found in found_nics(machine) if found.device not in taken), None)


def nic(index: int) -> Singleton[Nic]:
    """Declare the NIC with a number, 0 to 2."""
    return Singleton(
        title=f"Network interface {index + 1}",
        model=Nic,
        default=default(index),
        derived=("name",),
        renewed=renewed,
        scope="node",
        reads=(ROUTING,),
        render=render(NIC[index]),
        adopt=adopt(NIC[index]),
        at_write=(in_use,),
        rules=(in_use, no_device, loopback, once_on_the_node),
        advice=(overlap,),
    )


def _nic(snapshot: Snapshot, place: Place) -> Nic:
    return snapshot.read(NIC[PATHS.index(place.path)])


def _name(place: Place) -> str:
    return place.path.rpartition("/")[2]


def _pointer(key: str) -> str:
    return "/" + key.partition(".")[2].replace(".", "/")


def _href(key: str) -> str:
    name, _, inside = key.partition(".")
    return f"{NICS}/{name}#{inside.replace('.', '/')}"
