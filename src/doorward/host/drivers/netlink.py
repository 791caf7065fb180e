"""The kernel's network devices, addresses and routes, over netlink. pyroute2 is imported where it is used: it is large."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

Interface = IPv4Interface | IPv6Interface
"""An address with the network that it is in."""

_ETHERNET: Final = 1
"""ARPHRD_ETHER, the hardware type of devices that carry frames."""

_MADE_BY_OTHERS: Final = frozenset({"bridge", "ifb", "ipvlan", "macvlan", "macvtap", "tun", "vlan"})
"""Kinds of devices that stand on another one or belong to guests."""

_UNIVERSE, _SITE, _HOST = 0, 200, 254
_TEMPORARY, _MANAGED = 0x01, 0x100
_IPV4, _IPV6 = 2, 10


@dataclass(frozen=True, slots=True)
class FoundNic:
    """A device by its name, and its addresses by VLAN tag; 0 is untagged."""

    device: str
    addresses: tuple[tuple[int, tuple[Interface, ...]], ...] = ((0, ()),)


@dataclass(frozen=True, slots=True)
class Link:
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


def link_of(message: Any) -> Link:
    """Return the device that a message of the kernel is about."""
    name, index = message.get_attr("IFLA_IFNAME"), message["index"]
    if message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND") != "vlan":
        return Link(index, name)
    tag = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", "IFLA_VLAN_ID")
    return Link(index, name, message.get_attr("IFLA_LINK") or 0, tag or 0)


def address_of(message: Any) -> Interface | None:
    """Return the address that a message of the kernel is about; None for one that is not set by an administrator."""
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    flags = message.get_attr("IFA_FLAGS") or message["flags"]
    lifetime = message.get_attr("IFA_CACHEINFO") or {}
    assigned = message["family"] == _IPV6 and (flags & (_TEMPORARY | _MANAGED) or lifetime.get("ifa_valid", _FOREVER) != _FOREVER)
    if message["scope"] not in (_UNIVERSE, _SITE) or assigned:
        return None
    return ipaddress.ip_interface(f"{text}/{message['prefixlen']}")


_FOREVER: Final = 0xFFFFFFFF


def _is_nic(message: Any) -> bool:
    kind = message.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
    return message["ifi_type"] == _ETHERNET and kind not in _MADE_BY_OTHERS and not message.get_attr("IFLA_MASTER")
