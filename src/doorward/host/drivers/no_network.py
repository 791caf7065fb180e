"""The network of a sandbox: nothing is set. An address counts as set when a socket can be bound to it on this machine."""

from __future__ import annotations

import ipaddress
import socket

from typing_extensions import override

from doorward.host.errors import HostError, os_reason
from doorward.host.kinds.network import Addressing, HostNetwork


class NoNetwork(HostNetwork):
    """`HostNetwork` of a sandbox."""

    virtual = True

    @override
    def has_device(self, device: str) -> bool:
        """Any."""
        return True

    @override
    def owner(self, device: str) -> str | None:
        """Nobody."""
        return None

    @override
    def has_vlan(self, device: str, tag: int) -> bool:
        """Any."""
        return True

    @override
    def make_vlan(self, device: str, tag: int, name: str) -> None:
        """Nothing."""

    @override
    def remove_vlan(self, device: str, tag: int) -> None:
        """Nothing."""

    @override
    def has_address(self, device: str, tag: int, address: str) -> bool:
        """Whether a socket can be bound to it."""
        return _refusal(address) is None

    @override
    def add_address(self, device: str, tag: int, address: str, deadline: float) -> None:
        """Bind a socket to it. Raises HostError."""
        refusal = _refusal(address)
        if refusal is not None:
            raise HostError(os_reason(f"this machine does not have {address}, which a sandbox can't change", refusal))

    @override
    def remove_address(self, device: str, tag: int, address: str) -> None:
        """Nothing."""

    @override
    def addressing(self, device: str, tag: int) -> Addressing | None:
        """Nothing."""
        return None

    @override
    def restore_addressing(self, device: str, tag: int, addressing: Addressing) -> None:
        """Nothing."""

    @override
    def gateway(self, target: str) -> str | None:
        """None."""
        return None

    @override
    def set_route(self, target: str, gateway: str) -> None:
        """Nothing."""

    @override
    def remove_route(self, target: str) -> None:
        """Nothing."""

    @override
    def answers(self, gateway: str) -> bool | None:
        """Not known."""
        return None

    @override
    def hostname(self) -> str:
        """None."""
        return ""

    @override
    def set_hostname(self, name: str) -> None:
        """Nothing."""


def _refusal(address: str) -> OSError | None:
    """Why no socket can be bound to an address."""
    one = ipaddress.ip_interface(address)
    family = socket.AF_INET6 if one.version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as datagram:
            datagram.bind((str(one.ip), 0))
    except OSError as error:
        return error
    return None
