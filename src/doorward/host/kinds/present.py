"""What is either there or not: the base of the kinds of the network. Each asks its driver; read back until it shows."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Final

import structlog
from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import Kind, R, drifted, within
from doorward.host.plan import Action, Change, Effect, HostWarning

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


_POLL_SECONDS: Final = 0.05

_log = structlog.stdlib.get_logger(__name__)


class PresentKind(Kind[R]):
    """Base of kinds that a driver puts there and takes away."""

    effect: Effect = "none"
    virtual = False
    """Nothing is really set, so what a change asks for is always told, and what it removes never looked for."""

    @abstractmethod
    def exists(self, resource: R) -> bool:
        """Whether the host has it, just so."""

    @abstractmethod
    def create(self, resource: R, deadline: float) -> None:
        """Put it there, in place of what stands for the same thing."""

    @abstractmethod
    def delete(self, resource: R) -> None:
        """Take it away."""

    @abstractmethod
    def text(self, resource: R) -> str:
        """What it is called in plans and reasons."""

    @abstractmethod
    def check(self, resource: R) -> list[HostWarning]:
        """What to warn of ahead of a change; `HostError` when it must not even be begun."""

    def capture(self, resource: R) -> object:
        """What is there now, whole enough to put it back."""
        return self.exists(resource)

    def reinstate(self, resource: R, before: object, deadline: float) -> None:
        """Put back what `capture` gave."""
        if self.exists(resource) == before:
            return
        if before:
            self.create(resource, deadline)
        else:
            self.delete(resource)

    @override
    def plan(self, change: Change[R], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Nothing when the host has it already, else set or remove."""
        subject, wanted = change.subject, change.resource is not None
        asked = self.virtual and change.resource != change.previous
        if self.exists(subject) == wanted and not asked:
            return None, []
        try:
            warnings = self.check(subject)
        except HostError as failure:
            if not change.is_unchanged:
                raise
            _log.warning("host not put right", what=self.text(subject), reason=failure.reason)
            return None, []
        text = f"{'set' if wanted else 'remove'} {self.text(subject)}"
        return change.action(text, self.effect), warnings

    @override
    def observe(self, change: Change[R]) -> object:
        """See `capture`."""
        return self.capture(change.subject)

    @override
    def apply(self, change: Change[R], deadline: float) -> None:
        """Put it there or take it away."""
        if change.resource is None:
            self.delete(change.subject)
            return
        try:
            self.create(change.resource, deadline)
        except HostError as failure:
            if not change.is_unchanged:
                raise
            _log.error("host not put right", what=self.text(change.resource), reason=failure.reason)

    @override
    def verify(self, change: Change[R], deadline: float) -> None:
        """Read back, for a few seconds until it shows. Raises HostError."""
        wanted = change.resource is not None
        if (self.virtual and not wanted) or change.is_unchanged:
            return
        end = within(deadline)
        while self.exists(change.subject) != wanted:
            if time.monotonic() >= end:
                raise HostError(f"the host {'does not show' if wanted else 'still shows'} the {self.text(change.subject)}")
            time.sleep(_POLL_SECONDS)

    @override
    def restore(self, change: Change[R], before: object, deadline: float) -> None:
        """See `reinstate`."""
        self.reinstate(change.subject, before, deadline)

    @override
    def confirm(self, change: Change[R], before: object, deadline: float) -> None:
        """What was there is there again. Raises HostError."""
        if self.capture(change.subject) != before:
            raise HostError(f"the {self.text(change.subject)} is not as it was before")

    @override
    def drift(self, resource: R) -> list[HostWarning]:
        """One warning when it is not there."""
        try:
            if self.exists(resource):
                return []
        except HostError as failure:
            return [drifted(resource, failure.reason, self.text(resource))]
        return [drifted(resource, f"the host does not have the {self.text(resource)}", self.text(resource), "nothing")]
