"""Kind `Networkd`: systemd-networkd reads what was written for a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from doorward.host.network_resources import Networkd
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Resource

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class NetworkdService(Protocol):
    """The service systemd-networkd. Failures are `HostError`."""

    def active(self) -> bool:
        """Whether it runs."""

    def reload(self) -> None:
        """Make it read its files and bring the devices to what they say."""


class NetworkdKind:
    """Handles `Networkd`: a reload after the addresses are set. Without the service, Doorward sets them at each start."""

    rank = 3
    is_restored_last = True

    def __init__(self, service: NetworkdService | None) -> None:
        """`service` None: the host has no such thing, as in a sandbox."""
        self._service = service

    def touches(self, resource: Resource) -> str | None:  # noqa: ARG002 - the port's signature
        """No path."""
        return None

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:
        """When one of its files changes."""
        return not touched.isdisjoint(_networkd(resource).reload_on)

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """A reload when a file changes; a warning where nobody will read it."""
        one = _networkd(change.subject)
        paths = {path for side in (change.resource, change.previous) if side is not None for path in _networkd(side).reload_on}
        if self._service is None or touched.isdisjoint(paths):
            return None, []
        if not self._service.active():
            message = f"systemd-networkd does not run: after a restart {one.device} has its addresses when Doorward has started."
            return None, [HostWarning("not_lasting", message, one.origin)]
        return Action("reload systemd-networkd", "reload", one.origin, change.resource, change.previous), []

    def observe(self, change: Change) -> object:  # noqa: ARG002 - the port's signature
        """Nothing of its own."""
        return None

    def apply(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - one call
        """Reload."""
        if self._service is not None:
            self._service.reload()

    def verify(self, change: Change, deadline: float) -> None:
        """Nothing of its own: the addresses and routes are read back."""

    def restore(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - see `apply`
        """Reload again, after the files are back."""
        self.apply(change, deadline)

    def confirm(self, change: Change, before: object, deadline: float) -> None:
        """Nothing of its own."""

    def drift(self, resource: Resource) -> list[HostWarning]:  # noqa: ARG002 - the port's signature
        """Nothing of its own."""
        return []


def _networkd(resource: Resource) -> Networkd:
    if isinstance(resource, Networkd):
        return resource
    raise TypeError(type(resource).__name__)
