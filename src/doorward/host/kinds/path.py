"""Kinds `File` and `Symlink`: something at a path, replaced as a whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from doorward.host.errors import HostError
from doorward.host.files import Entry, Files
from doorward.host.kinds import drifted
from doorward.host.plan import Action, Change, HostWarning
from doorward.host.resources import File, Resource, Symlink

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

ZONEINFO = "/usr/share/zoneinfo/"
"""Where Linux keeps the time zone database; links into it must not dangle."""


class PathKind:
    """Handles `File` and `Symlink` over a `Files`."""

    rank = 0
    is_restored_last = False

    def __init__(self, files: Files, target_exists: Callable[[str], bool] = os.path.exists) -> None:
        """`target_exists` tells whether a link's target is on this machine."""
        self._files = files
        self._target_exists = target_exists

    def touches(self, resource: Resource) -> str | None:
        """Its own path."""
        return _path(resource)

    def depends(self, resource: Resource, touched: AbstractSet[str]) -> bool:  # noqa: ARG002 - the port's signature
        """Never: a path stands for itself."""
        return False

    def plan(self, change: Change, touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:  # noqa: ARG002
        """Nothing when the host has it already, else write, link or remove."""
        found = self._seen(_path(change.subject))
        if found is not _ODD and found == _wanted(change.resource):
            return None, []
        text = _text(change.subject, removed=change.resource is None)
        return Action(text, "none", change.subject.origin, change.resource, change.previous), []

    def observe(self, change: Change) -> object:
        """The `Entry` at the path, or None."""
        return self._files.read(_path(change.subject))

    def apply(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - one write is not interrupted
        """Write it, or remove what is no longer wanted."""
        self._put(_path(change.subject), _wanted(change.resource))

    def verify(self, change: Change, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """Compare content, mode and target with what is on the host."""
        path = _path(change.subject)
        if self._files.read(path) != _wanted(change.resource):
            gone = change.resource is None
            raise HostError(f"{path} is still there" if gone else f"{path} does not hold what was written")
        if isinstance(change.resource, Symlink):
            self._check_target(change.resource.target)

    def restore(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - one write is not interrupted
        """Write or remove exactly as before; a step that changed nothing, as on a full disk, needs nothing."""
        if self._seen(_path(change.subject)) == before:
            return
        self._put(_path(change.subject), before if isinstance(before, Entry) else None)

    def confirm(self, change: Change, before: object, deadline: float) -> None:  # noqa: ARG002 - reading does not wait
        """The old entry, or nothing, is at the path again."""
        path = _path(change.subject)
        if self._files.read(path) != before:
            raise HostError(f"{path} is not as it was before")

    def drift(self, resource: Resource) -> list[HostWarning]:
        """One warning when what is at the path is not the desired thing."""
        path = _path(resource)
        found = self._seen(path)
        if found == _wanted(resource):
            return []
        return [drifted(resource, f"{path} is missing" if found is None else f"{path} was changed by someone else")]

    def _put(self, path: str, entry: Entry | None) -> None:
        if entry is None:
            self._files.remove(path)
            return
        if entry.target is not None:
            self._check_target(entry.target)
        self._files.write(path, entry)

    def _check_target(self, target: str) -> None:
        if target.startswith(ZONEINFO) and not self._target_exists(target):
            zone = target.removeprefix(ZONEINFO)
            raise HostError(f"the time zone database of this machine has no {zone}; install the package tzdata")

    def _seen(self, path: str) -> Entry | None:
        """What stands at the path; a directory or an unreadable file counts as something that is not wanted."""
        try:
            return self._files.read(path)
        except HostError:
            return _ODD


_ODD = Entry(mode=-1)


def _path(resource: Resource) -> str:
    if isinstance(resource, File | Symlink):
        return resource.path
    raise TypeError(type(resource).__name__)


def _wanted(resource: Resource | None) -> Entry | None:
    if isinstance(resource, File):
        return Entry(resource.content, resource.mode)
    if isinstance(resource, Symlink):
        return Entry(target=resource.target)
    return None


def _text(resource: Resource, *, removed: bool) -> str:
    verb = "remove" if removed else "link" if isinstance(resource, Symlink) else "write"
    label = resource.label if isinstance(resource, File | Symlink) else ""
    return f"{verb} {label or _path(resource)}"
