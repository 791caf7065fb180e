"""What differs between two revisions, worked out backwards from what runs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from doorward.api.changes import as_change
from doorward.tree.changes import MISSING, At, Difference, Kind, carry, differences
from doorward.tree.shapes import FREE, Shape

Change = Mapping[str, Any]
Bodies = dict[str, Any]
"""Bodies by href; MISSING where there is no such resource."""


def place(path: str) -> tuple[str, At]:
    """Return the href and the place in the body of a change's path."""
    href, mark, inner = path.partition("#")
    return href, tuple(name.replace("~1", "/").replace("~0", "~") for name in inner.split("/")) if mark else ()


def undone(bodies: Mapping[str, Any], changes: Sequence[Change]) -> Bodies:
    """Return the bodies as they were before the changes of one revision."""
    found = dict(bodies)
    for change in sorted(changes, key=lambda change: change["type"] == "reorder"):  # orders last: what they name is back by then
        href, at = place(change["path"])
        found[href] = carry(_inverse(change, at), found[href])
    return found


_INVERSE = {"create": "delete", "delete": "create", "replace": "replace", "reorder": "reorder"}


def _inverse(change: Change, at: At) -> Difference:
    old, new = (change.get(f"{age}_order", change.get(f"{age}_value", MISSING)) for age in ("old", "new"))
    return Difference(cast("Kind", _INVERSE[change["type"]]), at, new, old)


def between(
    running: Mapping[str, Any],
    newer: Iterable[Sequence[Change]],
    older: Iterable[Sequence[Change]],
    shape: Callable[[str], Shape] = lambda _: FREE,
) -> list[dict[str, Any]]:
    """Return the changes from the older to the newer revision.

    ``newer`` holds the changes of the revisions after the newer one, ``older`` those between the two; newest first. ``shape``
    gives the shape of a body by its href.
    """
    bodies = dict(running)
    for changes in newer:
        bodies = undone(bodies, changes)
    before = bodies
    for changes in older:
        before = undone(before, changes)
    found = [as_change(href, one) for href in bodies for one in differences(before[href], bodies[href], shape(href))]
    return sorted(found, key=lambda change: str(change["path"]))
