"""chronyd: its own configuration, start, reload, what it uses, what it measures."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.drivers import chronyc
from doorward.host.drivers.chrony_conf import CONF, KEPT, SOURCES, SOURCES_DIRECTORY, Layout
from doorward.host.errors import HostFailure, HostRefusal, os_reason
from doorward.host.files import DiskFiles, Entry
from doorward.host.kinds import READ_BACK_SECONDS
from doorward.host.kinds.daemon import normal
from doorward.host.plan import HostWarning
from doorward.host.time_status import (
    ClockStatus,
    DaemonStatus,
    SourceStatus,
    SyncResult,
    TimeStatus,
    ZoneStatus,
    clock_status,
    iso,
    source_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.host.drivers.service import Service
    from doorward.host.resources import Daemon

_START_POLL: Final = 0.01
_SYNC_SECONDS: Final = 10.0
_FRESH_SECONDS: Final = 1.0
_MISSING: Final = "chronyd is not installed on this machine"

_log = structlog.stdlib.get_logger(__name__)


class Chrony:
    """Driver of the daemon "chronyd", and the host's clock. All calls block."""

    def __init__(
        self,
        layout: Layout,
        files: DiskFiles,
        service: Service,
        *,
        program: str | None,
        ask: chronyc.Ask,
        zone: Callable[[], ZoneStatus],
    ) -> None:
        """`program` is the path of chronyd, None when it is not installed; `ask` reaches the running one.

        `zone` is the host's now.
        """
        self._layout = layout
        self._files = files
        self._service = service
        self._program = program
        self._ask = ask
        self._zone = zone
        self._absence = None if program else _MISSING
        self._version = ""
        self._lock = Lock()
        self._status: tuple[float, TimeStatus] | None = None

    # --- life of the host

    def prepare(self) -> None:
        """Make directories, take over `chrony.conf`; a daemon that already runs with another one is restarted."""
        if self._ready() and self._absence is None and self._service.active():
            self._service.restart()
            self._await_answer("chronyd", time.monotonic() + READ_BACK_SECONDS)

    def _ready(self) -> bool:
        """Directories and `chrony.conf` as they must be; whether the latter was not."""
        try:
            for directory in self._layout.directories:
                Path(directory).mkdir(mode=0o755, parents=True, exist_ok=True)
            return self._write_conf()
        except OSError as error:
            raise HostFailure(os_reason("preparing the directories of chronyd failed", error)) from error

    def stop(self) -> None:
        """End the daemon if it is ours."""
        self._service.stop()

    # --- driver

    def absence(self) -> str | None:
        """Not installed, or not allowed to run here."""
        return self._absence

    def running(self) -> bool:
        """Whether its process runs and it answers."""
        return self._absence is None and self._service.active() and self._answers()

    def start(self, daemon: Daemon, deadline: float) -> None:
        """Start it (a process that does not answer is replaced) and wait for its socket."""
        self._ready()
        if self._service.active():
            self._service.restart()
        else:
            self._service.start()
        self._await_answer(daemon.name, deadline)

    def restart(self, daemon: Daemon, deadline: float) -> None:
        """Restart it and wait for its socket."""
        self._ready()
        self._service.restart()
        self._await_answer(daemon.name, deadline)

    def reload(self, daemon: Daemon, deadline: float) -> None:  # noqa: ARG002 - one question, which has its own limit
        """Re-read the source files. chronyd says "200 OK" whatever they hold: only `listed` proves anything."""
        self._ask("reload", "sources")
        self._status = None

    def listed(self) -> frozenset[str]:
        """The sources it uses, as configured, unresolved ones included."""
        return chronyc.listed(self._ask)

    def drift(self, daemon: Daemon) -> list[HostWarning]:
        """A changed `chrony.conf`, and source files of others."""
        found = []
        try:
            conf = self._files.read(CONF)
        except HostFailure:
            conf = None
        if conf is None or (conf.content, conf.target) != (self._layout.text, None):
            message = f"{CONF} is missing" if conf is None else f"{CONF} was changed by someone else"
            found.append(HostWarning("configuration_drift", message, daemon.origin))
        for name in self._files.names(SOURCES_DIRECTORY):
            path = f"{SOURCES_DIRECTORY}/{name}"
            # chronyd reads only *.sources, the README of the package for one is no source.
            if name.endswith(".sources") and path != SOURCES:
                message = f"{path} is not ours and may add time sources"
                found.append(HostWarning("foreign_source", message, daemon.origin))
        return found

    # --- clock

    def status(self) -> TimeStatus:
        """Read live, at most a second old."""
        with self._lock:
            now = time.monotonic()
            if self._status is None or now - self._status[0] > _FRESH_SECONDS:
                self._status = (now, self._read())
            return self._status[1]

    def sync(self) -> SyncResult:
        """Measure all sources now (at most 10 s), then step the clock by what is left to correct."""
        if not self._layout.touches_clock:
            raise HostRefusal("sandbox", "This host never touches the clock.")
        if self._absence is not None:
            raise HostRefusal("daemon_absent", f"{self._absence}.")
        if not self.running():
            raise HostRefusal("daemon_absent", "chronyd is not running.")
        if not self._measure():
            raise HostRefusal("no_reachable_source", f"No time source answered within {_SYNC_SECONDS:g} s.")
        left = float(chronyc.tracking(self._ask)[4])
        self._ask("makestep")
        self._status = None
        _log.info("clock_stepped", seconds=left)
        return SyncResult(left, self.status())

    def _measure(self) -> bool:
        end = time.monotonic() + _SYNC_SECONDS
        began = time.monotonic()
        try:
            self._ask("burst", "3/5")
        except HostFailure:
            # chronyd declines a burst when it has no source with an address.
            return False
        while time.monotonic() < end and chronyc.bursting(self._ask):
            time.sleep(0.1)
        _, rows = chronyc.figures(self._ask)
        elapsed = time.monotonic() - began
        return any(int(fields[6]) <= elapsed + 1 for fields, _ in rows)

    def _read(self) -> TimeStatus:
        version = self._installed_version()
        if self.running():
            try:
                tracked, rows = chronyc.figures(self._ask)
                sources = self._sources(rows)
                clock = clock_status(tracked, sources)
                return TimeStatus(clock, DaemonStatus("chrony", running=True, version=version), sources, self._zone())
            except HostFailure as failure:
                _log.warning("time_status_unreadable", reason=failure.reason)
        clock = ClockStatus(time=iso(datetime.now(UTC)))
        return TimeStatus(clock, DaemonStatus("chrony", running=False, version=version), (), self._zone())

    def _sources(self, rows: list[tuple[list[str], str]]) -> tuple[SourceStatus, ...]:
        configured = self._configured()
        by_name: dict[str, list[SourceStatus]] = {normal(name): [] for name in configured}
        spelled = {normal(name): name for name in configured}
        for fields, name in rows:
            key = normal(name)
            one = source_status(fields, spelled.get(key, name), configured=key in spelled)
            by_name.setdefault(key, []).append(one)
        # A pool keeps unresolved places for addresses it may still learn; they say nothing once one of its addresses
        # is in use.
        shown = []
        for found in by_name.values():
            shown += [one for one in found if one.address is not None] or found[:1]
        return tuple(shown)

    def _configured(self) -> list[str]:
        try:
            entry = self._files.read(SOURCES)
        except HostFailure:
            entry = None
        lines = (entry.content if entry else b"").decode(errors="replace").splitlines()
        return [words[1] for words in (line.split() for line in lines) if len(words) > 1]

    # --- own means

    def _answers(self) -> bool:
        try:
            self._ask("-c", "tracking")
        except HostFailure:
            return False
        return True

    def _await_answer(self, name: str, deadline: float) -> None:
        began = time.monotonic()
        socket = Path(self._layout.socket)
        self._status = None
        while not (socket.exists() and self._service.active() and self._answers()):
            if time.monotonic() >= deadline:
                raise HostFailure(f"{name} did not start within {max(deadline - began, 0):.2g} s")
            time.sleep(_START_POLL)

    def _write_conf(self) -> bool:
        """Put `chrony.conf` in place when it differs; whether it did."""
        found = self._files.read(CONF)
        if found is not None and (found.content, found.target) == (self._layout.text, None):
            return False
        self._check_conf()
        if self._layout.keep_old and found is not None and self._files.read(KEPT) is None:
            self._files.write(KEPT, found)
        self._files.write(CONF, Entry(self._layout.text))
        return True

    def _check_conf(self) -> None:
        """Ask chronyd itself whether it takes the text, since a bad line would keep it from starting."""
        if self._program is None:
            return
        trial = CONF.replace("chrony.conf", ".doorward-check.tmp")
        self._files.write(trial, Entry(self._layout.text))
        try:
            result = subprocess.run(
                [self._program, "-p", "-f", str(self._files.locate(trial))],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostFailure("chronyd could not be asked to check its configuration") from error
        finally:
            self._files.remove(trial)
        if result.returncode == 0:
            return
        said = (result.stderr + result.stdout).decode(errors="replace")
        _log.warning("chronyd_refuses_configuration", said=said.strip())
        if "Permission denied" in said:
            # Seen where AppArmor confines chronyd to the system's own paths. That is the machine owner's rule: it is
            # reported, not evaded.
            where = Path(self._layout.conf).parent
            self._absence = f"chronyd may not read {where} (a security profile such as AppArmor's confines it)"
            return
        raise HostFailure(f"chronyd refuses the configuration meant for {CONF}")

    def _installed_version(self) -> str:
        if self._program is not None and not self._version:
            try:
                result = subprocess.run(
                    [self._program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
                )
            except (OSError, subprocess.TimeoutExpired):
                return ""
            # The line reads like: chronyd (chrony) version 4.3 (+CMDMON …).
            self._version = result.stdout.decode(errors="replace").partition(" version ")[2].partition(" ")[0].strip()
        return self._version
