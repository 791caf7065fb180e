"""What a change will do to the host: values that can be shown beforehand and carried out afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from doorward.host.resources import Resource

Effect = Literal["none", "reload", "restart", "listener", "sessions_drop"]
"""What users of the host notice.

Nothing, or a daemon re-reads, a daemon restarts, a listener moves, sessions are dropped.
"""


@dataclass(frozen=True, slots=True)
class HostWarning:
    """Something an operator should know that stops nothing.

    `code` for programs, `message` for people, `origin` the href.
    """

    code: str
    message: str
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """One resource on its way from `previous` to `resource`; None on one side means added or removed, never both."""

    resource: Resource | None
    previous: Resource | None

    @property
    def subject(self) -> Resource:
        """The side that exists, the new one first."""
        subject = self.resource if self.resource is not None else self.previous
        if subject is None:
            raise ValueError("a change needs a resource or a previous one")
        return subject


@dataclass(frozen=True, slots=True)
class Action:
    """One step.

    `action` is its short text ("write sources", "reload chronyd"), `effect` what it causes, `origin` the href.

    `resource` and `previous` are what the engine needs to carry it out; both None only in plans made by hand for
    display.
    """

    action: str
    effect: Effect
    origin: str
    resource: Resource | None = field(default=None, repr=False)
    previous: Resource | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered actions, warnings, and every changed resource (`changed`).

    A changed resource that needs no action is verified too.
    """

    actions: tuple[Action, ...] = ()
    warnings: tuple[HostWarning, ...] = ()
    changed: tuple[Change, ...] = field(default=(), repr=False)
