"""What the configuration must come to when several people change it: plain dictionaries, merged in the obvious way."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.unit.transaction.rig import GROUPS, ROOT, SERVERS, USERS, WEB, ZONE

Path = tuple[str, ...]


@dataclass
class Model:
    """A configuration: the singletons by path, users and groups by key in order of creation."""

    single: dict[str, Any] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)

    def copy(self) -> Model:
        return deepcopy(self)

    def objects(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {USERS: self.users, GROUPS: self.groups}

    def delete_user(self, key: str) -> None:
        del self.users[key]
        for group in self.groups.values():
            if key in group["members"]:
                group["members"] = [member for member in group["members"] if member != key]

    def faults(self) -> set[str]:
        """What the rules must find."""
        found = set()
        for names in (
            [user["name"].casefold() for user in self.users.values()] + ["admin"],
            [group["name"] for group in self.groups.values()],
        ):
            if len(set(names)) < len(names):
                found.add("duplicate")
        if any(member not in self.users for group in self.groups.values() for member in group["members"]):
            found.add("dangling")
        return found


def merged(base: Model, mine: Model, theirs: Model) -> tuple[Model, set[str]]:
    """Their configuration with my changes, and the paths of what both changed differently."""
    result, collisions = theirs.copy(), set[str]()
    for path in base.single:
        value, collides = _three(base.single[path], mine.single[path], theirs.single[path])
        result.single[path] = value
        if collides:
            collisions.add(ROOT + path + ("#timeout" if path == WEB else ""))
    for path, target in result.objects().items():
        _merge_objects(path, target, (base.objects()[path], mine.objects()[path], theirs.objects()[path]), collisions)
    return result, collisions


def _three(base: Any, mine: Any, theirs: Any) -> tuple[Any, bool]:
    if mine in (base, theirs):
        return theirs, False
    return (mine, False) if theirs == base else (theirs, True)


Objects = dict[str, dict[str, Any]]


def _merge_objects(path: str, target: Objects, versions: tuple[Objects, Objects, Objects], collisions: set[str]) -> None:
    base, mine, theirs = versions
    for key in [*base, *(key for key in mine if key not in base)]:
        old, own, now = base.get(key), mine.get(key), theirs.get(key)
        if own in (old, now):
            continue
        if now != old and (old is None or own is None or now is None):
            collisions.add(f"{ROOT}{path}/{key}")
        elif own is None:
            del target[key]
        elif now is None or old is None:
            target[key] = deepcopy(own)
        else:
            for name in old:
                value, collides = _three(old[name], own[name], now[name])
                target[key] = {**target[key], name: value}
                if collides:
                    collisions.add(f"{ROOT}{path}/{key}#{name}")


SINGLETONS = (SERVERS, ZONE, WEB)
