"""Kind `Daemon`: a running daemon that re-reads its files and is asked afterwards what it really uses."""

from __future__ import annotations

import ipaddress
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import structlog
from msgspec import Struct
from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import Kind, drifted, within
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Daemon

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 0.3
"""How long a daemon may take to show its list before it is told again; chronyd takes no time, for it answers only then."""

_log = structlog.stdlib.get_logger(__name__)


class Driver(Protocol):
    """What is particular to one daemon. All calls block; failures are `HostError`."""

    def absence(self) -> str | None:
        """Why it can't be used on this machine at all ("chronyd is not installed …"), None when it can."""

    def running(self) -> bool:
        """Whether it answers now."""

    def start(self, daemon: Daemon, deadline: float) -> None:
        """Start it and wait until it answers; it reads its files on the way."""

    def reload(self, daemon: Daemon, deadline: float) -> None:
        """Make it re-read its files without losing what it knows."""

    def restart(self, daemon: Daemon, deadline: float) -> None:
        """Stop and start it, wait until it answers."""

    def listed(self) -> frozenset[str]:
        """What it uses now, in its own spelling; `HostError` when it does not answer."""

    def drift(self, daemon: Daemon) -> list[HostWarning]:
        """What else is not as desired: its own configuration, foreign files."""

    def is_altered(self) -> bool:
        """Whether its configuration is not ours any more, or whom it trusts changed since its start; a restart puts it right."""


class DaemonState(Struct, frozen=True):
    """What `observe` found: whether it ran and what it used (normalised)."""

    running: bool
    listed: frozenset[str]


