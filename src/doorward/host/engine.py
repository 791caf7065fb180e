"""The engine: one way to plan, apply, verify and put back, for every kind of resource."""

from __future__ import annotations

import time
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from msgspec import Struct

from doorward.host.errors import ApplyError, DeadlineExceeded, HostError, HostRefusedError, os_reason
from doorward.host.managed import Managed
from doorward.host.plan import Action, Change, HostWarning, Plan
from doorward.host.resources import HostResource, index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from doorward.host.kinds import Kind, R
    from doorward.host.time_status import SyncResult, TimeStatus

__all__ = ["Action", "ApplyError", "Host", "HostClock", "HostError", "HostRefusedError", "HostWarning", "Lifecycle", "Plan"]

REVERT_SECONDS = 15.0
"""How long putting back may take in all.

It has its own time, since the change may have used up all of what it was given.
"""

_log = structlog.stdlib.get_logger(__name__)


class HostClock(Protocol):
    """Who knows how the host's clock does."""

    def status(self) -> TimeStatus:
        """Read live, at most a second old."""

    def sync(self) -> SyncResult:
        """Measure all sources now and step the clock; `HostRefusedError` when that can't or mustn't be done."""


class Lifecycle(Protocol):
    """A part of the host that is prepared before use and ended afterwards."""

    def start(self) -> None:
        """Prepare; `HostError` when impossible."""

    def stop(self) -> None:
        """End what was started."""


class _Undo(Struct, frozen=True):
    action: Action
    kind: Kind[Any]
    change: Change[HostResource]
    before: object


