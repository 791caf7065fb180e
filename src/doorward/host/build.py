"""What sandbox and system have in common: the table of kinds and the parts, put together."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from doorward.host.drivers import networkd
from doorward.host.drivers.chrony import Chrony
from doorward.host.drivers.chrony_clock import ChronyClock
from doorward.host.drivers.chronyc import Chronyc
from doorward.host.drivers.service import ChildService, DaemonService
from doorward.host.engine import Host
from doorward.host.errors import HostError, os_reason
from doorward.host.files import DiskFiles, make_directory
from doorward.host.kinds.daemon import DaemonKind
from doorward.host.kinds.line import LineKind
from doorward.host.kinds.name_servers import NameServersKind
from doorward.host.kinds.network import AddressKind, HostnameKind, HostNetwork, RouteKind, VlanKind
from doorward.host.kinds.networkd import NetworkdKind
from doorward.host.kinds.path import FileKind, SymlinkKind
from doorward.host.kinds.zone import ZoneKind
from doorward.host.managed import Managed
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.resources import Daemon, File, HostResource, Symlink, Zone
from doorward.host.supervise import Child, end_stale, find_program
from doorward.host.systemd import Unit
from doorward.host.time_status import ZoneStatus
from doorward.host.zones import FALLBACK, host_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doorward.host.drivers.chrony_conf import Layout
    from doorward.host.engine import Lifecycle
    from doorward.host.kinds import Kind


class FilesPart:
    """Removes what a killed writer left behind when the host starts."""

    def __init__(self, files: DiskFiles, directories: Sequence[str] | None) -> None:
        """`directories` to look through, None for everything below the root."""
        self._files = files
        self._directories = directories

    def start(self) -> None:
        """Make the root, sweep. Raises HostError."""
        try:
            make_directory(self._files.root, 0o755)
            self._files.sweep(self._directories)
        except OSError as error:
            raise HostError(os_reason(f"preparing {self._files.root} failed", error)) from error

    def stop(self) -> None:
        """Nothing to end."""


class ChronyPart:
    """Life of chronyd with the host."""

    def __init__(self, chrony: Chrony, run: Callable[[], None], clear: Callable[[], None]) -> None:
        """`run` prepares the run directory and ends leftovers of an earlier process, `clear` tidies up at the end."""
        self._chrony = chrony
        self._run = run
        self._clear = clear
        self._started = False

    def start(self) -> None:
        """Prepare; the daemon itself is started by the first plan that wants it."""
        if not self._started:
            # Once: what is in the way the second time is our own daemon.
            self._run()
            self._started = True
        self._chrony.prepare()

    def stop(self) -> None:
        """End the daemon if it is ours."""
        self._started = False
        self._chrony.stop()
        self._clear()


class NetworkParts(Struct, frozen=True):
    """What the network of a host is made of; a sandbox has none of the services."""

    network: HostNetwork
    networkd: networkd.SystemdNetworkd | None = None
    resolved: Unit | None = None


def supervised(
    layout: Layout, run: Callable[[], None], ours: Callable[[list[str]], bool]
) -> tuple[DaemonService, Callable[[], None]]:
    """Chronyd as our child, and what has to happen ahead of each of its starts.

    `run`, then ending what `ours` recognises.
    """

    def clear_way() -> None:
        run()
        end_stale(Path(layout.pid_file), ours)

    program = find_program("chronyd") or "chronyd"
    return ChildService(Child("chronyd", [program, *layout.options, "-f", layout.conf], before=clear_way)), clear_way


def assemble(  # noqa: PLR0913 - the composition of a host, called from two places
    name: str,
    root: Path,
    layout: Layout,
    service: DaemonService,
    *,
    sweep: Sequence[str] | None,
    run: Callable[[], None],
    clear: Callable[[], None],
    network: NetworkParts,
    state: Path | None = None,
) -> Host:
    """A host on disk with files, links, zones, chronyd and a network; `state` remembers what was taken over."""
    files = DiskFiles(root)
    client = find_program("chronyc")
    ask = Chronyc(client or "chronyc", layout.socket)
    chrony = Chrony(layout, files, service, program=find_program("chronyd") if client else None, ask=ask)
    clock = ChronyClock(chrony, files, ask, lambda: zone_status(root))
    kinds: dict[type[HostResource], Kind[Any]] = {
        File: FileKind(files),
        Symlink: SymlinkKind(files),
        Zone: ZoneKind(lambda link: read_zone(files, link), sandbox=name == "sandbox"),
        Daemon: DaemonKind({"chronyd": chrony}),
        NetworkLine: LineKind(files),
        Vlan: VlanKind(network.network),
        NetworkAddress: AddressKind(network.network),
        Networkd: NetworkdKind(network.networkd),
        Route: RouteKind(network.network),
        NameServers: NameServersKind(files, network.resolved),
        Hostname: HostnameKind(network.network),
    }
    parts: list[Lifecycle] = [FilesPart(files, sweep), ChronyPart(chrony, run, clear)]
    return Host(name, root, kinds, clock=clock, parts=parts, managed=Managed(state))


def read_zone(files: DiskFiles, link: str) -> ZoneInfo:
    """The time zone that `link` leads to; a link in a sandbox leads to the machine's own database. Raises HostError."""
    place = files.locate(link)
    try:
        with place.open("rb") as stream:
            return ZoneInfo.from_file(stream, key=link)
    except (OSError, ValueError) as error:
        raise HostError(f"{link} does not lead to a time zone") from error


def zone_status(root: Path) -> ZoneStatus:
    """The zone of the host below `root` now; the machine's own where the host names none yet."""
    named = root / "etc/timezone"
    name = host_zone(root) if os.path.lexists(named) or os.path.lexists(root / "etc/localtime") else host_zone()
    try:
        now = datetime.now(UTC).astimezone(ZoneInfo(name))
    except (KeyError, ValueError, OSError):
        return ZoneStatus(FALLBACK, "UTC", 0)
    offset = now.utcoffset()
    return ZoneStatus(name, now.tzname() or "", round(offset.total_seconds()) if offset is not None else 0)


def remove_tree(directory: Path) -> None:
    """Remove a directory of ours; what can't be removed stays."""
    shutil.rmtree(directory, ignore_errors=True)
