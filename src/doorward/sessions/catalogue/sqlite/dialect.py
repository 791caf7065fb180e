"""Criteria in the SQL of SQLite, with FTS5 for what is looked for in the content."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec

from doorward.sessions.catalogue.criteria import VisibleTo, Words
from doorward.sessions.catalogue.dialect import Condition, Dialect
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.text import SHIFT, ids_of
from doorward.sessions.catalogue.tokens import expression

_numbers = msgspec.json.Decoder(list[int]).decode


class SqliteDialect(Dialect):
    """See `Dialect`."""

    TRUE, FALSE = "1", "0"

    def compared(self, field: Field, operator: str, value: int | str) -> Condition:
        """See `Dialect.compared`."""
        sql = self.whatever_the_case(field.sql) if field.kind is FieldKind.TEXT else field.sql
        return Condition(f"({sql} {operator} ?)", (value,))

    def like(self, field: Field, pattern: str) -> Condition:
        """See `Dialect.like`."""
        return Condition(f"({field.sql} LIKE ? ESCAPE '\\')", (pattern,))

    def in_network(self, field: Field, network: str) -> Condition:
        """See `Dialect.in_network`."""
        return Condition(f"in_network({field.sql}, ?)", (network,))

    def says(self, words: Words) -> Condition:
        """See `Dialect.says`."""
        # With the plus rows are not fetched one by one and sorted, but met in the order of an index: half the time for frequent
        # ones.
        sql = f"+id IN (SELECT (rowid >> {SHIFT}) FROM text_index WHERE text_index MATCH ?)"
        return Condition(sql, (expression(words),))

    def of_chunks(self, session: int, /) -> Dialect:
        """See `Dialect.of_chunks`."""
        return _SqliteChunks(session)

    def visible_to(self, visible: VisibleTo) -> Condition:
        """See `Dialect.visible_to`."""
        plain = json.dumps(sorted({key for key, group, other in visible.lines if group is None and not other}))
        narrow = json.dumps([[key, group, int(other)] for key, group, other in visible.lines if group is not None or other])
        return Condition(
            "(policy_key IN (SELECT value FROM json_each(?))"
            " OR EXISTS (SELECT 1 FROM json_each(?) WHERE policy_key = value ->> 0"
            " AND (value ->> 1 IS NULL OR instr(groups, char(31) || (value ->> 1) || char(31)))"
            f" AND NOT (value ->> 2 AND gateway_user = {self.whatever_the_case('?')})))",
            (plain, narrow, visible.user),
        )

    def of_ids(self, ids: Sequence[int]) -> Condition:
        """See `Dialect.of_ids`."""
        return Condition("id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))

    def of_texts(self, column: str, texts: Collection[str]) -> Condition:
        """See `Dialect.of_texts`."""
        # With the plus no index of the column is used: the rows of a range of ids are few, those of a policy may be very many.
        return Condition(f"+{column} IN (SELECT value FROM json_each(?))", (json.dumps([*texts]),))

    def whatever_the_case(self, sql: str) -> str:
        """See `Dialect.whatever_the_case`."""
        return f"{sql} COLLATE NOCASE"

    def in_order_of_bytes(self, sql: str) -> str:
        """See `Dialect.in_order_of_bytes`."""
        return f"{sql} COLLATE BINARY"

    def sorted_by(self, field: Field, *, descends: bool) -> str:
        """See `Dialect.sorted_by`."""
        sql = self.whatever_the_case(field.sql) if field.kind is FieldKind.TEXT else field.sql
        return f"{sql} DESC" if descends else sql

    def list_of_ids(self, inner: str) -> str:
        """See `Dialect.list_of_ids`."""
        return f"SELECT json_group_array(id) FROM ({inner})"

    def numbers(self, value: Any) -> Sequence[int]:
        """See `Dialect.numbers`."""
        return _numbers(value)


class _SqliteChunks(SqliteDialect):
    def __init__(self, session: int) -> None:
        self._ids = ids_of(session)

    def says(self, words: Words) -> Condition:
        sql = "id IN (SELECT rowid FROM text_index WHERE text_index MATCH ? AND rowid BETWEEN ? AND ?)"
        return Condition(sql, (expression(words), *self._ids))


SQLITE: Final = SqliteDialect()
