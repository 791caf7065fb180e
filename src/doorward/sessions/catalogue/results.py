"""What a look through the catalogue brings, and how it is sorted and cut into bins. Plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec import Struct

from doorward.sessions.catalogue.fields import Field
from doorward.sessions.catalogue.rows import SessionRow
from doorward.tree.jsontext import prepared

MAX_BINS: Final = 10_000


class Found(Struct, frozen=True):
    """A session as it was found."""

    id: int
    row: SessionRow
    has_commands: bool
    has_titles: bool
    holder: str = ""
    """The node that has it; "": this one."""


class SortOrder(Struct, frozen=True):
    """How a list is sorted; the id decides between equals."""

    fields: tuple[tuple[Field, bool], ...]
    """Each with whether it descends."""


@prepared
class Frequent(Struct, frozen=True):
    """The most frequent values of a field: value, count, and the same of another field within it."""

    values: list[tuple[str | int | bool, int, list[tuple[str | int | bool, int]]]]
    others: int
    """Sessions with none of them."""


class ItemRange(Struct, frozen=True):
    """Which items of a session. ``number``: that one alone, where it is given."""

    limit: int
    offset: int = 0
    number: int | None = None


class Hit(Struct, frozen=True):
    """A line with a word that was looked for. ``at``: ms since the session began; ``marks``: begin and end of each word."""

    channel: int
    at: int
    kind: str
    snippet: str
    marks: tuple[tuple[int, int], ...]


class Unarchived(NamedTuple):
    """A session without a proven archive. ``ended``: ms since 1970, None while it runs."""

    id: int
    key: str
    policy_key: str
    ended: int | None
    is_recovered: bool
    """Whether it was closed because nobody knew of it any more: its worker may still tell."""


class TooManyBinsError(Exception):
    """A histogram would have more bins than anybody looks at."""


class TooSlowError(Exception):
    """A search took longer than it may."""


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


BINS: Final[Mapping[str, Callable[[datetime], datetime]]] = {
    "minute": lambda at: at.replace(second=0, microsecond=0),
    "hour": lambda at: at.replace(minute=0, second=0, microsecond=0),
    "day": _midnight,
    "week": lambda at: _midnight(at) - timedelta(days=at.weekday()),
    "month": lambda at: _midnight(at).replace(day=1),
    "year": lambda at: _midnight(at).replace(month=1, day=1),
}
"""The widths of bins of time, each with what returns the begin of the one that a time is in."""
