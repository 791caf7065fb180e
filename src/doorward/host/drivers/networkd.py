"""systemd-networkd: the files by which it keeps addresses, VLANs and routes, and the service itself."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import Final

from doorward.host.errors import HostError
from doorward.host.systemd import Unit, booted

DIRECTORY: Final = "/etc/systemd/network"

_MAX_NAME: Final = 15
"""Characters of a device's name on Linux."""

_TIMEOUT_SECONDS: Final = 10.0


def vlan_name(device: str, tag: int) -> str:
    """The name of the device of a VLAN."""
    name = f"{device}.{tag}"
    return name if len(name) <= _MAX_NAME else f"vlan{tag}.{device[-6:]}"[:_MAX_NAME]


def network_path(device: str) -> str:
    """The file that says what a device has."""
    return f"{DIRECTORY}/10-doorward-{device}.network"


def netdev_path(device: str) -> str:
    """The file that says what a device is."""
    return f"{DIRECTORY}/10-doorward-{device}.netdev"


def network_text(
    device: str, origin: str, *, vlans: Iterable[str] = (), addresses: Iterable[str] = (), routes: Iterable[tuple[str, str]] = ()
) -> str:
    """The content of a .network file; `routes` are (target, gateway)."""
    lines = [*_head(origin), "[Match]", f"Name={device}", "", "[Network]", "DHCP=no"]
    lines += [f"VLAN={vlan}" for vlan in vlans]
    lines += [f"Address={address}" for address in addresses]
    for target, gateway in routes:
        lines += ["", "[Route]", f"Destination={target}", f"Gateway={gateway}"]
    return "".join(f"{line}\n" for line in lines)


def netdev_text(device: str, tag: int, origin: str) -> str:
    """The content of the .netdev file of a VLAN."""
    lines = [*_head(origin), "[NetDev]", f"Name={device}", "Kind=vlan", "", "[VLAN]", f"Id={tag}"]
    return "".join(f"{line}\n" for line in lines)


def _head(origin: str) -> list[str]:
    return [f"# Written by Doorward from {origin}; a change by hand counts as drift.", ""]


class SystemdNetworkd:
    """The service systemd-networkd of this machine; it does not run where systemd does not."""

    def __init__(self) -> None:
        """Asks systemd when it is used."""
        self._unit = Unit("systemd-networkd")

    def active(self) -> bool:
        """Whether it runs."""
        return booted() and self._unit.active()

    def reload(self) -> None:
        """Make it read its files and bring the devices to what they say. Raises HostError."""
        command = ["networkctl", "reload"]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostError("networkctl gave no answer") from error
        if done.returncode != 0:
            raise HostError("systemd-networkd did not reload its files")