class DaemonKind(Kind[Daemon]):
    """Handles `Daemon` with one driver per daemon name."""

    rank = 20
    is_restored_last = True

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        """`drivers` by daemon name ("chronyd")."""
        self._drivers = drivers

    @override
    def plan(self, change: Change[Daemon], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Start when down, reload when a file changes or what it uses is not what is wanted.

        A removed daemon is left alone.
        """
        if change.resource is None:
            return None, []
        daemon = change.resource
        driver = self._driver(daemon)

        absence = driver.absence()
        if absence is not None:
            return change.action(f"skip {daemon.name}"), [_absent(daemon, absence)]
        if not driver.running():
            return change.action(f"start {daemon.name}", "restart"), []
        if driver.is_altered() or not touched.isdisjoint(daemon.restart_on):
            return change.action(f"restart {daemon.name}", "restart"), []
        if not touched.isdisjoint(daemon.reload_on) or self._missing(daemon) or self._lingering(change):
            return change.action(f"reload {daemon.name}", "reload"), []
        return None, []

    @override
    def observe(self, change: Change[Daemon]) -> object:
        """A `DaemonState`."""
        driver = self._driver(change.subject)
        if driver.absence() is not None or not driver.running():
            return DaemonState(running=False, listed=frozenset())
        return DaemonState(running=True, listed=normalised(driver.listed()))

    @override
    def apply(self, change: Change[Daemon], deadline: float) -> None:
        """Start or reload; when the reload fails, restart once."""
        daemon = change.subject
        driver = self._driver(daemon)
        if driver.absence() is not None:
            return
        if not driver.running():
            driver.start(daemon, within(deadline))
            return
        if driver.is_altered():
            driver.restart(daemon, within(deadline))
            return
        try:
            driver.reload(daemon, within(deadline))
        except HostError:
            driver.restart(daemon, within(deadline))

    @override
    def verify(self, change: Change[Daemon], deadline: float) -> None:
        """Ask the daemon until it shows all of `lists` and nothing that the change removed; an absent one passes.

        What it takes must not hang on what it had: see `_await`.
        """
        if change.resource is None or self._driver(change.resource).absence() is not None:
            return
        self._await(change.resource, normalised(change.resource.lists), _removed(change), within(deadline))

    @override
    def restore(self, change: Change[Daemon], before: object, deadline: float) -> None:
        """Re-read the files that are back; a daemon that was down before stays as it is."""
        if isinstance(before, DaemonState) and before.running:
            self.apply(Change(_old(change), None), deadline)

    @override
    def confirm(self, change: Change[Daemon], before: object, deadline: float) -> None:
        """The daemon shows again what it showed of its old list, and nothing the failed change brought."""
        if not isinstance(before, DaemonState) or not before.running:
            return
        old = _old(change)
        brought = normalised(change.subject.lists) - before.listed
        self._await(old, normalised(old.lists) & before.listed, brought, within(deadline))

    @override
    def drift(self, resource: Daemon) -> list[HostWarning]:
        """`daemon_absent`, `daemon_down`, or `configuration_drift` when it uses something else.

        The driver's own findings come with them.
        """
        daemon = resource
        driver = self._driver(daemon)
        absence = driver.absence()
        if absence is not None:
            return [_absent(daemon, absence), *driver.drift(daemon)]
        if not driver.running():
            down = drifted(daemon, f"{daemon.name} is not running", "running", "not running", "daemon_down")
            return [down, *driver.drift(daemon)]
        found = driver.drift(daemon)
        missing = self._missing(daemon)
        if missing:
            message = f"{daemon.name} does not use {_named(daemon.lists, missing)}"
            found.append(drifted(daemon, message, ", ".join(daemon.lists), ", ".join(sorted(driver.listed()))))
        return found

    def _await(self, daemon: Daemon, wanted: frozenset[str], gone: frozenset[str], deadline: float) -> None:
        """Wait until the daemon shows its list. What it does not take after what it had before, it is told again, then restarted.

        chronyd for one refuses an address that a name it still uses stands for, and forgets about it.
        """
        driver, began = self._driver(daemon), time.monotonic()
        for again in (driver.reload, driver.restart):
            if self._shown(driver, wanted, gone, min(deadline, time.monotonic() + _PATIENCE_SECONDS)) is None:
                return
            if time.monotonic() >= deadline:
                break
            _log.info("daemon told again", daemon=daemon.name, by=again.__name__)
            with suppress(HostError):  # whether it helped is seen by what it shows
                again(daemon, within(deadline))
        listed = self._shown(driver, wanted, gone, deadline)
        if listed is None:
            return
        seconds = max(0.0, time.monotonic() - began)
        if missing := wanted - listed:
            raise HostError(f"{daemon.name} did not list {_named(daemon.lists, missing)} within {seconds:.2g} s")
        if not gone & listed:
            raise HostError(f"{daemon.name} does not answer")
        raise HostError(f"{daemon.name} still lists {', '.join(sorted(gone & listed))} after {seconds:.2g} s")

    def _shown(self, driver: Driver, wanted: frozenset[str], gone: frozenset[str], end: float) -> frozenset[str] | None:
        """Ask until it shows what is wanted and nothing of what is to be gone, then None; else what it showed at the end."""
        while True:
            try:
                listed = normalised(driver.listed())
            except HostError:
                # A daemon that is being restarted by its supervisor answers again in a moment.
                if time.monotonic() >= end:
                    return frozenset()
            else:
                if wanted <= listed and not gone & listed:
                    return None
                if time.monotonic() >= end:
                    return listed
            time.sleep(_POLL_SECONDS)

    def _driver(self, daemon: Daemon) -> Driver:
        driver = self._drivers.get(daemon.name)
        if driver is None:
            raise HostError(f"this host does not know a daemon named {daemon.name}")
        return driver

    def _missing(self, daemon: Daemon) -> frozenset[str]:
        try:
            return normalised(daemon.lists) - normalised(self._driver(daemon).listed())
        except HostError:
            return normalised(daemon.lists)

    def _lingering(self, change: Change[Daemon]) -> bool:
        try:
            return bool(_removed(change) & normalised(self._driver(change.subject).listed()))
        except HostError:
            return True


def normalised(names: Iterable[str]) -> frozenset[str]:
    """Names in lower case without a final dot, addresses in their canonical form."""
    return frozenset(normal(name) for name in names)


def normal(name: str) -> str:
    """One name as `normalised` gives it."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.rstrip(".").lower()


def _old(change: Change[Daemon]) -> Daemon:
    """The value to go back to: the previous one, or for a new daemon one that need not list anything."""
    if change.previous is not None:
        return change.previous
    return Daemon(change.subject.name, change.subject.reload_on, (), change.subject.origin)


def _removed(change: Change[Daemon]) -> frozenset[str]:
    if change.previous is None or change.resource is None:
        return frozenset()
    return normalised(change.previous.lists) - normalised(change.resource.lists)


def _named(lists: tuple[str, ...], missing: frozenset[str]) -> str:
    return ", ".join(name for name in lists if normal(name) in missing) or ", ".join(sorted(missing))


def _absent(daemon: Daemon, absence: str) -> HostWarning:
    return HostWarning("daemon_absent", f"{absence}; its files are written, but nothing uses them", daemon.origin)
