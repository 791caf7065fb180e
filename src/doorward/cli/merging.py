"""What a partial body makes of a whole one."""

from __future__ import annotations

from typing import Any

from doorward.tree.changes import ORDER

_TAGS = ("selection", "type")


def merged(old: Any, new: Any, *, switch: bool = True) -> Any:
    """Return a body with the members of ``new``; members that it does not name keep their value, at every level.

    Lists change whole. So does a union whose variant changes, and a switch that goes off: they show other members then.
    In an ordered map new entries go last; entries are removed by an ``@order`` that leaves them out. ``switch``: whether
    ``enabled: false`` hides the other members of the body itself; inside it always does.
    """
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    if any(tag in new and new[tag] != old.get(tag) for tag in _TAGS) or (switch and new.get("enabled") is False):
        return new
    members = {**old, **{name: merged(old[name], member) if name in old else member for name, member in new.items()}}
    if ORDER not in old:
        return members
    if ORDER not in new:
        return {**members, ORDER: [*old[ORDER], *(name for name in new if name not in old)]}
    kept = new[ORDER] if isinstance(new[ORDER], list) else []
    return {name: member for name, member in members.items() if name == ORDER or name in new or name in kept}
