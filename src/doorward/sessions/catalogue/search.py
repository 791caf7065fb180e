"""Looks through the catalogue: pages, counts, the most frequent values, histograms. Everything within a condition of who asks."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

import msgspec
from msgspec import Struct

from doorward.sessions.catalogue.conditions import Condition
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.catalogue.tables import decode_row

MAX_BINS: Final = 10_000
MAX_COUNTED: Final = 10_000_000
IN_TEXT: Final = "text_index"
"""What stands in a condition that looks through text."""

_numbers = msgspec.json.Decoder(list[int]).decode
_BUCKET = 900_000
"""Milliseconds; the offset of every time zone is a multiple of it."""


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

    @property
    def sql(self) -> str:
        """What stands behind ORDER BY."""
        parts = [f"{field.order}{' DESC' if descends else ''}" for field, descends in self.fields]
        return ", ".join([*parts, "id DESC" if self.fields and self.fields[0][1] else "id"])


class Frequent(Struct, frozen=True):
    """The most frequent values of a field: value, count, and the same of another field within it."""

    values: list[tuple[str | int | bool, int, list[tuple[str | int | bool, int]]]]
    others: int
    """Sessions with none of them."""


class TooManyBinsError(Exception):
    """A histogram would have more bins than anybody looks at."""


def count(connection: sqlite3.Connection, condition: Condition) -> int:
    """Return how many sessions fit."""
    sql = f"SELECT count(*) FROM sessions WHERE {condition.sql}"
    (found,) = connection.execute(sql, condition.values).fetchone()
    return int(found)


def last(connection: sqlite3.Connection) -> int:
    """Return the greatest id that there is; 0: none."""
    (found,) = connection.execute("SELECT coalesce(max(id), 0) FROM sessions").fetchone()
    return int(found)


def ids(connection: sqlite3.Connection, condition: Condition, order: SortOrder, limit: int, offset: int = 0) -> array[int]:
    """Return the ids of sessions that fit, in order."""
    # As one text: a hundred thousand rows for Python would cost more than to find them.
    inner = f"SELECT id FROM sessions WHERE {condition.sql} ORDER BY {order.sql} LIMIT ? OFFSET ?"
    sql = f"SELECT json_group_array(id) FROM ({inner})"
    (found,) = connection.execute(sql, (*condition.values, limit, offset)).fetchone()
    return array("q", _numbers(found))


def ordered(connection: sqlite3.Connection, condition: Condition, order: SortOrder, limit: int) -> list[tuple[Any, ...]]:
    """Return the first sessions in an order: the id of each, and the values that it is sorted by."""
    values = "".join(f", {field.sql}" for field, _ in order.fields)
    sql = f"SELECT id{values} FROM sessions WHERE {condition.sql} ORDER BY {order.sql} LIMIT ?"
    return connection.execute(sql, (*condition.values, limit)).fetchall()


def page(
    connection: sqlite3.Connection, condition: Condition, order: SortOrder, limit: int, offset: int
) -> tuple[array[int], int]:  # fmt: skip
    """Return the ids of a page of the sessions that fit, and how many fit."""
    if IN_TEXT in condition.sql:  # to look through the text costs most: once, for page and count
        every = ids(connection, condition, order, MAX_COUNTED)
        return every[offset : offset + limit], len(every)
    found = ids(connection, condition, order, limit, offset)
    if len(found) < limit and (found or not offset):
        return found, offset + len(found)
    return found, count(connection, condition)


def rows(connection: sqlite3.Connection, numbers: Sequence[int], condition: Condition) -> list[Found]:
    """Return sessions by their ids, in that order; those that are gone, or do not fit a condition, are left out."""
    sql = (
        "SELECT id, body, has_commands, has_titles FROM sessions JOIN bodies USING (id)"
        f" WHERE id IN (SELECT value FROM json_each(?)) AND {condition.sql}"
    )
    found = {
        number: Found(number, decode_row(body), bool(commands), bool(titles))
        for number, body, commands, titles in connection.execute(sql, (json.dumps(list(numbers)), *condition.values))
    }
    return [found[number] for number in numbers if number in found]


def one(connection: sqlite3.Connection, key: str, condition: Condition) -> Found | None:
    """Return a session by its key, if it fits a condition."""
    sql = f"SELECT id, body, has_commands, has_titles FROM sessions JOIN bodies USING (id) WHERE key = ? AND {condition.sql}"
    found = connection.execute(sql, (key, *condition.values)).fetchone()
    return None if found is None else Found(found[0], decode_row(found[1]), bool(found[2]), bool(found[3]))


def frequent(connection: sqlite3.Connection, condition: Condition, field: Field, size: int, inner: Field | None) -> Frequent:
    """Return the values of a field that most sessions have."""
    known = f"{condition.sql} AND {field.sql} IS NOT NULL AND {field.sql} <> ''"
    sql = f"SELECT {field.sql} AS value, count(*) AS n FROM sessions WHERE {known} GROUP BY 1 ORDER BY n DESC, value LIMIT ?"
    tops = connection.execute(sql, (*condition.values, size)).fetchall()
    within: dict[Any, list[tuple[Any, int]]] = {value: [] for value, _ in tops}
    if inner is not None:
        for value, _ in tops:
            equal = Condition(f"{condition.sql} AND {field.sql} IS ?", (*condition.values, value))
            within[value] = [(v, n) for v, n, _ in frequent(connection, equal, inner, size, None).values]
    values = [(_shown(field, value), n, within[value]) for value, n in tops]
    return Frequent(values, count(connection, condition) - sum(n for _, n in tops))


def _shown(field: Field, value: Any) -> Any:
    return bool(value) if field.kind is FieldKind.FLAG else value


# Histograms


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


def times(
    connection: sqlite3.Connection, condition: Condition, field: Field, width: str, zone: tzinfo
) -> list[tuple[datetime, int]]:  # fmt: skip
    """Return how many sessions have a time in each bin: its begin in a zone, and the count. Empty bins are left out.

    Raises TooManyBinsError.
    """
    bucket = 60_000 if width == "minute" else _BUCKET
    sql = (
        f"SELECT {field.sql} / {bucket} AS bucket, count(*) FROM sessions"
        f" WHERE {condition.sql} AND {field.sql} IS NOT NULL GROUP BY 1 ORDER BY 1"
    )
    found: Counter[datetime] = Counter()
    for number, n in connection.execute(sql, condition.values):
        at = datetime.fromtimestamp(number * bucket / 1000, UTC).astimezone(zone)
        found[BINS[width](at)] += n
        if len(found) > MAX_BINS:
            raise TooManyBinsError
    return sorted(found.items())


def numbers(connection: sqlite3.Connection, condition: Condition, field: Field, width: int) -> list[tuple[int, int]]:
    """Return how many sessions have a number in each bin: its begin, and the count. Raises TooManyBinsError."""
    sql = (
        f"SELECT {field.sql} / ? * ? AS bucket, count(*) FROM sessions"
        f" WHERE {condition.sql} AND {field.sql} IS NOT NULL GROUP BY 1 ORDER BY 1 LIMIT ?"
    )
    found = connection.execute(sql, (width, width, *condition.values, MAX_BINS + 1)).fetchall()
    if len(found) > MAX_BINS:
        raise TooManyBinsError
    return found
