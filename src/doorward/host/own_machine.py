"""The machine itself, for a process that is root; systemd runs the daemons where it is the init."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.build import NetworkParts, assemble, supervised
from doorward.host.drivers import networkd
from doorward.host.drivers.chrony_conf import system_layout
from doorward.host.drivers.kernel import KernelNetwork
from doorward.host.drivers.service import UnitService
from doorward.host.errors import HostError
from doorward.host.systemd import Unit, booted

if TYPE_CHECKING:
    from doorward.host.engine import Host

_SWEPT: Final = (
    "/etc",
    "/etc/chrony",
    "/etc/chrony/sources.d",
    "/etc/systemd/network",
    "/etc/systemd/resolved.conf.d",
)
"""Where our temporary files can lie; the whole machine is not searched for them."""

_CAP_SYS_TIME: Final = 25

_log = structlog.stdlib.get_logger(__name__)


def own_machine() -> Host:
    """The machine itself, as the helper has it. `HostError` unless we are root. Nothing is touched until `start`."""
    if os.geteuid() != 0:
        raise HostError("the machine itself can be changed by root alone")
    may_set_clock = _may_set_clock(Path("/proc/self/status").read_text(encoding="ascii"))
    layout = system_layout(may_set_clock=may_set_clock)
    if booted():
        network = NetworkParts(KernelNetwork(), networkd.SystemdNetworkd(), Unit("systemd-resolved"))
        return assemble(
            "system",
            Path("/"),
            layout,
            UnitService(Unit("chrony")),
            sweep=_SWEPT,
            run=lambda: None,
            clear=lambda: None,
            network=network,
        )
    if not may_set_clock:
        _log.warning("clock is set by somebody else", reason="this machine may not set the clock; chronyd only watches it")
    # Any chronyd on this machine is in our way, whoever started it: two of them would fight for the clock.
    service, clear_way = supervised(layout, lambda: None, _is_chronyd)
    network = NetworkParts(KernelNetwork(), networkd.SystemdNetworkd())
    return assemble(
        "system",
        Path("/"),
        layout,
        service,
        sweep=_SWEPT,
        run=clear_way,
        clear=lambda: None,
        network=network,
    )


def _is_chronyd(command: list[str]) -> bool:
    return bool(command) and Path(command[0]).name == "chronyd"


def _may_set_clock(status: str) -> bool:
    """Whether the capability CAP_SYS_TIME is in effect, from the text of /proc/self/status."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value.strip(), 16) >> _CAP_SYS_TIME & 1)
    return False
