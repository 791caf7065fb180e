"""One file per resource kind: how it is planned, applied, verified and put back. The engine knows only the `Kind` port.

A new kind is a class with these members and an entry in the table that a host is built with (`Host.handle`); the
composition root may give it whatever it needs to run, such as the applications behind a listener.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from doorward.host.plan import HostWarning

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from doorward.host.plan import Action, Change
    from doorward.host.resources import Resource

READ_BACK_SECONDS = 5.0
"""How long a daemon may take to start or to show its new configuration."""


class Kind(Protocol):
    """What the engine asks of a resource kind. `deadline` is a `time.monotonic()` value; failures are `HostError`."""

    rank: int
    """Place in a plan: lower ranks first.

    VLANs -31, addresses -30, listeners -20, addresses and VLANs that go -10 and -9, files 0, networkd 3, routes 8, names 9,
    proofs 10, daemons 20, jobs 30.
    """

    is_restored_last: bool
    """True when putting back makes sense only after the other kinds are back: a daemon re-reads its files."""

    def touches(self, resource: Resource) -> str | None:
        """The host path that an action on `resource` changes, None when it changes no file."""

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:
        """Whether `resource` must act because one of the `touched` paths changes."""

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """The action this change needs on the host as it is now (None: nothing to do) and what to warn about."""

    def observe(self, change: Change) -> object:
        """What the host has now, whole enough to put it back."""

    def apply(self, change: Change, deadline: float) -> None:
        """Make the host have what the change says."""

    def verify(self, change: Change, deadline: float) -> None:
        """Read back; `HostError` when the host does not show it."""

    def restore(self, change: Change, before: object, deadline: float) -> None:
        """Put back what `observe` gave."""

    def confirm(self, change: Change, before: object, deadline: float) -> None:
        """Read back that what `observe` gave is there again; `HostError` otherwise."""

    def drift(self, resource: Resource) -> list[HostWarning]:
        """How the host differs from the desired `resource`, empty when it does not."""


def rank(kind: Kind, change: Change) -> int:
    """Place of a change in a plan; a kind whose `removal_rank` differs from its `rank` takes things away at another time."""
    return int(getattr(kind, "removal_rank", kind.rank)) if change.resource is None else kind.rank


def within(deadline: float) -> float:
    """The sooner of `deadline` and the end of what one step may take (`time.monotonic()` values)."""
    return min(deadline, time.monotonic() + READ_BACK_SECONDS)


def is_unchanged(change: Change) -> bool:
    """Whether nobody asks for a change, as at a start.

    What can't be put right then is drift and no reason to give up the rest: a node starts, is reached and can be changed
    while a part of it is broken.
    """
    return change.resource == change.previous


def drifted(resource: Resource, message: str) -> HostWarning:
    """The warning `configuration_drift` for `resource`."""
    return HostWarning("configuration_drift", message, resource.origin)
