"""Which sessions are meant: plain values, made from queries and rights, that each engine puts into its own SQL. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from doorward.sessions.catalogue.fields import Field


class AllOf(Struct, frozen=True):
    """All of some criteria hold; of none, that is every session."""

    parts: tuple[Criterion, ...] = ()


class AnyOf(Struct, frozen=True):
    """One of some criteria holds; of none, that is no session."""

    parts: tuple[Criterion, ...] = ()


class Without(Struct, frozen=True):
    """A criterion does not hold. What is not known is not what is asked for; so it is there where that is excluded."""

    part: Criterion


class Compared(Struct, frozen=True):
    """A field beside a value of its kind: text whatever the case."""

    field: Field
    operator: Literal["=", "<", "<=", ">", ">="]
    value: int | str


class HasValue(Struct, frozen=True):
    """A field has a value, and it is not empty."""

    field: Field


class Like(Struct, frozen=True):
    """A text fits a pattern, whatever the case. ``pattern``: that of LIKE, with backslashes before what stands for itself."""

    field: Field
    pattern: str


class InNetwork(Struct, frozen=True):
    """An address is one of a network, such as ``192.0.2.0/24``."""

    field: Field
    network: str


class Words(Struct, frozen=True):
    """What is looked for in the content: a text whose words follow each other.

    ``is_beginning``: the last word may go on. With a ``distance`` there are several texts, and at most so many words between
    the first and the last of them.
    """

    texts: tuple[str, ...]
    is_beginning: bool = False
    distance: int | None = None


class Says(Struct, frozen=True):
    """Words are in the content."""

    words: Words


class UpTo(Struct, frozen=True):
    """The id is not greater than one."""

    last: int


class VisibleTo(Struct, frozen=True):
    """What a user without further rights may see: a line for each grant that shows something."""

    user: str
    lines: tuple[tuple[str, str | None, bool], ...]
    """Key of a connection policy, group of the users whose sessions are shown (None: all), whether own sessions are left out."""


Criterion = AllOf | AnyOf | Without | Compared | HasValue | Like | InNetwork | Says | UpTo | VisibleTo

ALL: Final = AllOf()
NONE: Final = AnyOf()


def all_of(parts: Iterable[Criterion]) -> Criterion:
    """Return the criterion that all of some hold; one alone stays as it is."""
    found = tuple(part for part in parts if part != ALL)
    return found[0] if len(found) == 1 else AllOf(found)


def any_of(parts: Iterable[Criterion]) -> Criterion:
    """Return the criterion that one of some holds; one alone stays as it is."""
    found = tuple(parts)
    return found[0] if len(found) == 1 else AnyOf(found)


def joined(*parts: Criterion) -> Criterion:
    """Return the criterion that all of some hold."""
    return all_of(parts)


def looks_through_text(criterion: Criterion) -> bool:
    """Whether a criterion asks for something in the content."""
    todo: list[Criterion] = [criterion]
    while todo:
        match todo.pop():
            case Says():
                return True
            case AllOf(parts) | AnyOf(parts):
                todo += parts
            case Without(part):
                todo.append(part)
            case _:
                pass
    return False
