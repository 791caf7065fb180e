"""Kinds `Vlan`, `NetworkAddress`, `Route` and `Hostname`: what the kernel knows of the network."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from msgspec import Struct
from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import R
from doorward.host.kinds.present import PresentKind
from doorward.host.network_resources import DeviceResource, Hostname, NetworkAddress, Route, Vlan
from doorward.host.plan import HostWarning

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from doorward.host.plan import Action, Change


D = TypeVar("D", bound=DeviceResource)
"""What stands on a device."""


class Addressing(Struct, frozen=True):
    """What a device has: addresses, and in the driver's own form the routes through it."""

    addresses: frozenset[str]
    routes: frozenset[Any]


class HostNetwork(Protocol):
    """The network of a machine. Failures are `HostError`. Devices go by name, VLANs by the device below and the tag."""

    virtual: bool
    """Whether nothing is really set, as in a sandbox."""

    def has_device(self, device: str) -> bool:
        """Whether the machine has the device."""

    def owner(self, device: str) -> str | None:
        """The name of another program that manages the device, such as "NetworkManager"."""

    def has_vlan(self, device: str, tag: int) -> bool:
        """Whether there is such a VLAN."""

    def make_vlan(self, device: str, tag: int, name: str) -> None:
        """Make a VLAN and set it up."""

    def remove_vlan(self, device: str, tag: int) -> None:
        """Remove a VLAN."""

    def has_address(self, device: str, tag: int, address: str) -> bool:
        """Whether the address can be used."""

    def add_address(self, device: str, tag: int, address: str, deadline: float) -> None:
        """Set an address, and the device up; returns when the address can be used."""

    def remove_address(self, device: str, tag: int, address: str) -> None:
        """Remove an address and nothing else."""

    def addressing(self, device: str, tag: int) -> Addressing | None:
        """What a device has, to be put back; None where it is not there."""

    def restore_addressing(self, device: str, tag: int, addressing: Addressing) -> None:
        """Give a device the addresses and routes that it had."""

    def gateway(self, target: str) -> str | None:
        """Where packets to the network are sent; None where no route says so."""

    def set_route(self, target: str, gateway: str) -> None:
        """Make or change the route to a network."""

    def remove_route(self, target: str) -> None:
        """Remove the route to a network; none there is fine."""

    def answers(self, gateway: str) -> bool | None:
        """Whether a gateway answers its neighbours; None where that can't be known yet."""

    def hostname(self) -> str:
        """The name of the machine."""

    def set_hostname(self, name: str) -> None:
        """Change the name of the machine."""


class _NetworkKind(PresentKind[R]):
    def __init__(self, network: HostNetwork) -> None:
        """`network` is that of the host."""
        self._network = network
        self.virtual = network.virtual


