"""The network of a sandbox: nothing is set. An address counts as set when a socket can be bound to it on this machine."""

from __future__ import annotations

import ipaddress
import socket

from doorward.host.errors import HostError, os_reason
from doorward.host.kinds.network import Addressing


class NoNetwork:
    """`Network` of a sandbox."""

    virtual = True

    def has_device(self, device: str) -> bool:  # noqa: ARG002 - the port's signature
        """Any."""
        return True

    def owner(self, device: str) -> str | None:  # noqa: ARG002 - the port's signature
        """Nobody."""
        return None

    def has_vlan(self, device: str, tag: int) -> bool:  # noqa: ARG002 - the port's signature
        """Any."""
        return True

    def make_vlan(self, device: str, tag: int, name: str) -> None:
        """Nothing."""

    def remove_vlan(self, device: str, tag: int) -> None:
        """Nothing."""

    def has_address(self, device: str, tag: int, address: str) -> bool:  # noqa: ARG002 - the port's signature
        """Whether a socket can be bound to it."""
        return _refusal(address) is None

    def add_address(self, device: str, tag: int, address: str, deadline: float) -> None:  # noqa: ARG002 - the port's signature
        """Bind a socket to it."""
        refusal = _refusal(address)
        if refusal is not None:
            raise HostError(os_reason(f"this machine does not have {address}, which a sandbox can't change", refusal))

    def remove_address(self, device: str, tag: int, address: str) -> None:
        """Nothing."""

    def addressing(self, device: str, tag: int) -> Addressing | None:  # noqa: ARG002 - the port's signature
        """Nothing."""
        return None

    def restore_addressing(self, device: str, tag: int, addressing: Addressing) -> None:
        """Nothing."""

    def gateway(self, target: str) -> str | None:  # noqa: ARG002 - the port's signature
        """None."""
        return None

    def set_route(self, target: str, gateway: str) -> None:
        """Nothing."""

    def remove_route(self, target: str) -> None:
        """Nothing."""

    def answers(self, gateway: str) -> bool | None:  # noqa: ARG002 - the port's signature
        """Not known."""
        return None

    def hostname(self) -> str:
        """None."""
        return ""

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
