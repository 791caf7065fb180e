"""Looks through the catalogue: pages, counts, the most frequent values, histograms. Everything within what may be seen."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import msgspec
from msgspec import Struct

from doorward.sessions.catalogue import hits
from doorward.sessions.catalogue.columns import decode_row
from doorward.sessions.catalogue.connection import DatabaseConnection
from doorward.sessions.catalogue.criteria import Compared, Criterion, HasValue, joined, looks_through_text
from doorward.sessions.catalogue.dialect import Condition, Dialect
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.results import (
    BINS,
    MAX_BINS,
    Found,
    Frequent,
    Hit,
    ItemRange,
    SortOrder,
    TooManyBinsError,
    Unarchived,
)
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, DownloadRow, EventRow
from doorward.sessions.catalogue.text import ids_of

MAX_COUNTED: Final = 10_000_000

_BUCKET = 900_000
"""Milliseconds; the offset of every time zone is a multiple of it."""
_EVENT: Final = ("at", "type", "channel", "action", "content")
_ALERT: Final = ("at", "type", "channel", "rule", "regexp", "action", "content")
_UNARCHIVED: Final = "SELECT id, key, policy_key, ended, is_recovered FROM sessions"
_FOUND: Final = "SELECT id, body, has_commands, has_titles FROM sessions JOIN bodies USING (id)"


class Look(Struct, frozen=True):
    """See `port.SessionLook`: one look, which sees one state of the database. Valid as long as its connection is lent."""

    connection: DatabaseConnection
    dialect: Dialect

    def count(self, criterion: Criterion) -> int:
        """See `port.SessionLook.count`."""
        condition = self.dialect.condition(criterion)
        (found,) = self.connection.execute(f"SELECT count(*) FROM sessions WHERE {condition.sql}", condition.values).fetchone()
        return int(found)

    def last(self) -> int:
        """See `port.SessionLook.last`."""
        (found,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM sessions").fetchone()
        return int(found)

    def ids(self, criterion: Criterion, order: SortOrder, limit: int, offset: int = 0) -> array[int]:
        """See `port.SessionLook.ids`."""
        # As one value: a hundred thousand rows for Python would cost more than to find them.
        condition = self.dialect.condition(criterion)
        inner = f"SELECT id FROM sessions WHERE {condition.sql} ORDER BY {self.dialect.order(order)} LIMIT ? OFFSET ?"
        (found,) = self.connection.execute(self.dialect.list_of_ids(inner), (*condition.values, limit, offset)).fetchone()
        return array("q", self.dialect.numbers(found))

    def ordered(self, criterion: Criterion, order: SortOrder, limit: int) -> list[tuple[Any, ...]]:
        """See `port.SessionLook.ordered`."""
        condition = self.dialect.condition(criterion)
        values = "".join(f", {field.sql}" for field, _ in order.fields)
        sql = f"SELECT id{values} FROM sessions WHERE {condition.sql} ORDER BY {self.dialect.order(order)} LIMIT ?"
        return self.connection.execute(sql, (*condition.values, limit)).fetchall()

    def page(self, criterion: Criterion, order: SortOrder, limit: int, offset: int) -> tuple[array[int], int]:
        """See `port.SessionLook.page`."""
        if looks_through_text(criterion):  # to look through the text costs most: once, for page and count
            every = self.ids(criterion, order, MAX_COUNTED)
            return every[offset : offset + limit], len(every)
        found = self.ids(criterion, order, limit, offset)
        if len(found) < limit and (found or not offset):
            return found, offset + len(found)
        return found, self.count(criterion)

    def rows(self, numbers: Sequence[int], criterion: Criterion) -> list[Found]:
        """See `port.SessionLook.rows`."""
        of_ids, condition = self.dialect.of_ids(numbers), self.dialect.condition(criterion)
        sql = f"{_FOUND} WHERE {of_ids.sql} AND {condition.sql}"
        rows = self.connection.execute(sql, (*of_ids.values, *condition.values))
        found = {number: _found(number, *rest) for number, *rest in rows}
        return [found[number] for number in numbers if number in found]

    def one(self, key: str, criterion: Criterion) -> Found | None:
        """See `port.SessionLook.one`."""
        condition = self.dialect.condition(criterion)
        found = self.connection.execute(f"{_FOUND} WHERE key = ? AND {condition.sql}", (key, *condition.values)).fetchone()
        return None if found is None else _found(*found)

    # Statistics

    def frequent(self, criterion: Criterion, field: Field, size: int, inner: Field | None) -> Frequent:
        """See `port.SessionLook.frequent`."""
        condition = self.dialect.condition(joined(criterion, HasValue(field)))
        shown, equal = field.sql, "1"
        if field.kind is FieldKind.TEXT:  # of those that differ in case alone one is shown, always the same
            shown, equal = f"min({self.dialect.in_order_of_bytes(field.sql)})", self.dialect.whatever_the_case(field.sql)
        sql = (
            f"SELECT {shown} AS value, count(*) AS n FROM sessions WHERE {condition.sql}"
            f" GROUP BY {equal} ORDER BY n DESC, {equal} LIMIT ?"
        )
        tops = self.connection.execute(sql, (*condition.values, size)).fetchall()
        within: dict[Any, list[tuple[Any, int]]] = {value: [] for value, _ in tops}
        if inner is not None:
            for value, _ in tops:
                told = self.frequent(joined(criterion, Compared(field, "=", value)), inner, size, None)
                within[value] = [(v, n) for v, n, _ in told.values]
        values = [(_shown(field, value), n, within[value]) for value, n in tops]
        return Frequent(values, self.count(criterion) - sum(n for _, n in tops))

    def times(self, criterion: Criterion, field: Field, width: str, zone: tzinfo) -> list[tuple[datetime, int]]:
        """See `port.SessionLook.times`."""
        bucket = 60_000 if width == "minute" else _BUCKET
        condition = self.dialect.condition(joined(criterion, HasValue(field)))
        sql = f"SELECT {field.sql} / {bucket} AS bucket, count(*) FROM sessions WHERE {condition.sql} GROUP BY 1 ORDER BY 1"
        found: Counter[datetime] = Counter()
        for number, n in self.connection.execute(sql, condition.values):
            at = datetime.fromtimestamp(number * bucket / 1000, UTC).astimezone(zone)
            found[BINS[width](at)] += n
            if len(found) > MAX_BINS:
                raise TooManyBinsError
        return sorted(found.items())

    def numbers(self, criterion: Criterion, field: Field, width: int) -> list[tuple[int, int]]:
        """See `port.SessionLook.numbers`."""
        condition = self.dialect.condition(joined(criterion, HasValue(field)))
        sql = (
            f"SELECT {field.sql} / {int(width)} * {int(width)} AS bucket, count(*) FROM sessions"
            f" WHERE {condition.sql} GROUP BY 1 ORDER BY 1 LIMIT ?"
        )
        found = self.connection.execute(sql, (*condition.values, MAX_BINS + 1)).fetchall()
        if len(found) > MAX_BINS:
            raise TooManyBinsError
        return found

    # One session

    def channels(self, session: int, part: ItemRange) -> tuple[list[ChannelRow], int]:
        """See `port.SessionLook.channels`."""
        rows, matching = self._items("channels", "body", session, part)
        return [msgspec.msgpack.decode(body, type=ChannelRow) for (body,) in rows], matching

    def downloads(self, session: int, part: ItemRange) -> tuple[list[DownloadRow], int]:
        """See `port.SessionLook.downloads`."""
        rows, matching = self._items("downloads", "body", session, part)
        return [msgspec.msgpack.decode(body, type=DownloadRow) for (body,) in rows], matching

    def events(self, session: int, part: ItemRange) -> tuple[list[tuple[int, EventRow]], int]:
        """See `port.SessionLook.events`."""
        rows, matching = self._items("events", ", ".join(("number", *_EVENT)), session, part)
        return [(number, EventRow(**dict(zip(_EVENT, row, strict=True)))) for number, *row in rows], matching

    def alerts(self, session: int, part: ItemRange) -> tuple[list[tuple[int, AlertRow]], int]:
        """See `port.SessionLook.alerts`."""
        rows, matching = self._items("alerts", ", ".join(("number", *_ALERT)), session, part)
        return [(number, AlertRow(**dict(zip(_ALERT, row, strict=True)))) for number, *row in rows], matching

    def _items(self, table: str, columns: str, session: int, part: ItemRange) -> tuple[list[Any], int]:
        (matching,) = self.connection.execute(f"SELECT count(*) FROM {table} WHERE session = ?", (session,)).fetchone()
        one = Condition("number = ?", (part.number,)) if part.number is not None else Condition("1 = 1")
        sql = f"SELECT {columns} FROM {table} WHERE session = ? AND {one.sql} ORDER BY number LIMIT ? OFFSET ?"
        return self.connection.execute(sql, (session, *one.values, part.limit, part.offset)).fetchall(), matching

    # Archiving

    def newest(self, node: str) -> int:
        """See `port.SessionLook.newest`."""
        # Of several nodes, one that has a greater id may be done before one with a smaller.
        (found,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM sessions WHERE node = ?", (node,)).fetchone()
        return int(found)

    def unarchived(self, node: str, policies: Collection[str], after: int, until: int) -> list[Unarchived]:
        """See `port.SessionLook.unarchived`."""
        of_policies = self.dialect.of_texts("policy_key", policies)
        sql = f"{_UNARCHIVED} WHERE id > ? AND id <= ? AND node = ? AND is_archived = 0 AND {of_policies.sql}"
        return sorted(_unarchived(row) for row in self.connection.execute(sql, (after, until, node, *of_policies.values)))

    def unarchived_of(self, ids: Sequence[int]) -> list[Unarchived]:
        """See `port.SessionLook.unarchived_of`."""
        of_ids = self.dialect.of_ids(ids)
        return [_unarchived(row) for row in self.connection.execute(f"{_UNARCHIVED} WHERE {of_ids.sql}", of_ids.values)]

    def hits(self, session: int, text: str, zone: tzinfo = UTC) -> Iterator[Hit]:
        """See `port.SessionLook.hits`."""
        from doorward.sessions.catalogue.query import parsed

        query = parsed(text, zone, has_fields=False)
        if not query.words:
            return iter(())
        first, last = ids_of(session)
        condition = self.dialect.of_chunks(session).condition(query.criterion)
        sql = f"SELECT channel, body FROM chunks WHERE id BETWEEN ? AND ? AND {condition.sql} ORDER BY id"
        return hits.lines_with(query.words, iter(self.connection.execute(sql, (first, last, *condition.values))))


def _unarchived(row: tuple[int, str, str, int | None, int]) -> Unarchived:
    number, key, policy, ended, recovered = row
    return Unarchived(number, key, policy, ended, bool(recovered))


def _found(number: int, body: bytes, commands: int, titles: int) -> Found:
    return Found(number, decode_row(body), bool(commands), bool(titles))


def _shown(field: Field, value: Any) -> Any:
    return bool(value) if field.kind is FieldKind.FLAG else value
