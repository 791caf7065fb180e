"""The kernel's network devices, addresses and routes, over netlink. pyroute2 is imported where it is used: it is large."""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Sequence

Interface = IPv4Interface | IPv6Interface
"""An address with the network that it is in."""

_ETHERNET: Final = 1
"""ARPHRD_ETHER, the hardware type of devices that carry frames."""

_MADE_BY_OTHERS: Final = frozenset({"bridge", "ifb", "ipvlan", "macvlan", "macvtap", "tun", "vlan"})
"""Kinds of devices that stand on another one or belong to guests."""

_UNIVERSE, _SITE = 0, 200
_TEMPORARY, _MANAGED = 0x01, 0x100
_FOREVER: Final = 0xFFFFFFFF
_MAIN, _UNICAST = 254, 1
_SET_BY_SOMEBODY: Final = frozenset({0, 3, 4, 16})
"""Origins of routes: unknown, boot, static, DHCP."""

_INCOMPLETE, _FAILED = 0x01, 0x20
_USE: Final = 0x01
"""NTF_USE of <linux/neighbour.h>."""
_NO_ARP: Final = 0x80


class FoundNic(Struct, frozen=True):
    """A device by its name, and its addresses by VLAN tag; 0 is untagged."""

    device: str
    addresses: tuple[tuple[int, tuple[Interface, ...]], ...] = ((0, ()),)


class NetworkDevice(Struct, frozen=True):
    """A device: its number and name, and for a VLAN the number of the device below it and the tag."""

    index: int
    name: str
    below: int = 0
    tag: int = 0


def read_nics() -> Sequence[FoundNic]:
    """Return the network devices of the kernel with their VLANs and addresses: those in use first, then by number.

    Left out are devices that are part of another one, and addresses that the network assigns by itself (IPv6).
    """
    from pyroute2 import IPRoute

    with IPRoute() as kernel:
        messages = kernel.get_links()
        links = [link_of(message) for message in messages]
        addresses: dict[int, list[Interface]] = {}
        for message in kernel.get_addr():
            if (address := address_of(message)) is not None:
                addresses.setdefault(message["index"], []).append(address)
    nics = []
    for link, message in sorted(zip(links, messages, strict=True), key=lambda pair: pair[0].index):
        if _is_nic(message):
            vlans = sorted((other.tag, other.index) for other in links if other.below == link.index)
            tagged = [(tag, tuple(addresses.get(index, ()))) for tag, index in [(0, link.index), *vlans]]
            nics.append(FoundNic(link.name, tuple(tagged)))
    return sorted(nics, key=lambda nic: not any(found for _, found in nic.addresses))


def link_of(message: Any) -> NetworkDevice:
    """Return the device that a message of the kernel is about."""
    name, index = message.get_attr("IFLA_IFNAME"), message["index"]
    if message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "vlan":
        return NetworkDevice(index, name)
    tag = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_VLAN_ID")
    return NetworkDevice(index, name, message.get_attr("IFLA_LINK") or 0, tag or 0)


def address_of(message: Any) -> Interface | None:
    """Return the address that a message of the kernel is about; None for one that is not set by an administrator."""
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    lifetime = message.get_attr("IFA_CACHEINFO") or {}
    assigned = message["family"] == socket.AF_INET6 and (
        flags & (_TEMPORARY | _MANAGED) or lifetime.get("ifa_valid", _FOREVER) != _FOREVER
    )
    if message["scope"] not in (_UNIVERSE, _SITE) or assigned:
        return None
    return ipaddress.ip_interface(f"{text}/{message['prefixlen']}")


def _is_nic(message: Any) -> bool:
    kind = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
    return message["ifi_type"] == _ETHERNET and kind not in _MADE_BY_OTHERS and not message.get_attr("IFLA_MASTER")


class KernelRoute(Struct, frozen=True):
    """A route of the main table to the network `target`: by a gateway or not, through the device with a number."""

    target: str
    gateway: str | None
    device: int
    source: str | None
    priority: int
    proto: int
    scope: int


def routes(kernel: Any) -> list[KernelRoute]:
    """Return the routes of the main table that somebody set, unlike those that come with addresses or from the network."""
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in kernel.get_routes(table=_MAIN, family=family):
            if message["type"] != _UNICAST or message["proto"] not in _SET_BY_SOMEBODY or not message.get_attr("RTA_OIF"):
                continue
            anywhere = "::" if family == socket.AF_INET6 else "0.0.0.0"  # noqa: S104 - a network, nothing listens
            found.append(
                KernelRoute(
                    str(ipaddress.ip_network(f"{message.get_attr('RTA_DST') or anywhere}/{message['dst_len']}")),
                    message.get_attr("RTA_GATEWAY"),
                    message.get_attr("RTA_OIF"),
                    message.get_attr("RTA_PREFSRC"),
                    message.get_attr("RTA_PRIORITY") or 0,
                    message["proto"],
                    message["scope"],
                )
            )
    return found


def read_routes() -> list[tuple[str, str]]:
    """Return (target, gateway) of the machine's routes by gateways, each target once, in the order of the kernel."""
    from pyroute2 import IPRoute

    with IPRoute() as kernel:
        found = sorted(routes(kernel), key=lambda route: route.priority, reverse=True)
    return list({route.target: route.gateway for route in found if route.gateway}.items())


def way_to(kernel: Any, address: str) -> int | None:
    """Return the number of the device over which packets go straight to an address; None where they don't."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        [message, *_] = kernel.route("get", dst=address, family=_family(address))
    except (NetlinkError, ValueError):
        return None
    straight = message["type"] == _UNICAST and not message.get_attr("RTA_GATEWAY")
    return message.get_attr("RTA_OIF") if straight else None


def look_for_neighbour(kernel: Any, device: int, address: str) -> None:
    """Have the kernel ask whether a neighbour is there, as if there were a packet for it."""
    kernel.neigh("replace", dst=address, ifindex=device, family=_family(address), flags=_USE, state=0)


def neighbour_answers(kernel: Any, address: str) -> bool | None:
    """Whether a neighbour has answered; None as long as the kernel waits for that."""
    for message in kernel.get_neighbours(family=_family(address)):
        if message.get_attr("NDA_DST") == address and message["state"] not in (0, _INCOMPLETE):
            return bool(message["state"] != _FAILED)
    return None


def has_carrier(kernel: Any, index: int) -> bool:
    """Whether a device is connected, so that an IPv6 address on it is checked for doubles."""
    [message] = kernel.get_links(index)
    return bool(message.get_attr("IFLA_CARRIER")) and not message["flags"] & _NO_ARP


def flags_of(kernel: Any, index: int, address: str) -> int:
    """Return the flags of an address; 0 where there is none."""
    for message in kernel.get_addr(index=index):
        if address == message.get_attr("IFA_ADDRESS"):
            return int(message.get_attr("IFA_FLAGS") or message["flags"])
    return 0


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
