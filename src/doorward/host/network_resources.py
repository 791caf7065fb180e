"""The resource kinds of the network. All of them are left as they were found until a commit changes them."""

from __future__ import annotations

from dataclasses import dataclass

from doorward.host.resources import HostResource


class NetworkResource(HostResource):
    """What all of them share."""

    __slots__ = ()

    @property
    def unmanaged(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True, slots=True)
class DeviceResource(NetworkResource):
    """What stands on the device named `device`."""

    device: str


@dataclass(frozen=True, slots=True)
class NetworkLine(NetworkResource):
    """The one line of the text file at `path` that begins with the word `key`; the other lines are left alone."""

    path: str
    key: str
    text: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("line", path and key)."""
        return ("line", f"{self.path} {self.key}")


@dataclass(frozen=True, slots=True)
class Vlan(DeviceResource):
    """The device `name` for the frames on `device` that carry the VLAN tag `tag`."""

    tag: int
    name: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("vlan", device and tag)."""
        return ("vlan", f"{self.device} {self.tag}")


@dataclass(frozen=True, slots=True)
class NetworkAddress(DeviceResource):
    """The address `address` ("192.0.2.5/24") on `device`, in the VLAN `tag`; 0 is untagged."""

    tag: int
    address: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("address", address, device and tag)."""
        return ("address", f"{self.address} {self.device} {self.tag}")


@dataclass(frozen=True, slots=True)
class Route(DeviceResource):
    """Packets to the network `target` go to `gateway`, a neighbour on `device`."""

    target: str
    gateway: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("route", target)."""
        return ("route", self.target)


@dataclass(frozen=True, slots=True)
class Networkd(NetworkResource):
    """What systemd-networkd makes of a device: it reads its files again when one in `reload_on` (absolute paths) changes."""

    device: str
    reload_on: tuple[str, ...] = ()
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("networkd", device)."""
        return ("networkd", self.device)


@dataclass(frozen=True, slots=True)
class NameServers(NetworkResource):
    """The addresses of the `servers` that are asked for names, in order, and the domain that is added to short ones."""

    servers: tuple[str, ...]
    search: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("name servers", "")."""
        return ("name servers", "")


@dataclass(frozen=True, slots=True)
class Hostname(NetworkResource):
    """The name of the machine, one label."""

    name: str
    origin: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """("hostname", "")."""
        return ("hostname", "")
