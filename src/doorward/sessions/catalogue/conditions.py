"""Conditions of SQL with their values, put together. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct


class Condition(Struct, frozen=True):
    """A condition over the table of sessions. Its text never holds anything that came from outside."""

    sql: str
    values: tuple[int | str, ...] = ()


ALL: Final = Condition("1")
NONE: Final = Condition("0")


def together(operator: str, parts: Iterable[Condition]) -> Condition:
    """Return conditions joined by an operator, such as `` AND ``; one alone stays as it is."""
    found = list(parts)
    if len(found) == 1:
        return found[0]
    return Condition(f"({operator.join(part.sql for part in found)})", tuple(value for part in found for value in part.values))


def joined(*parts: Condition) -> Condition:
    """Return the condition that all of some conditions hold."""
    return together(" AND ", parts)
