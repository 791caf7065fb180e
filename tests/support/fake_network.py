"""A network in memory, with faults on request."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from doorward.host.errors import HostError
from doorward.host.kinds.network import Addressing


@dataclass
class FakeNetwork:
    """`Network` of a machine with the devices `devices`. `fail_on` is an address that is refused, `owners` manage devices."""

    virtual: bool = False
    devices: set[str] = field(default_factory=lambda: {"sandbox0", "eth0", "eth1"})
    vlans: set[tuple[str, int]] = field(default_factory=set)
    addresses: set[tuple[str, int, str]] = field(default_factory=set)
    routes: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    name: str = "machine"
    fail_on: str = ""
    forgets: str = ""
    done: list[str] = field(default_factory=list)

    def has_device(self, device: str) -> bool:
        return device in self.devices

    def owner(self, device: str) -> str | None:
        return self.owners.get(device)

    def has_vlan(self, device: str, tag: int) -> bool:
        return (device, tag) in self.vlans

    def make_vlan(self, device: str, tag: int, name: str) -> None:
        self.done.append(f"vlan {name}")
        self.vlans.add((device, tag))

    def remove_vlan(self, device: str, tag: int) -> None:
        if any((device, tag) == found[:2] for found in self.addresses):
            raise HostError("the VLAN has addresses")
        self.done.append(f"no vlan {device} {tag}")
        self.vlans.remove((device, tag))

    def has_address(self, device: str, tag: int, address: str) -> bool:
        return (device, tag, address) in self.addresses

    def add_address(self, device: str, tag: int, address: str, _deadline: float) -> None:
        if device not in self.devices or (tag and (device, tag) not in self.vlans) or address == self.fail_on:
            raise HostError(f"{address} was refused")
        self.done.append(f"add {address}")
        if address != self.forgets:
            self.addresses.add((device, tag, address))

    def remove_address(self, device: str, tag: int, address: str) -> None:
        self.done.append(f"remove {address}")
        self.addresses.remove((device, tag, address))
        self.routes = {target: gateway for target, gateway in self.routes.items() if self._reaches(gateway)}

    def _reaches(self, gateway: str) -> bool:
        return any(ipaddress.ip_address(gateway) in ipaddress.ip_interface(found).network for _, _, found in self.addresses)

    def addressing(self, device: str, tag: int) -> Addressing | None:
        found = frozenset(address for *where, address in self.addresses if where == [device, tag])
        return Addressing(found, frozenset(self.routes.items()))

    def restore_addressing(self, device: str, tag: int, addressing: Addressing) -> None:
        self.addresses = {found for found in self.addresses if found[:2] != (device, tag)}
        self.addresses |= {(device, tag, address) for address in addressing.addresses}
        self.routes |= dict(addressing.routes)

    def gateway(self, target: str) -> str | None:
        return self.routes.get(target)

    def set_route(self, target: str, gateway: str) -> None:
        if not self._reaches(gateway):
            raise HostError(f"{gateway} is out of reach")
        self.done.append(f"route {target} {gateway}")
        self.routes[target] = gateway

    def remove_route(self, target: str) -> None:
        self.done.append(f"no route {target}")
        self.routes.pop(target, None)

    def answers(self, gateway: str) -> bool | None:
        return gateway not in self.silent if self._reaches(gateway) else None

    def hostname(self) -> str:
        return self.name

    def set_hostname(self, name: str) -> None:
        self.done.append(f"name {name}")
        self.name = name
