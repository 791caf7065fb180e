"""Kinds `Vlan`, `NetworkAddress`, `Route` and `Hostname`: what the kernel knows of the network."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from doorward.host.errors import HostError
from doorward.host.kinds.present import PresentKind
from doorward.host.network_resources import Hostname, NetworkAddress, Route, Vlan
from doorward.host.plan import Change, HostWarning

if TYPE_CHECKING:
    from doorward.host.resources import Resource


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Addressing:
    """What a device has: addresses, and in the driver's own form the routes through it."""

    addresses: frozenset[str]
    routes: frozenset[Any]


class Network(Protocol):
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


class _NetworkKind(PresentKind):
    def __init__(self, network: Network) -> None:
        """`network` is that of the host."""
        self._network = network
        self.virtual = network.virtual

    def check(self, resource: Resource) -> list[HostWarning]:
        """A device that something else manages is left alone."""
        device = getattr(resource, "device", "")
        owner = self._network.owner(device) if device else None
        if owner is not None:
            raise HostError(f"{owner} manages the device {device}; take the device from it first")
        return []

    def out_of_reach(self, resource: Resource) -> bool:
        """Without its device."""
        device = getattr(resource, "device", "")
        return bool(device) and not self._network.has_device(device)


class VlanKind(_NetworkKind):
    """Handles `Vlan`; made before its addresses, removed after them."""

    rank = -31
    removal_rank = -9

    def exists(self, resource: Resource) -> bool:
        """See `PresentKind.exists`."""
        vlan = _as(Vlan, resource)
        return self._network.has_vlan(vlan.device, vlan.tag)

    def create(self, resource: Resource, deadline: float) -> None:  # noqa: ARG002 - the kernel answers at once
        """See `PresentKind.create`."""
        vlan = _as(Vlan, resource)
        if not self.exists(vlan):
            self._network.make_vlan(vlan.device, vlan.tag, vlan.name)

    def delete(self, resource: Resource) -> None:
        """See `PresentKind.delete`."""
        vlan = _as(Vlan, resource)
        self._network.remove_vlan(vlan.device, vlan.tag)

    def text(self, resource: Resource) -> str:
        """See `PresentKind.text`."""
        vlan = _as(Vlan, resource)
        return f"VLAN {vlan.tag} on {vlan.device}"


class AddressKind(_NetworkKind):
    """Handles `NetworkAddress`; listeners (-20) move in between those that come and those that go."""

    rank = -30
    removal_rank = -10

    def exists(self, resource: Resource) -> bool:
        """See `PresentKind.exists`."""
        one = _as(NetworkAddress, resource)
        return self._network.has_address(one.device, one.tag, one.address)

    def create(self, resource: Resource, deadline: float) -> None:
        """See `PresentKind.create`."""
        one = _as(NetworkAddress, resource)
        self._network.add_address(one.device, one.tag, one.address, deadline)

    def delete(self, resource: Resource) -> None:
        """See `PresentKind.delete`."""
        one = _as(NetworkAddress, resource)
        self._network.remove_address(one.device, one.tag, one.address)

    def capture(self, resource: Resource) -> object:
        """All of the device: an address that goes takes routes along."""
        one = _as(NetworkAddress, resource)
        return self._network.addressing(one.device, one.tag)

    def reinstate(self, resource: Resource, before: object, deadline: float) -> None:  # noqa: ARG002 - see `Network.restore_addressing`
        """See `PresentKind.reinstate`."""
        one = _as(NetworkAddress, resource)
        if isinstance(before, Addressing):
            self._network.restore_addressing(one.device, one.tag, before)

    def confirm(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """The address is there or not, as before; what else was on the device at that time has its own steps."""
        one = _as(NetworkAddress, change.subject)
        if isinstance(before, Addressing) and self.exists(one) != (one.address in before.addresses):
            raise HostError(f"the {self.text(one)} is not as it was before")

    def text(self, resource: Resource) -> str:
        """See `PresentKind.text`."""
        one = _as(NetworkAddress, resource)
        return f"address {one.address} on {one.device}" + (f" in VLAN {one.tag}" if one.tag else "")


class RouteKind(_NetworkKind):
    """Handles `Route`. What the kernel took along with an address comes back with that address."""

    rank = 8
    removal_rank = 8

    def exists(self, resource: Resource) -> bool:
        """See `PresentKind.exists`."""
        route = _as(Route, resource)
        return self._network.virtual or self._network.gateway(route.target) == route.gateway

    def create(self, resource: Resource, deadline: float) -> None:  # noqa: ARG002 - the kernel answers at once
        """See `PresentKind.create`."""
        route = _as(Route, resource)
        self._network.set_route(route.target, route.gateway)

    def delete(self, resource: Resource) -> None:
        """See `PresentKind.delete`."""
        self._network.remove_route(_as(Route, resource).target)

    def capture(self, resource: Resource) -> object:
        """The gateway."""
        return self._network.gateway(_as(Route, resource).target)

    def reinstate(self, resource: Resource, before: object, deadline: float) -> None:  # noqa: ARG002 - the kernel answers at once
        """See `PresentKind.reinstate`."""
        target = _as(Route, resource).target
        if self._network.gateway(target) == before:
            return
        if isinstance(before, str):
            # Its gateway may come in reach only with an address that is put back after it, and takes the route along.
            with contextlib.suppress(HostError):
                self._network.set_route(target, before)
        else:
            self._network.remove_route(target)

    def confirm(self, change: Change, before: object, deadline: float) -> None:
        """As before; a route that had gone with its address by then is back with it."""
        if change.previous is None or before is not None or not self.exists(change.previous):
            _NetworkKind.confirm(self, change, before, deadline)

    def check(self, resource: Resource) -> list[HostWarning]:
        """Warn of a gateway that does not answer."""
        route = _as(Route, resource)
        found = _NetworkKind.check(self, resource)
        if self._network.answers(route.gateway) is False:
            message = f"The gateway {route.gateway} does not answer."
            found.append(HostWarning("no_answer", message, route.origin))
        return found

    def text(self, resource: Resource) -> str:
        """See `PresentKind.text`."""
        route = _as(Route, resource)
        return f"route to {route.target} by {route.gateway}"


class HostnameKind(_NetworkKind):
    """Handles `Hostname`."""

    rank = 9
    removal_rank = 9

    def exists(self, resource: Resource) -> bool:
        """See `PresentKind.exists`."""
        return self._network.virtual or self._network.hostname() == _as(Hostname, resource).name

    def create(self, resource: Resource, deadline: float) -> None:  # noqa: ARG002 - the kernel answers at once
        """See `PresentKind.create`."""
        self._network.set_hostname(_as(Hostname, resource).name)

    def delete(self, resource: Resource) -> None:
        """A machine has a name: it keeps the one it has."""

    def capture(self, resource: Resource) -> object:  # noqa: ARG002 - there is one name
        """The name."""
        return self._network.hostname()

    def reinstate(self, resource: Resource, before: object, deadline: float) -> None:  # noqa: ARG002 - see `create`
        """See `PresentKind.reinstate`."""
        if isinstance(before, str) and self._network.hostname() != before:
            self._network.set_hostname(before)

    def text(self, resource: Resource) -> str:
        """See `PresentKind.text`."""
        return f"host name {_as(Hostname, resource).name}"


def _as(kind: type[T], resource: Resource) -> T:
    if isinstance(resource, kind):
        return resource
    raise TypeError(type(resource).__name__)
