"""Kind `Listener`: an in-process server on an address, proven by reaching it.

New listeners accept before old ones close. One that is no longer wanted is only dismissed here: it goes on accepting until
the commit is published, so that going back needs nothing but calling it back and can't fail on an address that is taken.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import structlog
from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.kinds import READ_BACK_SECONDS, Kind, drifted, within
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import Listener

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_log = structlog.stdlib.get_logger(__name__)


class ListenerHost(Protocol):
    """Who has the servers behind the names. All calls block; failures are `HostError`."""

    def at(self, name: str) -> Listener | None:
        """What is open at an address and port ("127.0.0.1:8443") and has not been dismissed; None: nothing."""

    def open(self, listener: Listener, deadline: float) -> None:
        """Accept by this value from now on, in place of what is open at its address and port, if anything is."""

    def dismiss(self, name: str) -> None:
        """Close soon, unless it is opened again before."""

    def close(self, name: str) -> None:
        """Accept no more at once."""

    def prove(self, listener: Listener, deadline: float) -> None:
        """Connect, be accepted, and finish a TLS handshake that shows the right certificate."""


class ListenerKind(Kind[Listener]):
    """Handles `Listener`."""

    rank = -20
    """After addresses were added (-30), before they are removed (-10)."""

    def __init__(self, listeners: ListenerHost) -> None:
        """`listeners` has the servers."""
        self._listeners = listeners

    @override
    def plan(self, change: Change[Listener], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Open, change or close; nothing when that is what is open."""
        listener = change.subject
        now = self._listeners.at(listener.name)
        if now == change.resource:
            return None, []
        verb = "close" if change.resource is None else "open" if now is None else "change"
        services = " and ".join(rule.service for rule in listener.rules)
        return change.action(f"{verb} {services} at {listener.name}", "listener"), []

    @override
    def observe(self, change: Change[Listener]) -> object:
        """The `Listener` that is open there, or None."""
        return self._listeners.at(change.subject.name)

    @override
    def apply(self, change: Change[Listener], deadline: float) -> None:
        """Open it and reach it, so that nothing old closes before; or dismiss what is no longer wanted."""
        if change.resource is None:
            self._listeners.dismiss(change.subject.name)
            return
        try:
            self._listeners.open(change.resource, within(deadline))
            self._listeners.prove(change.resource, within(deadline))
        except HostError as failure:
            if not change.is_unchanged:
                raise
            _log.error("host not put right", what=change.resource.name, reason=failure.reason)

    @override
    def verify(self, change: Change[Listener], deadline: float) -> None:
        """Reach it once more, when everything else has been done."""
        if change.resource is not None and not change.is_unchanged:
            self._listeners.prove(change.resource, within(deadline))

    @override
    def restore(self, change: Change[Listener], before: object, deadline: float) -> None:
        """Open what was open, close what was not."""
        if isinstance(before, Listener):
            self._listeners.open(before, within(deadline))
        else:
            self._listeners.close(change.subject.name)

    @override
    def confirm(self, change: Change[Listener], before: object, deadline: float) -> None:
        """What was open can be reached again; what was not is closed. Raises HostError."""
        if isinstance(before, Listener):
            self._listeners.prove(before, within(deadline))
        elif self._listeners.at(name := change.subject.name) is not None:
            raise HostError(f"{name} is still open")

    @override
    def drift(self, resource: Listener) -> list[HostWarning]:
        """One warning when it is not open as desired, or can't be reached."""
        listener = resource
        if self._listeners.at(listener.name) != listener:
            return [drifted(resource, f"nothing listens on {listener.name} as configured", listener.name, "nothing")]
        try:
            self._listeners.prove(listener, time.monotonic() + READ_BACK_SECONDS)
        except HostError as failure:
            return [drifted(resource, failure.reason, listener.name)]
        return []
