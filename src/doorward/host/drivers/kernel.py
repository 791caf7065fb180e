"""The network of this machine, changed in the kernel over netlink. pyroute2 is imported where it is used: it is large."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from doorward.host.drivers import netlink
from doorward.host.drivers.owners import owner
from doorward.host.errors import HostError, os_reason
from doorward.host.kinds.network import Addressing

if TYPE_CHECKING:
    from collections.abc import Iterator

_TENTATIVE, _DAD_FAILED = 0x40, 0x08
_POLL_SECONDS: Final = 0.05
_DAD_SECONDS: Final = 5.0
"""How long the check that nobody else has an IPv6 address may take; usually two seconds."""

_NEIGHBOUR_SECONDS: Final = 1.0
"""How long a gateway may take to answer its neighbours."""

_PATIENCE_SECONDS, _FORGOTTEN_SECONDS = 3.0, 30.0
"""How long all gateways together may be waited for within how long a time."""


class KernelNetwork:
    """`Network` of this machine."""

    virtual = False

    def __init__(self) -> None:
        """Nothing is asked before it is used."""
        self._patience = 0.0
        self._patient_until = 0.0

    def has_device(self, device: str) -> bool:
        """See `Network.has_device`."""
        with _kernel(f"looking for {device}") as kernel:
            return _found(kernel, device, 0) is not None

    def owner(self, device: str) -> str | None:
        """See `Network.owner`."""
        with _kernel(f"looking for {device}") as kernel:
            index = _found(kernel, device, 0)
        return owner(device, index) if index is not None else None

    def has_vlan(self, device: str, tag: int) -> bool:
        """See `Network.has_vlan`."""
        with _kernel(f"looking for VLAN {tag} on {device}") as kernel:
            return _found(kernel, device, tag) is not None

    def make_vlan(self, device: str, tag: int, name: str) -> None:
        """See `Network.make_vlan`."""
        with _kernel(f"making VLAN {tag} on {device}") as kernel:
            below = _index(kernel, device, 0)
            kernel.link("set", index=below, state="up")
            kernel.link("add", ifname=name, kind="vlan", link=below, vlan_id=tag)
            kernel.link("set", index=_index(kernel, device, tag), state="up")

    def remove_vlan(self, device: str, tag: int) -> None:
        """See `Network.remove_vlan`."""
        with _kernel(f"removing VLAN {tag} on {device}") as kernel:
            kernel.link("del", index=_index(kernel, device, tag))

    def has_address(self, device: str, tag: int, address: str) -> bool:
        """See `Network.has_address`."""
        with _kernel(f"looking for {address} on {device}") as kernel:
            index = _found(kernel, device, tag)
            return index is not None and address in _addresses(kernel, index)

    def add_address(self, device: str, tag: int, address: str, deadline: float) -> None:
        """See `Network.add_address`."""
        with _kernel(f"setting {address} on {device}") as kernel:
            index = _index(kernel, device, tag)
            kernel.link("set", index=index, state="up")
            _add(kernel, index, address)
            _await_usable(kernel, index, address, min(deadline, time.monotonic() + _DAD_SECONDS))

    def remove_address(self, device: str, tag: int, address: str) -> None:
        """See `Network.remove_address`. What the kernel takes along, secondary addresses and routes, is put back."""
        with _kernel(f"removing {address} from {device}") as kernel:
            index = _index(kernel, device, tag)
            before = _addressing(kernel, index)
            _remove(kernel, index, address)
            _complete(kernel, index, Addressing(before.addresses - {address}, before.routes))

    def addressing(self, device: str, tag: int) -> Addressing | None:
        """See `Network.addressing`; None where there is no such VLAN."""
        with _kernel(f"reading what {device} has") as kernel:
            index = _found(kernel, device, tag)
            return _addressing(kernel, index) if index is not None else None

    def restore_addressing(self, device: str, tag: int, addressing: Addressing) -> None:
        """See `Network.restore_addressing`."""
        with _kernel(f"putting back what {device} had") as kernel:
            index = _index(kernel, device, tag)
            for address in _addresses(kernel, index) - addressing.addresses:
                _remove(kernel, index, address)
            _complete(kernel, index, addressing)

    def gateway(self, target: str) -> str | None:
        """See `Network.gateway`; of several the one that the kernel takes."""
        with _kernel(f"looking for the route to {target}") as kernel:
            found = [route for route in netlink.routes(kernel) if route.target == target and route.gateway]
            return min(found, key=lambda route: route.priority).gateway if found else None

    def set_route(self, target: str, gateway: str) -> None:
        """See `Network.set_route`."""
        with _kernel(f"setting the route to {target} by {gateway}") as kernel:
            kernel.route("replace", dst=target, gateway=gateway, family=_family(target))

    def remove_route(self, target: str) -> None:
        """See `Network.remove_route`."""
        with _kernel(f"removing the route to {target}") as kernel:
            for route in netlink.routes(kernel):
                if route.target == target and route.gateway:
                    kernel.route("del", **_asked(route))

    def answers(self, gateway: str) -> bool | None:
        """See `Network.answers`: has the kernel ask, as if there were a packet for the gateway."""
        with _kernel(f"asking {gateway}") as kernel:
            device = netlink.way_to(kernel, gateway)
            if device is None:
                return None
            netlink.look_for_neighbour(kernel, device, gateway)
            begun = time.monotonic()
            end = begun + self._wait(begun)
            while (answered := netlink.neighbour_answers(kernel, gateway)) is None and time.monotonic() < end:
                time.sleep(_POLL_SECONDS)
            self._patience -= time.monotonic() - begun
            return False if answered is None and end - begun >= _NEIGHBOUR_SECONDS else answered

    def _wait(self, now: float) -> float:
        """How long to wait for a gateway: with hundreds of silent ones not for each."""
        if now > self._patient_until:
            self._patience, self._patient_until = _PATIENCE_SECONDS, now + _FORGOTTEN_SECONDS
        return max(0.0, min(_NEIGHBOUR_SECONDS, self._patience))

    def hostname(self) -> str:
        """See `Network.hostname`."""
        return socket.gethostname()

    def set_hostname(self, name: str) -> None:
        """See `Network.set_hostname`."""
        try:
            socket.sethostname(name)
        except OSError as error:
            raise HostError(os_reason(f"naming the machine {name} failed", error)) from error


@contextlib.contextmanager
def _kernel(what: str) -> Iterator[Any]:
    """A connection to the kernel; what it refuses becomes a `HostError`."""
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        with IPRoute() as kernel:
            yield kernel
    except NetlinkError as error:
        raise HostError(f"{what} failed: {os.strerror(error.code)}") from error
    except OSError as error:
        raise HostError(os_reason(f"{what} failed", error)) from error


def _found(kernel: Any, device: str, tag: int) -> int | None:
    """The number of a device, or of a VLAN on it; None where it is not there."""
    links = [netlink.link_of(message) for message in kernel.get_links()]
    below = next((link.index for link in links if link.name == device), None)
    if tag == 0 or below is None:
        return below
    return next((link.index for link in links if (link.below, link.tag) == (below, tag)), None)


def _index(kernel: Any, device: str, tag: int) -> int:
    index = _found(kernel, device, tag)
    if index is None:
        raise HostError(f"there is no VLAN {tag} on {device}" if tag else f"the machine has no network device {device}")
    return index


def _addresses(kernel: Any, index: int) -> frozenset[str]:
    found = [netlink.address_of(message) for message in kernel.get_addr(index=index)]
    return frozenset(str(address) for address in found if address is not None)


def _addressing(kernel: Any, index: int) -> Addressing:
    routes = frozenset(route for route in netlink.routes(kernel) if route.device == index)
    return Addressing(_addresses(kernel, index), routes)


def _add(kernel: Any, index: int, address: str) -> None:
    one = ipaddress.ip_interface(address)
    more = {"broadcast": str(one.network.broadcast_address)} if one.version == 4 and one.network.prefixlen < 31 else {}  # noqa: PLR2004 - IPv4, and networks that have one
    kernel.addr("replace", index=index, address=str(one.ip), prefixlen=one.network.prefixlen, **more)


def _remove(kernel: Any, index: int, address: str) -> None:
    one = ipaddress.ip_interface(address)
    kernel.addr("del", index=index, address=str(one.ip), prefixlen=one.network.prefixlen)


def _complete(kernel: Any, index: int, wanted: Addressing) -> None:
    """Set again what is missing. A route whose gateway is out of reach by now stays away."""
    from pyroute2.netlink.exceptions import NetlinkError

    for address in wanted.addresses - _addresses(kernel, index):
        _add(kernel, index, address)
    for route in wanted.routes - _addressing(kernel, index).routes:
        with contextlib.suppress(NetlinkError):
            kernel.route("replace", **_asked(route))


def _await_usable(kernel: Any, index: int, address: str, deadline: float) -> None:
    """Wait for the kernel to make sure that nobody else on the network has an IPv6 address."""
    one = ipaddress.ip_interface(address)
    while one.version == 6 and netlink.has_carrier(kernel, index):  # noqa: PLR2004 - IPv6
        flags = netlink.flags_of(kernel, index, str(one.ip))
        if flags & _DAD_FAILED:
            raise HostError(f"another machine on the network has {one.ip} already")
        if not flags & _TENTATIVE:
            return
        if time.monotonic() >= deadline:
            raise HostError(f"{one.ip} was not ready for use in time")
        time.sleep(_POLL_SECONDS)


def _asked(route: netlink.KernelRoute) -> dict[str, Any]:
    """A route in the words in which the kernel is asked for it."""
    asked = {
        "dst": route.target,
        "family": _family(route.target),
        "gateway": route.gateway,
        "oif": route.device,
        "prefsrc": route.source,
        "priority": route.priority or None,
        "proto": route.proto,
        "scope": route.scope,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _family(text: str) -> int:
    return socket.AF_INET6 if ":" in text else socket.AF_INET
