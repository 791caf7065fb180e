"""What an account may do: the rights of its groups, by object and by subtree (configuration contract, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct
from msgspec.structs import replace

from doorward.configuration.aaa import acls
from doorward.configuration.aaa.local_database import groups, users
from doorward.tree.places import ROOT, Place
from doorward.tree.snapshot import Snapshot

Allowed = Callable[[], bool]
"""Tells whether an account still has the right to what it asked for. In any thread."""


def always() -> bool:
    """Stand for the right to what no account asked for."""
    return True


class Rights(Struct, frozen=True):
    """What an account may do. ``everything``: see ``may_everything``; else ACL objects and hrefs of subtrees.

    ``paths`` are the subtrees of the API that all of it is limited to; none means no limit.
    """

    everything: bool = False
    readable: frozenset[str] = frozenset()
    writable: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    lines: tuple[acls.Line, ...] = ()
    paths: tuple[str, ...] = ()

    def reaches(self, path: str) -> bool:
        """Whether a path is within the limits, whatever may be done there."""
        return not self.paths or any(path == top or path.startswith(f"{top}/") for top in self.paths)

    def limited(self, paths: tuple[str, ...]) -> Rights:
        """Return these rights within some subtrees alone; what is equal to every right is none of them. No paths: no limit."""
        if not paths:
            return self
        readable, writable = (acls.OBJECTS, acls.OBJECTS) if self.everything else (self.readable, self.writable)
        return replace(self, everything=False, readable=readable, writable=writable, paths=paths)

    def may_read(self, privilege: str, path: str) -> bool:
        """Whether the resource at a path, guarded by an ACL object, may be read."""
        return self.everything or (self.reaches(path) and (privilege in self.readable or _within(path, self.readable)))

    def may_write(self, privilege: str, path: str) -> bool:
        """Whether the resource at a path, guarded by an ACL object, may be written."""
        return self.everything or (self.reaches(path) and (privilege in self.writable or _within(path, self.writable)))

    def covers(self, other: Rights) -> bool:
        """Whether everything that the other rights let somebody read may be read."""
        return self.everything or (
            not other.everything
            and other.readable <= self.readable
            and (not self.paths or (bool(other.paths) and all(map(self.reaches, other.paths))))
        )

    @property
    def may_write_something(self) -> bool:
        """Whether there is anything to open a transaction for."""
        return self.everything or bool(self.writable)


def _within(path: str, granted: frozenset[str]) -> bool:
    """Whether one of the granted subtrees holds the path."""
    while path.startswith(ROOT):
        if path in granted:
            return True
        path = path.rpartition("/")[0]
    return False


def may_everything(key: str, lines: Iterable[acls.Line]) -> bool:
    """Whether an account may do everything, by its key and the lines of its groups: ``admin``, or write on every object.

    What is equal to every right, such as restoring an archive or reading all secrets, asks for this and for nothing less. One
    group must have all of it: several that happen to complete one another were not meant for that.
    """
    written: dict[str, set[str]] = {}
    for line in lines:
        if line.permission == "write":
            written.setdefault(line.group, set()).update(line.objects)
    return key == users.ADMIN or any(objects >= acls.OBJECTS for objects in written.values())


def rights_of(snapshot: Snapshot, key: str) -> Rights:
    """Return the rights of the account with the key."""
    href = Place(users.PATH, key).href
    places = [place for place in snapshot.who_refers_to(href) if place.path == groups.PATH]
    names = [group.name for place in places if (group := snapshot.find(groups.NODE, place.key))]
    lines = tuple(line for line in snapshot.read(acls.NODE) if line.group in names)
    written = frozenset(name for line in lines if line.permission == "write" for name in line.objects)
    read = written | {name for line in lines for name in line.objects}
    return Rights(may_everything(key, lines), read, written, tuple(sorted(names)), lines)
