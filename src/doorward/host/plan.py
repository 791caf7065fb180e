"""What a change will do to the host: values that can be shown beforehand and carried out afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from msgspec import Struct

from doorward.host.resources import HostResource

R_co = TypeVar("R_co", bound=HostResource, covariant=True)
"""The kind of resource that changes."""

Effect = Literal["none", "reload", "restart", "listener", "sessions_drop"]
"""What users of the host notice.

Nothing, or a daemon re-reads, a daemon restarts, a listener moves, sessions are dropped.
"""


@dataclass(frozen=True, slots=True)
class HostWarning:
    """Something an operator should know that stops nothing.

    `code` for programs, `message` for people, `origin` the href. Where the host differs, `resource` names what does, such
    as "file /etc/timezone", and `expected` and `found` say how.
    """

    code: str
    message: str
    origin: str
    resource: str = field(default="", compare=False)
    expected: str = field(default="", compare=False)
    found: str = field(default="", compare=False)


class Change(Struct, Generic[R_co], frozen=True):
    """One resource on its way from `previous` to `resource`; None on one side means added or removed, never both."""

    resource: R_co | None
    previous: R_co | None

    @property
    def subject(self) -> R_co:
        """The side that exists, the new one first. Raises ValueError."""
        subject = self.resource if self.resource is not None else self.previous
        if subject is None:
            raise ValueError("a change needs a resource or a previous one")
        return subject

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody asks for a change, as at a start.

        What can't be put right then is drift and no reason to give up the rest: a node starts, is reached and can be changed
        while a part of it is broken.
        """
        return self.resource == self.previous

    def action(self, text: str, effect: Effect = "none") -> Action:
        """Return the step that carries it out."""
        return Action(text, effect, self.subject.origin, self.resource, self.previous)


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
    resource: HostResource | None = field(default=None, repr=False)
    previous: HostResource | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """Ordered actions, warnings, and every changed resource (`changed`).

    A changed resource that needs no action is verified too.
    """

    actions: tuple[Action, ...] = ()
    warnings: tuple[HostWarning, ...] = ()
    changed: tuple[Change[HostResource], ...] = field(default=(), repr=False)