class _DeviceKind(_NetworkKind[D]):
    """What stands on a device."""

    @override
    def check(self, resource: D) -> list[HostWarning]:
        """A device that something else manages is left alone. Raises HostError."""
        owner = self._network.owner(resource.device)
        if owner is not None:
            raise HostError(f"{owner} manages the device {resource.device}; take the device from it first")
        return []

    @override
    def plan(self, change: Change[D], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Without its device nothing is put right, and nothing is said of it but that it differs."""
        if change.is_unchanged and not self._network.has_device(change.subject.device):
            return None, []
        return super().plan(change, touched)


class VlanKind(_DeviceKind[Vlan]):
    """Handles `Vlan`; made before its addresses, removed after them."""

    rank = -31
    removal_rank = -9

    @override
    def exists(self, resource: Vlan) -> bool:
        """See `PresentKind.exists`."""
        return self._network.has_vlan(resource.device, resource.tag)

    @override
    def create(self, resource: Vlan, deadline: float) -> None:
        """See `PresentKind.create`."""
        if not self.exists(resource):
            self._network.make_vlan(resource.device, resource.tag, resource.name)

    @override
    def delete(self, resource: Vlan) -> None:
        """See `PresentKind.delete`."""
        self._network.remove_vlan(resource.device, resource.tag)

    @override
    def text(self, resource: Vlan) -> str:
        """See `PresentKind.text`."""
        return f"VLAN {resource.tag} on {resource.device}"


class AddressKind(_DeviceKind[NetworkAddress]):
    """Handles `NetworkAddress`; listeners (-20) move in between those that come and those that go."""

    rank = -30
    removal_rank = -10

    @override
    def exists(self, resource: NetworkAddress) -> bool:
        """See `PresentKind.exists`."""
        return self._network.has_address(resource.device, resource.tag, resource.address)

    @override
    def create(self, resource: NetworkAddress, deadline: float) -> None:
        """See `PresentKind.create`."""
        self._network.add_address(resource.device, resource.tag, resource.address, deadline)

    @override
    def delete(self, resource: NetworkAddress) -> None:
        """See `PresentKind.delete`."""
        self._network.remove_address(resource.device, resource.tag, resource.address)

    @override
    def capture(self, resource: NetworkAddress) -> object:
        """All of the device: an address that goes takes routes along."""
        return self._network.addressing(resource.device, resource.tag)

    @override
    def reinstate(self, resource: NetworkAddress, before: object, deadline: float) -> None:
        """See `PresentKind.reinstate`."""
        if isinstance(before, Addressing):
            self._network.restore_addressing(resource.device, resource.tag, before)

    @override
    def confirm(self, change: Change[NetworkAddress], before: object, deadline: float) -> None:
        """The address is there or not, as before; what else was on the device at that time has its own steps."""
        one = change.subject
        if isinstance(before, Addressing) and self.exists(one) != (one.address in before.addresses):
            raise HostError(f"the {self.text(one)} is not as it was before")

    @override
    def text(self, resource: NetworkAddress) -> str:
        """See `PresentKind.text`."""
        return f"address {resource.address} on {resource.device}" + (f" in VLAN {resource.tag}" if resource.tag else "")


class RouteKind(_DeviceKind[Route]):
    """Handles `Route`. What the kernel took along with an address comes back with that address."""

    rank = 8

    @override
    def exists(self, resource: Route) -> bool:
        """See `PresentKind.exists`."""
        return self._network.virtual or self._network.gateway(resource.target) == resource.gateway

    @override
    def create(self, resource: Route, deadline: float) -> None:
        """See `PresentKind.create`."""
        self._network.set_route(resource.target, resource.gateway)

    @override
    def delete(self, resource: Route) -> None:
        """See `PresentKind.delete`."""
        self._network.remove_route(resource.target)

    @override
    def capture(self, resource: Route) -> object:
        """The gateway."""
        return self._network.gateway(resource.target)

    @override
    def reinstate(self, resource: Route, before: object, deadline: float) -> None:
        """See `PresentKind.reinstate`."""
        target = resource.target
        if self._network.gateway(target) == before:
            return
        if isinstance(before, str):
            # Its gateway may come in reach only with an address that is put back after it, and takes the route along.
            with contextlib.suppress(HostError):
                self._network.set_route(target, before)
        else:
            self._network.remove_route(target)

    @override
    def confirm(self, change: Change[Route], before: object, deadline: float) -> None:
        """As before; a route that had gone with its address by then is back with it."""
        if change.previous is None or before is not None or not self.exists(change.previous):
            super().confirm(change, before, deadline)

    @override
    def check(self, resource: Route) -> list[HostWarning]:
        """Warn of a gateway that does not answer."""
        found = super().check(resource)
        if self._network.answers(resource.gateway) is False:
            message = f"The gateway {resource.gateway} does not answer."
            found.append(HostWarning("no_answer", message, resource.origin))
        return found

    @override
    def text(self, resource: Route) -> str:
        """See `PresentKind.text`."""
        return f"route to {resource.target} by {resource.gateway}"


class HostnameKind(_NetworkKind[Hostname]):
    """Handles `Hostname`."""

    rank = 9

    @override
    def exists(self, resource: Hostname) -> bool:
        """See `PresentKind.exists`."""
        return self._network.virtual or self._network.hostname() == resource.name

    @override
    def create(self, resource: Hostname, deadline: float) -> None:
        """See `PresentKind.create`."""
        self._network.set_hostname(resource.name)

    @override
    def check(self, resource: Hostname) -> list[HostWarning]:
        """Nothing to warn of."""
        return []

    @override
    def delete(self, resource: Hostname) -> None:
        """A machine has a name: it keeps the one it has."""

    @override
    def capture(self, resource: Hostname) -> object:
        """The name."""
        return self._network.hostname()

    @override
    def reinstate(self, resource: Hostname, before: object, deadline: float) -> None:
        """See `PresentKind.reinstate`."""
        if isinstance(before, str) and self._network.hostname() != before:
            self._network.set_hostname(before)

    @override
    def text(self, resource: Hostname) -> str:
        """See `PresentKind.text`."""
        return f"host name {resource.name}"
