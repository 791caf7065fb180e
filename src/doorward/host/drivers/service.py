"""The small port behind which a daemon is run: a supervised child, or a unit of systemd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from doorward.host.supervise import Child
    from doorward.host.systemd import Unit


class DaemonService(Protocol):
    """Runs one daemon. `HostError` when a verb fails; none of them waits until the daemon answers."""

    ours: bool
    """Whether the daemon lives and dies with us."""

    def active(self) -> bool:
        """Whether its process runs."""

    def start(self) -> None:
        """Run it, and keep it running."""

    def restart(self) -> None:
        """End it and run it anew."""

    def stop(self) -> None:
        """End it if it is ours."""


class ChildService:
    """A supervised child: ended with us."""

    ours = True

    def __init__(self, child: Child) -> None:
        """`child` is not started yet."""
        self._child = child

    def active(self) -> bool:
        """Whether the child runs now."""
        return self._child.pid is not None

    def start(self) -> None:
        """Begin supervision."""
        self._child.start()

    def restart(self) -> None:
        """End the child, begin anew without back-off."""
        self._child.stop()
        self._child.start()

    def stop(self) -> None:
        """End child and supervision."""
        self._child.stop()


class UnitService:
    """A systemd unit: it goes on without us, since the machine needs its time then too."""

    ours = False

    def __init__(self, unit: Unit) -> None:
        """`unit` as systemd names it."""
        self._unit = unit

    def active(self) -> bool:
        """Whether systemd says it runs."""
        return self._unit.active()

    def start(self) -> None:
        """Start the unit."""
        self._unit.start()

    def restart(self) -> None:
        """Restart the unit."""
        self._unit.restart()

    def stop(self) -> None:
        """Left running."""
