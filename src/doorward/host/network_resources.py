"""The resource kinds of the network. All of them are left as they were found until a commit changes them.

`unmanaged` says so; see `resources.left_as_found`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Line:
    """The one line of the text file at `path` that begins with the word `key`; the other lines are left alone."""

    path: str
    key: str
    text: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("line", path and key)."""
        return ("line", f"{self.path} {self.key}")


@dataclass(frozen=True, slots=True)
class Vlan:
    """The device `name` for the frames on `device` that carry the VLAN tag `tag`."""

    device: str
    tag: int
    name: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("vlan", device and tag)."""
        return ("vlan", f"{self.device} {self.tag}")


@dataclass(frozen=True, slots=True)
class NetworkAddress:
    """The address `address` ("192.0.2.5/24") on `device`, in the VLAN `tag`; 0 is untagged."""

    device: str
    tag: int
    address: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("address", address, device and tag)."""
        return ("address", f"{self.address} {self.device} {self.tag}")


@dataclass(frozen=True, slots=True)
class Route:
    """Packets to the network `target` go to `gateway`, a neighbour on `device`."""

    target: str
    gateway: str
    device: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("route", target)."""
        return ("route", self.target)


@dataclass(frozen=True, slots=True)
class Networkd:
    """What systemd-networkd makes of a device: it reads its files again when one in `reload_on` (absolute paths) changes."""

    device: str
    reload_on: tuple[str, ...]
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("networkd", device)."""
        return ("networkd", self.device)


@dataclass(frozen=True, slots=True)
class NameServers:
    """The addresses of the `servers` that are asked for names, in order, and the domain that is added to short ones."""

    servers: tuple[str, ...]
    search: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("name servers", "")."""
        return ("name servers", "")


@dataclass(frozen=True, slots=True)
class Hostname:
    """The name of the machine, one label."""

    name: str
    origin: str = ""
    unmanaged: ClassVar[bool] = True

    @property
    def identity(self) -> tuple[str, str]:
        """("hostname", "")."""
        return ("hostname", "")
