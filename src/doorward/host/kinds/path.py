"""Kinds `File` and `Symlink`: what stands at a path of the host's file system."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeVar

from typing_extensions import override

from doorward.host.errors import HostError
from doorward.host.files import FileEntry, Files
from doorward.host.kinds import Kind, drifted
from doorward.host.resources import File, Symlink
from doorward.host.shown import described, difference

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from doorward.host.plan import Action, Change, HostWarning

ZONEINFO = "/usr/share/zoneinfo/"
"""Where Linux keeps the time zone database; links into it must not dangle."""

P = TypeVar("P", File, Symlink)
"""What stands at a path."""


class PathKind(Kind[P]):
    """Base of the kinds of `File` and `Symlink`, over a `Files`."""

    rank = 0
    verb: ClassVar[str]
    """What is done to have it."""

    def __init__(self, files: Files) -> None:
        """`files` of the host."""
        self._files = files

    @abstractmethod
    def entry(self, resource: P) -> FileEntry:
        """Return what should stand at the path."""

    def check(self, entry: FileEntry) -> None:
        """Raise `HostError` when an entry would be of no use on this machine."""

    @override
    def touches(self, resource: P) -> str | None:
        return resource.path

    @override
    def plan(self, change: Change[P], touched: AbstractSet[str]) -> tuple[Action | None, list[HostWarning]]:
        """Nothing when the host has it already, else write, link or remove."""
        found = self._seen(change.subject.path)
        if found is not _ODD and found == self._wanted(change):
            return None, []
        verb = "remove" if change.resource is None else self.verb
        return change.action(f"{verb} {change.subject.label or change.subject.path}"), []

    @override
    def observe(self, change: Change[P]) -> object:
        """The `FileEntry` at the path, or None."""
        return self._files.read(change.subject.path)

    @override
    def apply(self, change: Change[P], deadline: float) -> None:
        """Write it, or remove what is no longer wanted."""
        self._put(change.subject.path, self._wanted(change))

    @override
    def verify(self, change: Change[P], deadline: float) -> None:
        """Compare content, mode and target with what is on the host. Raises HostError."""
        path, wanted = change.subject.path, self._wanted(change)
        if self._files.read(path) != wanted:
            raise HostError(f"{path} is still there" if wanted is None else f"{path} does not hold what was written")
        if wanted is not None:
            self.check(wanted)

    @override
    def restore(self, change: Change[P], before: object, deadline: float) -> None:
        """Write or remove exactly as before; a step that changed nothing, as on a full disk, needs nothing."""
        if self._seen(change.subject.path) != before:
            self._put(change.subject.path, before if isinstance(before, FileEntry) else None)

    @override
    def confirm(self, change: Change[P], before: object, deadline: float) -> None:
        """The old entry, or nothing, is at the path again. Raises HostError."""
        path = change.subject.path
        if self._files.read(path) != before:
            raise HostError(f"{path} is not as it was before")

    @override
    def drift(self, resource: P) -> list[HostWarning]:
        """One warning when what is at the path is not the desired thing."""
        path = resource.path
        found, wanted = self._seen(path), self.entry(resource)
        if found == wanted:
            return []
        message = f"{path} is missing" if found is None else f"{path} was changed by someone else"
        how = "something that can't be read" if found is _ODD else difference(wanted, found)
        return [drifted(resource, message, described(wanted), how)]

    def _wanted(self, change: Change[P]) -> FileEntry | None:
        return self.entry(change.resource) if change.resource is not None else None

    def _put(self, path: str, entry: FileEntry | None) -> None:
        if entry is None:
            self._files.remove(path)
            return
        self.check(entry)
        self._files.write(path, entry)

    def _seen(self, path: str) -> FileEntry | None:
        """What stands at the path; a directory or an unreadable file counts as something that is not wanted."""
        try:
            return self._files.read(path)
        except HostError:
            return _ODD


class FileKind(PathKind[File]):
    """Handles `File`."""

    verb = "write"

    @override
    def entry(self, resource: File) -> FileEntry:
        return FileEntry(resource.content, resource.mode)


class SymlinkKind(PathKind[Symlink]):
    """Handles `Symlink`."""

    verb = "link"

    def __init__(self, files: Files, target_exists: Callable[[str], bool] = os.path.exists) -> None:
        """`target_exists` tells whether a link's target is on this machine."""
        super().__init__(files)
        self._target_exists = target_exists

    @override
    def entry(self, resource: Symlink) -> FileEntry:
        return FileEntry(target=resource.target)

    @override
    def check(self, entry: FileEntry) -> None:
        """A time zone has to be in the database. Raises HostError."""
        if entry.target is not None and entry.target.startswith(ZONEINFO) and not self._target_exists(entry.target):
            zone = entry.target.removeprefix(ZONEINFO)
            raise HostError(f"the time zone database of this machine has no {zone}; install the package tzdata")


_ODD = FileEntry(mode=-1)
