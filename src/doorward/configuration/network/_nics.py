"""A network device and its interfaces as a body, for the three NICs and for those that read them. No endpoint."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails, PydanticCustomError

from doorward.tree.changes import ORDER
from doorward.tree.described import At
from doorward.tree.fields import Name, bad_format
from doorward.tree.models import Body, Interrelated, wrong
from doorward.tree.ordered import Ordered

NICS = "/api/configuration/network/nics"
NAMES = ("nic1", "nic2", "nic3")
PATHS = tuple(f"{NICS}/{name}" for name in NAMES)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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

    name: Name = Field(description="Name of the interface, unique on the node.", examples=["default"])
    vlantag: Annotated[int | None, Field(ge=0, le=4094), AfterValidator(_untagged)] = Field(
        default=0, description="VLAN tag; 0 is untagged. One interface for each tag."
    )
    addresses: Annotated[dict[str, AddressText], Ordered(most=256)] = Field(
        default_factory=dict, description="Static addresses with prefix by id; an id keeps its meaning when its address changes."
    )

    @property
    def tag(self) -> int:
        """The VLAN tag; 0 is untagged."""
        return self.vlantag or 0

    @property
    def networks(self) -> list[Network]:
        """The networks that the addresses are in."""
        return [ipaddress.ip_interface(text).network for text in self.addresses.values()]


class Nic(Interrelated):
    """A network device of the node and its interfaces."""

    name: str | None = Field(
        default=None,
        description="The device, read-only; null where the machine has none.",
        json_schema_extra={"readOnly": True},
    )
    speed: Annotated[str, AfterValidator(_only_auto)] = Field(default="auto", description="Speed and duplex: auto.")
    interfaces: Annotated[dict[str, Interface], Ordered(most=64)] = Field(
        default_factory=dict, description="The interfaces by id."
    )

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


NIC: tuple[At[Nic], ...] = tuple(At(path, Nic) for path in PATHS)
"""Where the three NICs are read."""
