"""What is either there or not: the base of the kinds of the network. Each asks its driver; read back until it shows."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import structlog

from doorward.host.errors import HostError
from doorward.host.kinds import drifted, is_unchanged, within
from doorward.host.plan import Action, Change, Effect, HostWarning

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from doorward.host.resources import Resource

_POLL_SECONDS: Final = 0.05

_log = structlog.stdlib.get_logger(__name__)


class PresentKind(ABC):
    """Base of kinds that a driver puts there and takes away."""

    rank = 0
    removal_rank = 0
    is_restored_last = False
    effect: Effect = "none"
    virtual = False
    """Nothing is really set, so what a change asks for is always told, and what it removes never looked for."""

    @abstractmethod
    def exists(self, resource: Resource) -> bool:
        """Whether the host has it, just so."""

    @abstractmethod
    def create(self, resource: Resource, deadline: float) -> None:
        """Put it there, in place of what stands for the same thing."""

    @abstractmethod
    def delete(self, resource: Resource) -> None:
        """Take it away."""

    @abstractmethod
    def text(self, resource: Resource) -> str:
        """What it is called in plans and reasons."""

    def check(self, resource: Resource) -> list[HostWarning]:  # noqa: ARG002 - for those that have something to say
        """What to warn of ahead of a change; `HostError` when it must not even be begun."""
        return []

    def out_of_reach(self, resource: Resource) -> bool:  # noqa: ARG002 - for those that stand on a device
        """Whether what it stands on is missing."""
        return False

    def capture(self, resource: Resource) -> object:
        """What is there now, whole enough to put it back."""
        return self.exists(resource)

    def reinstate(self, resource: Resource, before: object, deadline: float) -> None:
        """Put back what `capture` gave."""
        if self.exists(resource) == before:
            return
        if before:
            self.create(resource, deadline)
        else:
            self.delete(resource)

    def touches(self, resource: Resource) -> str | None:  # noqa: ARG002 - the port's signature
        """No path."""
        return None

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:  # noqa: ARG002 - the port's signature
        """Never."""
        return False

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:  # noqa: ARG002
        """Nothing when the host has it already, else set or remove."""
        subject, wanted = change.subject, change.resource is not None
        if is_unchanged(change) and self.out_of_reach(subject):
            return None, []
        asked = self.virtual and change.resource != change.previous
        if self.exists(subject) == wanted and not asked:
            return None, []
        try:
            warnings = self.check(subject)
        except HostError as failure:
            if not is_unchanged(change):
                raise
            _log.warning("host_not_put_right", what=self.text(subject), reason=failure.reason)
            return None, []
        text = f"{'set' if wanted else 'remove'} {self.text(subject)}"
        return Action(text, self.effect, subject.origin, change.resource, change.previous), warnings

    def observe(self, change: Change) -> object:
        """See `mark`."""
        return self.capture(change.subject)

    def apply(self, change: Change, deadline: float) -> None:
        """Put it there or take it away."""
        if change.resource is None:
            self.delete(change.subject)
            return
        try:
            self.create(change.resource, deadline)
        except HostError as failure:
            if not is_unchanged(change):
                raise
            _log.error("host_not_put_right", what=self.text(change.resource), reason=failure.reason)

    def verify(self, change: Change, deadline: float) -> None:
        """Read back, for a few seconds until it shows."""
        wanted = change.resource is not None
        if (self.virtual and not wanted) or is_unchanged(change):
            return
        end = within(deadline)
        while self.exists(change.subject) != wanted:
            if time.monotonic() >= end:
                raise HostError(f"the host {'does not show' if wanted else 'still shows'} the {self.text(change.subject)}")
            time.sleep(_POLL_SECONDS)

    def restore(self, change: Change, before: object, deadline: float) -> None:
        """See `put_back`."""
        self.reinstate(change.subject, before, deadline)

    def confirm(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """What was there is there again."""
        if self.capture(change.subject) != before:
            raise HostError(f"the {self.text(change.subject)} is not as it was before")

    def drift(self, resource: Resource) -> list[HostWarning]:
        """One warning when it is not there."""
        try:
            if self.exists(resource):
                return []
        except HostError as failure:
            return [drifted(resource, failure.reason)]
        return [drifted(resource, f"the host does not have the {self.text(resource)}")]
