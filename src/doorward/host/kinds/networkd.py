"""Kind `Networkd`: systemd-networkd reads what was written for a device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from typing_extensions import override

from doorward.host.kinds import Kind
from doorward.host.network_resources import Networkd
from doorward.host.plan import Action, Change, HostWarning

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


class NetworkdService(Protocol):
    """The service systemd-networkd. Failures are `HostError`."""

    def active(self) -> bool:
        """Whether it runs."""

    def reload(self) -> None:
        """Make it read its files and bring the devices to what they say."""


class NetworkdKind(Kind[Networkd]):
    """Handles `Networkd`: a reload after the addresses are set. Without the service, Doorward sets them at each start."""

    rank = 3
    is_restored_last = True

    def __init__(self, service: NetworkdService | None) -> None:
        """`service` None: the host has no such thing, as in a sandbox."""
        self._service = service

    @override
    def plan(self, change: Change[Networkd], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """A reload when a file changes; a warning where nobody will read it."""
        one = change.subject
        paths = {path for side in (change.resource, change.previous) if side is not None for path in side.reload_on}
        if self._service is None or touched.isdisjoint(paths):
            return None, []
        if not self._service.active():
            message = f"systemd-networkd does not run: after a restart {one.device} has its addresses when Doorward has started."
            return None, [HostWarning("not_lasting", message, one.origin)]
        return change.action("reload systemd-networkd", "reload"), []

    @override
    def observe(self, change: Change[Networkd]) -> object:
        """Nothing of its own."""
        return None

    @override
    def apply(self, change: Change[Networkd], deadline: float) -> None:
        """Reload."""
        if self._service is not None:
            self._service.reload()

    @override
    def verify(self, change: Change[Networkd], deadline: float) -> None:
        """Nothing of its own: the addresses and routes are read back."""

    @override
    def restore(self, change: Change[Networkd], before: object, deadline: float) -> None:
        """Reload again, after the files are back."""
        self.apply(change, deadline)

    @override
    def confirm(self, change: Change[Networkd], before: object, deadline: float) -> None:
        """Nothing of its own."""

    @override
    def drift(self, resource: Networkd) -> list[HostWarning]:
        """Nothing of its own."""
        return []