class Host:
    """A machine that can be brought to a desired state.

    All methods block; one change, plan or drift check runs at a time.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        kinds: Mapping[type[HostResource], Kind[Any]],
        *,
        clock: HostClock,
        parts: Sequence[Lifecycle] = (),
        managed: Managed | None = None,
    ) -> None:
        """`name` is "sandbox" or "system", `root` its file-system root, `kinds` the handler per resource class.

        `parts` in start order; `managed` remembers what is no longer left as it was found.
        """
        self.name = name
        self.root = root
        self._kinds = dict(kinds)
        self._clock = clock
        self._parts = tuple(parts)
        self._managed = managed if managed is not None else Managed()
        self._lock = RLock()

    @property
    def kinds(self) -> Mapping[type[HostResource], Kind[Any]]:
        """The handler of each resource class, for whoever carries out single steps for an engine elsewhere."""
        return self._kinds

    def handle(self, resource_class: type[R], kind: Kind[R]) -> None:
        """Add the handler of a later kind, such as listeners that the composition root serves."""
        self._kinds[resource_class] = kind

    def start(self) -> None:
        """Prepare directories, leftovers and the daemons' own configuration; `HostError` says why it can't."""
        with self._lock:
            for part in self._parts:
                part.start()

    def stop(self) -> None:
        """End supervised children; safe to call twice and without `start`."""
        with self._lock:
            for part in reversed(self._parts):
                part.stop()

    def time_status(self) -> TimeStatus:
        """How clock, daemon and sources do, read live and at most a second old."""
        return self._clock.status()

    def sync(self) -> SyncResult:
        """Measure all time sources (at most 10 s), then step the clock.

        `HostRefusedError` when that can't or mustn't be done.
        """
        return self._clock.sync()

    def plan(self, old: Sequence[HostResource], new: Sequence[HostResource], *, full: bool = False) -> Plan:
        """The ordered actions that turn `old` into `new` on the host as it is now.

        Only what differs is looked at, and what depends on a file that moves. `full` looks at all of `new` (after a
        crash) that is not left as it was found. `HostError` when the host can't be read, `ValueError` when two
        resources claim the same thing.
        """
        with self._lock:
            before, after = index(old), index(new)
            changes: list[Change[HostResource]] = [
                Change(one, before.get(key))
                for key, one in after.items()
                if before.get(key) != one or (full and self._is_ours(one))
            ]
            # A path that changes its kind, from file to link, is not removed after it was written.
            kept = {self._kind(one).touches(one) for one in after.values()} - {None}
            changes += [
                Change(None, one) for key, one in before.items() if key not in after and self._kind(one).touches(one) not in kept
            ]
            return self._plan(changes, [one for key, one in after.items() if not full and before.get(key) == one])

    def apply(self, plan: Plan, *, deadline: float, progress: Callable[[str], None] | None = None) -> None:
        """Carry out the plan, read everything back, and on any failure put everything back and raise `ApplyError`.

        `deadline` is a `time.monotonic()` value after which the change is given up; putting back has its own time.
        `progress` is told "applying" and "verifying".
        """
        tell = progress or (lambda _: None)
        done: list[_Undo] = []
        current: Action | None = None
        with self._lock:
            ours = self._managed.origins
            try:
                tell("applying")
                self._managed.keep(ours | {c.subject.origin for c in plan.changed if c.subject.unmanaged})
                for current in plan.actions:
                    _in_time(deadline)
                    if current.resource is None and current.previous is None:
                        continue
                    self._step(current, done, deadline)
                tell("verifying")
                for change in plan.changed:
                    current = _blamed(plan, change)
                    _in_time(deadline)
                    self._verify(change, deadline)
            except Exception as error:
                blamed = current or Action("begin", "none", "")
                reason = _reason(error)
                _log.warning("host change failed", action=blamed.action, reason=reason, exc_info=_unexpected(error))
                raise ApplyError(blamed.action, blamed.origin, reason, restored=self._revert(done, ours)) from error

    def drift(self, desired: Sequence[HostResource]) -> list[HostWarning]:
        """How the host differs from `desired`, as warnings; empty when it does not."""
        with self._lock:
            ours = [one for one in index(desired).values() if self._is_ours(one)]
            return [warning for one in ours for warning in self._kind(one).drift(one)]

    def found(self, resource: HostResource) -> object:
        """What the host has of a resource, in the form of its kind; of a path its `FileEntry`. `HostError` when unreadable."""
        with self._lock:
            return self._kind(resource).found(resource)

    def path_of(self, resource: HostResource) -> str | None:
        """The path on the host that a resource is written to, None where it is no file."""
        return self._kind(resource).touches(resource)

    def _is_ours(self, resource: HostResource) -> bool:
        return not resource.unmanaged or resource.origin in self._managed

    def _plan(self, changes: list[Change[HostResource]], unchanged: list[HostResource]) -> Plan:
        # Stable: within a rank the caller's order stays, additions before removals.
        changes = sorted(changes, key=self._rank)
        actions: list[Action] = []
        warnings: list[HostWarning] = []
        touched: set[str] = set()
        pending = {change.subject.identity for change in changes}
        ranks = sorted({self._rank(change) for change in changes} | {self._kind(one).rank for one in unchanged})
        planned: list[Change[HostResource]] = []
        for current in ranks:
            here = [change for change in changes if self._rank(change) == current]
            here += [
                Change(one, one)
                for one in unchanged
                if self._kind(one).rank == current and one.identity not in pending and not touched.isdisjoint(one.reload_on)
            ]
            for change in here:
                kind = self._kind(change.subject)
                action, found = kind.plan(change, touched)
                warnings += found
                if action is not None:
                    actions.append(action)
                    path = kind.touches(change.subject)
                    touched |= {path} if path is not None else set()
            planned += here
        return Plan(tuple(actions), tuple(warnings), tuple(planned))

    def _step(self, action: Action, done: list[_Undo], deadline: float) -> None:
        change: Change[HostResource] = Change(action.resource, action.previous)
        kind = self._kind(change.subject)
        _log.debug("host step", action=action.action, path=action.origin)
        # Noted before the step: a step that fails half-way is put back too.
        done.append(_Undo(action, kind, change, kind.observe(change)))
        kind.apply(change, deadline)

    def _verify(self, change: Change[HostResource], deadline: float) -> None:
        _log.debug("host step is verified", kind=change.subject.identity[0], name=change.subject.identity[1])
        self._kind(change.subject).verify(change, deadline)

    def _rank(self, change: Change[HostResource]) -> int:
        return self._kind(change.subject).rank_of(change)

    def _revert(self, done: list[_Undo], ours: frozenset[str]) -> bool:
        """Put back in reverse order, daemons after the files they read; whether the old state is proven again."""
        deadline = time.monotonic() + REVERT_SECONDS
        order = [*reversed(done)]
        order.sort(key=lambda undo: undo.kind.is_restored_last)
        restored = True
        for phase in (self._restore, self._confirm):
            for undo in order:
                try:
                    phase(undo, deadline)
                except Exception as error:  # noqa: BLE001 - the rest must still be put back
                    restored = False
                    _log.error(
                        "host step not reverted",
                        action=undo.action.action,
                        reason=_reason(error),
                        exc_info=_unexpected(error),
                    )
        if restored:
            self._forget(ours)
        return restored

    def _forget(self, ours: frozenset[str]) -> None:
        """What a failed change took over is left as it was found again; where that can't be noted, it is only looked after."""
        try:
            self._managed.keep(ours)
        except HostError as failure:
            _log.warning("what the host manages could not be kept", reason=failure.reason)

    def _restore(self, undo: _Undo, deadline: float) -> None:
        undo.kind.restore(undo.change, undo.before, deadline)

    def _confirm(self, undo: _Undo, deadline: float) -> None:
        undo.kind.confirm(undo.change, undo.before, deadline)

    def _kind(self, resource: HostResource) -> Kind[Any]:
        kind = self._kinds.get(type(resource))
        if kind is None:
            raise HostError(f"this host does not handle resources of the kind {resource.identity[0]}")
        return kind


def _in_time(deadline: float) -> None:
    if time.monotonic() >= deadline:
        raise DeadlineExceeded("the time allowed for the change was over")


def _blamed(plan: Plan, change: Change[HostResource]) -> Action:
    """The action a failed read-back belongs to, or a name for a proof that has none."""
    for action in plan.actions:
        if Change(action.resource, action.previous) == change:
            return action
    kind, name = change.subject.identity
    return Action(f"verify {kind} {name}", "none", change.subject.origin)


def _reason(error: Exception) -> str:
    if isinstance(error, HostError):
        return error.reason
    if isinstance(error, OSError):
        return os_reason("the operating system refused a step", error)
    return "an internal error occurred; the log has the details"


def _unexpected(error: Exception) -> Exception | None:
    return None if isinstance(error, HostError | OSError) else error
