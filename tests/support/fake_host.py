"""A host in memory for the tests of other packages.

The real engine and kinds over dictionaries, with faults on request.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from doorward.host.engine import Host
from doorward.host.errors import HostError
from doorward.host.kinds.daemon import DaemonKind
from doorward.host.kinds.job import JobKind
from doorward.host.kinds.line import LineKind
from doorward.host.kinds.listener import ListenerKind
from doorward.host.kinds.name_servers import NameServersKind
from doorward.host.kinds.network import AddressKind, HostnameKind, RouteKind, VlanKind
from doorward.host.kinds.networkd import NetworkdKind
from doorward.host.kinds.path import ZONEINFO, FileKind, SymlinkKind
from doorward.host.kinds.zone import ZoneKind
from doorward.host.network_resources import Hostname, NameServers, NetworkAddress, Networkd, NetworkLine, Route, Vlan
from doorward.host.plan import Action, Change, Plan
from doorward.host.resources import Daemon, File, Job, Listener, Symlink, Zone
from doorward.host.time_status import ClockStatus, DaemonStatus, SyncResult, TimeStatus, ZoneStatus, iso
from tests.support.fake_network import FakeNetwork
from tests.support.memory_files import MemoryFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from doorward.host.engine import _Undo
    from doorward.host.errors import HostRefusedError
    from doorward.host.kinds import Kind
    from doorward.host.plan import HostWarning
    from doorward.host.resources import HostResource


class FakeDaemon:
    """A driver whose daemon lists what it was given at its last start or reload."""

    def __init__(self) -> None:
        """Installed, not running."""
        self.absent: str | None = None
        self.alive = False
        self.names: frozenset[str] = frozenset()

    def absence(self) -> str | None:
        """See `Driver.absence`; set `absent` to play one that is not installed."""
        return self.absent

    def running(self) -> bool:
        """See `Driver.running`; set `alive` to play a death."""
        return self.alive

    def start(self, daemon: Daemon, deadline: float) -> None:
        """See `Driver.start`."""
        self.alive = True
        self.reload(daemon, deadline)

    def reload(self, daemon: Daemon, deadline: float) -> None:
        """See `Driver.reload`."""
        self.names = frozenset(daemon.lists)

    def restart(self, daemon: Daemon, deadline: float) -> None:
        """See `Driver.restart`."""
        self.start(daemon, deadline)

    def listed(self) -> frozenset[str]:
        """See `Driver.listed`."""
        if not self.alive:
            raise HostError("the daemon does not answer")
        return self.names

    def drift(self, daemon: Daemon) -> list[HostWarning]:
        """Nothing of its own."""
        return []

    def is_altered(self) -> bool:
        """See `Driver.is_altered`; nobody alters it."""
        return False


class FakeTable:
    """A due table that only holds jobs; each of them is due in an hour."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}

    def job(self, name: str) -> Job | None:
        """See `DueTable.job`."""
        return self.jobs.get(name)

    def put(self, job: Job) -> None:
        """See `DueTable.put`."""
        self.jobs[job.name] = job

    def remove(self, name: str) -> None:
        """See `DueTable.remove`."""
        self.jobs.pop(name, None)

    def next_due(self, name: str) -> datetime | None:
        """See `DueTable.next_due`."""
        return datetime.now(UTC) + timedelta(hours=1) if name in self.jobs else None


class FakeListeners:
    """Listeners that are open because they were asked for; nobody can reach those in `dead`."""

    def __init__(self) -> None:
        """None is open."""
        self.open_ones: dict[str, Listener] = {}
        self.dead: set[str] = set()

    def at(self, name: str) -> Listener | None:
        """See `Listeners.at`."""
        return self.open_ones.get(name)

    def open(self, listener: Listener, deadline: float) -> None:
        """See `Listeners.open`."""
        self.open_ones[listener.name] = listener

    def dismiss(self, name: str) -> None:
        """See `Listeners.dismiss`."""
        self.open_ones.pop(name, None)

    def close(self, name: str) -> None:
        """See `Listeners.close`."""
        self.open_ones.pop(name, None)

    def prove(self, listener: Listener, deadline: float) -> None:
        """See `Listeners.prove`."""
        if self.open_ones.get(listener.name) != listener or listener.name in self.dead:
            raise HostError(f"nothing listens on {listener.name}")


