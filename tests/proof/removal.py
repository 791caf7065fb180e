"""A recording of a build without one boundary: the sync never happened, the file was written in its place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from random import Random

from tests.proof.boundaries import Boundary
from tests.proof.disk_log import Entry

_CUTS = 60
"""So many places at the most are cut at, to find out that something is missing."""
_NEAR = 8
"""So many of them lie behind the next syncs and changes of names."""


def without(entries: Sequence[Entry], boundary: Boundary) -> tuple[list[Entry], list[int]]:
    """Return the entries without what a boundary did, and where that would have stood. No places: it was never passed."""
    kept: list[list[Entry]] = [[entry] for entry in entries]
    places: set[int] = set()
    for at, entry in enumerate(entries):
        path = _asked_at(entry, boundary)
        if path is not None and (found := _carried_out(entries, at, boundary, path)) is not None:
            if boundary.kind == "name":
                places.add(_in_place(kept, found))
            else:
                places.add(found)
                kept[found] = []
    left: list[Entry] = []
    moved: list[int] = []
    for at, several in enumerate(kept):
        if at in places:
            moved.append(len(left))
        left.extend(several)
    return left, moved


def _asked_at(entry: Entry, boundary: Boundary) -> str | None:
    """Return the path that a boundary was about to change, if an entry is the note of that."""
    if entry.kind != "M" or '"site"' not in entry.name:
        return None
    said = json.loads(entry.name)
    module, _, line = said["site"].rpartition(":")
    return str(said["path"]) if module == boundary.module and boundary.first <= int(line) <= boundary.last else None


def _carried_out(entries: Sequence[Entry], at: int, boundary: Boundary, path: str) -> int | None:
    for index in range(at + 1, len(entries)):
        entry = entries[index]
        if entry.process == entries[at].process and (
            (entry.kind == "R" and entry.other == path) if boundary.kind == "name" else (entry.kind == "S" and entry.name == path)
        ):
            return index
    return None


def _in_place(entries: list[list[Entry]], renamed: int) -> int:
    """Let a file be written where it was only given its name: whatever stood there is written over. Return where that begins."""
    [final] = entries[renamed]
    begun = next((at for at in range(renamed, -1, -1) if any(_makes(one, final.name) for one in entries[at])), None)
    if begun is None:  # it came to its name by another change of names: its content is copied
        content = _content(entries[:renamed], final.name)
        entries[renamed] = [
            final._replace(kind="T", at=0, name=final.other, other=""),
            final._replace(kind="W", at=0, name=final.other, other="", data=content),
            final._replace(kind="U", other=""),
        ]
        return renamed
    is_new = not _stands(entries[:begun], final.other)
    entries[renamed] = []
    for at in range(begun, renamed):
        entries[at] = [_moved(one, final.other, is_new=is_new) if one.name == final.name else one for one in entries[at]]
    return begun


def _makes(entry: Entry, path: str) -> bool:
    return entry.kind in "OY" and entry.name == path


def _moved(entry: Entry, path: str, *, is_new: bool) -> Entry:
    if entry.kind == "O" and not is_new:
        return entry._replace(kind="T", at=0, name=path)
    return entry._replace(name=path)


def _content(entries: Sequence[Sequence[Entry]], path: str) -> bytes:
    """Return what was written to a file that has this name by now."""
    for several in reversed(entries):
        for one in reversed(several):
            if one.kind == "R" and one.other == path:
                path = one.name
    return b"".join(one.data for several in entries for one in several if one.kind == "W" and one.name == path)


def _stands(entries: Iterable[Sequence[Entry]], path: str) -> bool:
    """Whether a name was there after some entries."""
    stands = False
    for one in (one for several in entries for one in several):
        if (one.kind in "OYD" and one.name == path) or (one.kind in "RL" and one.other == path):
            stands = True
        elif one.kind in "UR" and one.name == path:
            stands = False
    return stands


def telling_places(entries: Sequence[Entry], removed: Sequence[int], dice: Random) -> Iterator[int]:
    """Yield places to cut at where something would be missing: after what was promised next, and on the way there.

    On the way most is missing right behind another sync or change of names.
    """
    found: set[int] = set()
    for at in removed:
        promised = [after for after, entry in enumerate(entries[at:], at + 1) if entry.kind == "M" and '"site"' not in entry.name]
        end = promised[0] if promised else len(entries)
        found |= {at, at + 1, *promised[:2], *(dice.randint(at, end) for _ in range(2))}
        found |= {index + 1 for index in [index for index in range(at, end) if entries[index].kind in "SUR"][:_NEAR]}
    chosen = sorted(place for place in found if place <= len(entries))
    yield from chosen if len(chosen) <= _CUTS else sorted(dice.sample(chosen, _CUTS))
