"""One file per resource kind: how it is planned, applied, verified and put back. The engine knows only `Kind`.

A new kind is a subclass and an entry in the table that a host is built with (`Host.handle`); the composition root may give it
whatever it needs to run, such as the applications behind a listener.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Generic, TypeVar

from doorward.host.plan import Change, HostWarning
from doorward.host.resources import HostResource

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from doorward.host.plan import Action

READ_BACK_SECONDS = 5.0
"""How long a daemon may take to start or to show its new configuration."""

R = TypeVar("R", bound=HostResource)
"""What a kind handles."""


class Kind(ABC, Generic[R]):
    """What the engine asks of a resource kind. `deadline` is a `time.monotonic()` value; failures are `HostError`."""

    rank: int
    """Place in a plan: lower ranks first.

    VLANs -31, addresses -30, listeners -20, addresses and VLANs that go -10 and -9, files 0, networkd 3, routes 8, names 9,
    proofs 10, daemons 20, jobs 30.
    """

    removal_rank: int | None = None
    """Place in a plan of what goes, where that is another one."""

    is_restored_last: bool = False
    """True when putting back makes sense only after the other kinds are back: a daemon re-reads its files."""

    def rank_of(self, change: Change[R]) -> int:
        """Return the place of a change in a plan."""
        return self.removal_rank if self.removal_rank is not None and change.resource is None else self.rank

    def touches(self, resource: R) -> str | None:
        """Return the host path that an action on `resource` changes; None, as here, when it changes no file."""

    @abstractmethod
    def plan(self, change: Change[R], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Return the action this change needs on the host as it is now (None: nothing to do) and what to warn about.

        `touched` are the paths that change before it in the same plan.
        """

    @abstractmethod
    def observe(self, change: Change[R]) -> object:
        """Return what the host has now, whole enough to put it back."""

    def found(self, resource: R) -> object:
        """Return what the host has of `resource`, for whoever takes it over; of a path its `FileEntry`."""
        return self.observe(Change(resource, None))

    @abstractmethod
    def apply(self, change: Change[R], deadline: float) -> None:
        """Make the host have what the change says."""

    @abstractmethod
    def verify(self, change: Change[R], deadline: float) -> None:
        """Read back; `HostError` when the host does not show it."""

    @abstractmethod
    def restore(self, change: Change[R], before: object, deadline: float) -> None:
        """Put back what `observe` gave."""

    @abstractmethod
    def confirm(self, change: Change[R], before: object, deadline: float) -> None:
        """Read back that what `observe` gave is there again; `HostError` otherwise."""

    @abstractmethod
    def drift(self, resource: R) -> list[HostWarning]:
        """Return how the host differs from the desired `resource`, empty when it does not."""


def within(deadline: float) -> float:
    """The sooner of `deadline` and the end of what one step may take (`time.monotonic()` values)."""
    return min(deadline, time.monotonic() + READ_BACK_SECONDS)


def drifted(
    resource: HostResource, message: str, expected: str = "", found: str = "", code: str = "configuration_drift"
) -> HostWarning:  # fmt: skip
    """The warning that `resource` is not as desired."""
    return HostWarning(code, message, resource.origin, " ".join(resource.identity), expected, found)
