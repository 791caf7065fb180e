"""What differs between two bodies, place by place, and how two people's differences come together.

What counts as a place, and what changes whole, is for the shape of the body to say (``shapes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from doorward.tree.shapes import FREE, Shape

ORDER = "@order"

Kind = Literal["create", "delete", "replace", "reorder"]
At = tuple[str, ...]


class Missing:
    """Stands for a value that is not there."""

    def __repr__(self) -> str:
        return "missing"


MISSING = Missing()


class Difference(Struct, frozen=True):
    """One place that differs. ``old`` or ``new`` is MISSING where there is none; for ``reorder`` they are the orders."""

    kind: Kind
    at: At
    old: Any
    new: Any


def differences(old: Any, new: Any, shape: Shape = FREE, at: At = ()) -> Iterator[Difference]:
    """Yield how to get from one body to another, in an order in which it can be carried out."""
    if not (shape.is_followed and isinstance(old, dict) and isinstance(new, dict)):
        if same(old, new):
            return
        if old is MISSING:
            yield Difference("create", at, old, new)
        elif new is MISSING:
            yield Difference("delete", at, old, new)
        elif isinstance(old, list) and isinstance(new, list) and _same_elements(old, new):
            yield Difference("reorder", at, old, new)
        else:
            yield Difference("replace", at, old, new)
        return
    rank = {name: index for index, name in enumerate(new.get(ORDER, ()))}  # new entries are appended one after another
    for name in sorted((old.keys() | new.keys()) - {ORDER}, key=lambda name: (rank.get(name, -1), name)):
        yield from differences(old.get(name, MISSING), new.get(name, MISSING), shape.inside(name), (*at, name))
    if ORDER in old and ORDER in new and _reordered(old[ORDER], new[ORDER]):  # last: what it orders is there by then
        yield Difference("reorder", at, old[ORDER], new[ORDER])


def same(one: Any, other: Any) -> bool:
    """Compare JSON values by type and value: 1, 1.0 and true are three different things."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def _same_elements(old: list[Any], new: list[Any]) -> bool:
    rest = list(new)
    if len(old) != len(new):
        return False
    for element in old:
        found = next((index for index, other in enumerate(rest) if same(element, other)), None)
        if found is None:
            return False
        del rest[found]
    return True


def _reordered(old: list[str], new: list[str]) -> bool:
    """Whether the orders differ by more than removals and appending."""
    kept = [name for name in old if name in set(new)]
    return new[: len(kept)] != kept


def value_at(body: Any, at: At) -> Any:
    """Return what stands at a place, or MISSING."""
    for name in at:
        if not isinstance(body, dict) or name not in body:
            return MISSING
        body = body[name]
    return body


def overlapping(one: At, other: At) -> bool:
    """Whether two places are the same, or one is above the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def apply(difference: Difference, body: Any) -> Any:
    """Return the body with a difference applied; everything else stays as it is."""
    if difference.kind == "reorder" and isinstance(value_at(body, difference.at), dict):
        return _put(body, (*difference.at, ORDER), _merged_order(difference, value_at(body, (*difference.at, ORDER))))
    body = _put(body, difference.at, difference.new)
    above = value_at(body, difference.at[:-1]) if difference.at else MISSING
    if isinstance(above, dict) and ORDER in above:
        name, order = difference.at[-1], [n for n in above[ORDER] if n in above]
        if difference.kind == "create" and name not in order:
            order.append(name)
        body = _put(body, (*difference.at[:-1], ORDER), order)
    return body


def _merged_order(difference: Difference, now: list[str]) -> list[str]:
    wanted = [name for name in difference.new if name in now]
    return wanted + [name for name in now if name not in wanted]


def _put(body: Any, at: At, value: Any) -> Any:
    if not at:
        return value
    name, rest = at[0], at[1:]
    if rest:
        return {**body, name: _put(body.get(name, {}), rest, value)}
    if value is MISSING:
        return {key: member for key, member in body.items() if key != name}
    return {**body, name: value}
