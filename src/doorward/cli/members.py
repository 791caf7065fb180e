"""One member of a body, by the names and indices that lead to it."""

from __future__ import annotations

from typing import Any

from doorward.cli.failures import CommandError
from doorward.tree.changes import MISSING, ORDER


def member(body: Any, at: tuple[str, ...]) -> Any:
    """Return what stands at a place. Raises Failure."""
    for index, name in enumerate(at):
        body = _below(body, name)
        if body is MISSING:
            raise CommandError(f"There is no member {'/'.join(at[: index + 1])}.")
    return body


def with_member(body: Any, at: tuple[str, ...], value: Any) -> Any:
    """Return the body with a value at a place; MISSING removes what is there. Only the last name may be new."""
    if not at:
        return value
    name, rest = at[0], at[1:]
    present = _below(body, name)
    if present is MISSING and (rest or value is MISSING or not isinstance(body, dict)):
        raise CommandError(f"There is no member {name}.")
    if rest:
        value = with_member(present, rest, value)
    if isinstance(body, list):
        index = int(name)
        return body[:index] + ([] if value is MISSING else [value]) + body[index + 1 :]
    order = body.get(ORDER)
    if value is not MISSING:
        entries = {**body, name: value}
        return entries if order is None or name in order or name == ORDER else {**entries, ORDER: [*order, name]}
    entries = {other: found for other, found in body.items() if other != name}
    return entries if order is None else {**entries, ORDER: [other for other in order if other != name]}


def _below(body: Any, name: str) -> Any:
    if isinstance(body, dict):
        return body.get(name, MISSING)
    if isinstance(body, list) and name.isascii() and name.isdecimal() and int(name) < len(body):
        return body[int(name)]
    return MISSING
