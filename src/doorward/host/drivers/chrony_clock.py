"""The host's clock as chronyd sees it: its figures, and the one way to step it."""

from __future__ import annotations

import subprocess
import time
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.drivers import chronyc
from doorward.host.drivers.chrony_conf import SOURCES
from doorward.host.errors import HostError, HostRefusedError
from doorward.host.kinds.daemon import normal
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

    from doorward.host.drivers.chrony import Chrony
    from doorward.host.files import Files

_SYNC_SECONDS: Final = 10.0
_FRESH_SECONDS: Final = 1.0

_log = structlog.stdlib.get_logger(__name__)


class ChronyClock:
    """The `Clock` of a host with chronyd. All calls block."""

    def __init__(self, chrony: Chrony, files: Files, ask: chronyc.AskChronyd, zone: Callable[[], ZoneStatus]) -> None:
        """`ask` reaches the running daemon, `files` hold its configured sources, `zone` is the host's time zone now."""
        self._chrony = chrony
        self._files = files
        self._ask = ask
        self._zone = zone
        self._touches_clock = chrony.touches_clock
        self._version = ""
        self._lock = Lock()
        self._kept: tuple[int, float, TimeStatus] | None = None

    def status(self) -> TimeStatus:
        """Read live, at most a second old."""
        with self._lock:
            now, generation = time.monotonic(), self._chrony.generation
            if self._kept is None or self._kept[0] != generation or now - self._kept[1] > _FRESH_SECONDS:
                self._kept = (generation, now, self._read())
            return self._kept[2]

    def sync(self) -> SyncResult:
        """Measure all sources now (at most 10 s), then step the clock by what is left to correct. Raises HostRefusedError."""
        if not self._touches_clock:
            raise HostRefusedError("sandbox", "This host never touches the clock.")
        absence = self._chrony.absence()
        if absence is not None:
            raise HostRefusedError("daemon_absent", f"{absence}.")
        if not self._chrony.running():
            raise HostRefusedError("daemon_absent", "chronyd is not running.")
        if not self._measure():
            raise HostRefusedError("no_reachable_source", f"No time source answered within {_SYNC_SECONDS:g} s.")
        left = float(chronyc.tracking(self._ask)[4])
        self._ask("makestep")
        with self._lock:
            self._kept = None
        _log.info("clock stepped", seconds=left)
        return SyncResult(left, self.status())

    def _measure(self) -> bool:
        end = time.monotonic() + _SYNC_SECONDS
        began = time.monotonic()
        try:
            self._ask("burst", "3/5")
        except HostError:
            # chronyd declines a burst when it has no source with an address.
            return False
        while time.monotonic() < end and chronyc.bursting(self._ask):
            time.sleep(0.1)
        _, rows = chronyc.figures(self._ask)
        elapsed = time.monotonic() - began
        return any(int(fields[6]) <= elapsed + 1 for fields, _, _ in rows)

    def _read(self) -> TimeStatus:
        version = self._installed_version()
        if self._chrony.running():
            try:
                tracked, rows = chronyc.figures(self._ask)
                sources = self._sources(rows)
                clock = clock_status(tracked, sources)
                return TimeStatus(clock, DaemonStatus("chrony", running=True, version=version), sources, self._zone())
            except HostError as failure:
                _log.warning("time status can't be read", reason=failure.reason)
        clock = ClockStatus(time=iso(datetime.now(UTC)))
        return TimeStatus(clock, DaemonStatus("chrony", running=False, version=version), (), self._zone())

    def _sources(self, rows: list[tuple[list[str], str, list[str]]]) -> tuple[SourceStatus, ...]:
        configured = self._configured()
        by_name: dict[str, list[SourceStatus]] = {normal(name): [] for name in configured}
        spelled = {normal(name): name for name in configured}
        for fields, name, keys in rows:
            key = normal(name)
            one = source_status(fields, spelled.get(key, name), configured=key in spelled, keys=keys)
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
        except HostError:
            entry = None
        lines = (entry.content if entry else b"").decode(errors="replace").splitlines()
        return [words[1] for words in (line.split() for line in lines) if len(words) > 1]

    def _installed_version(self) -> str:
        if self._chrony.program is not None and not self._version:
            try:
                result = subprocess.run(
                    [self._chrony.program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, check=False
                )
            except (OSError, subprocess.TimeoutExpired):
                return ""
            # The line reads like: chronyd (chrony) version 4.3 (+CMDMON …).
            self._version = result.stdout.decode(errors="replace").partition(" version ")[2].partition(" ")[0].strip()
        return self._version