class FakeClock:
    """A clock whose status and synchronisation can be set."""

    def __init__(self) -> None:
        """Not synchronised, daemon not running."""
        now = ClockStatus(time=iso(datetime.now(UTC)))
        self.answer = TimeStatus(now, DaemonStatus("chrony", running=False, version=""), (), ZoneStatus("Etc/UTC", "UTC", 0))
        self.refusal: HostRefusedError | None = None
        self.stepped_seconds = 0.0

    def status(self) -> TimeStatus:
        """`answer`."""
        return self.answer

    def sync(self) -> SyncResult:
        """`stepped_seconds` with `answer`, or raise `refusal`."""
        if self.refusal is not None:
            raise self.refusal
        return SyncResult(self.stepped_seconds, self.answer)


class FakeHost(Host):
    """A `Host` in memory.

    `calls` records ("start",), ("stop",), ("plan", n actions), ("apply", action texts), ("drift",). `files`, `daemon`,
    `network` and `clock` can be looked at and changed. Faults last until set back: `fail_at` (index of the action that fails,
    or None), `fail_verify` and `fail_revert`.
    """

    def __init__(self, root: Path = Path("/nonexistent")) -> None:
        """`root` is only a name here."""
        self.files = MemoryFiles()
        self.network = FakeNetwork()
        self.daemon = FakeDaemon()
        self.listeners = FakeListeners()
        self.clock = FakeClock()
        self.table = FakeTable()
        self.calls: list[tuple[object, ...]] = []
        self.fail_at: int | None = None
        self.fail_verify = False
        self.fail_revert = False
        self.delay_seconds = 0.0
        kinds: dict[type[HostResource], Kind[Any]] = {
            File: FileKind(self.files),
            Symlink: SymlinkKind(self.files, target_exists=lambda _: True),
            Zone: ZoneKind(self._zone),
            Daemon: DaemonKind({"chronyd": self.daemon}),
            Job: JobKind({"core_files": self.table, "system_backup": self.table}),
            Listener: ListenerKind(self.listeners),
            NetworkLine: LineKind(self.files),
            Vlan: VlanKind(self.network),
            NetworkAddress: AddressKind(self.network),
            Networkd: NetworkdKind(None),
            Route: RouteKind(self.network),
            NameServers: NameServersKind(self.files),
            Hostname: HostnameKind(self.network),
        }
        super().__init__("sandbox", root, kinds, clock=self.clock)

    def start(self) -> None:
        """See `Host.start`."""
        self.calls.append(("start",))
        super().start()

    def stop(self) -> None:
        """See `Host.stop`."""
        self.calls.append(("stop",))
        super().stop()

    def plan(self, old: Sequence[HostResource], new: Sequence[HostResource], *, full: bool = False) -> Plan:
        """See `Host.plan`."""
        plan = super().plan(old, new, full=full)
        self.calls.append(("plan", len(plan.actions)))
        return plan

    def apply(self, plan: Plan, *, deadline: float, progress: Callable[[str], None] | None = None) -> None:
        """See `Host.apply`; `delay_seconds` makes it slow."""
        self.calls.append(("apply", tuple(action.action for action in plan.actions)))
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        super().apply(plan, deadline=deadline, progress=progress)

    def drift(self, desired: Sequence[HostResource]) -> list[HostWarning]:
        """See `Host.drift`."""
        self.calls.append(("drift",))
        return super().drift(desired)

    def _step(self, action: Action, done: list[_Undo], deadline: float) -> None:
        if self.fail_at == len(done):
            raise HostError("the fake was told to fail")
        super()._step(action, done, deadline)

    def _verify(self, change: Change[Any], deadline: float) -> None:
        if self.fail_verify:
            raise HostError("the fake was told not to show it")
        super()._verify(change, deadline)

    def _revert(self, done: list[_Undo], ours: frozenset[str]) -> bool:
        return False if self.fail_revert else super()._revert(done, ours)

    def _zone(self, link: str) -> ZoneInfo:
        entry = self.files.read(link)
        if entry is None or entry.target is None:
            raise HostError(f"{link} does not lead to a time zone")
        return ZoneInfo(entry.target.removeprefix(ZONEINFO))
