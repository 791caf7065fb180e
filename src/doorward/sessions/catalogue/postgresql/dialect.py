"""Criteria in the SQL of PostgreSQL."""

from __future__ import annotations

import json
import string
from collections.abc import Collection, Sequence
from typing import Any, Final

from doorward.sessions.catalogue.criteria import VisibleTo, Words
from doorward.sessions.catalogue.dialect import Condition, Dialect
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.postgresql import words as content
from doorward.sessions.catalogue.postgresql.connection import storable

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_NOT_ALWAYS_KNOWN: Final = frozenset({"ended", "duration"})
"""Columns that can be NULL, which PostgreSQL sorts last unless it is told."""


class PostgresDialect(Dialect):
    """See `Dialect`. Text has the order of its bytes and the case of ASCII, whatever the database was made with."""

    TRUE, FALSE = "TRUE", "FALSE"

    def compared(self, field: Field, operator: str, value: int | str) -> Condition:
        """See `Dialect.compared`."""
        if field.kind is FieldKind.TEXT:
            return Condition(f"({self.whatever_the_case(field.sql)} {operator} ?)", (str(value).translate(_LOWER),))
        return Condition(f"({field.sql} {operator} ?)", (value,))

    def like(self, field: Field, pattern: str) -> Condition:
        """See `Dialect.like`."""
        return Condition(f"({self.whatever_the_case(field.sql)} LIKE ? ESCAPE '\\')", (pattern.translate(_LOWER),))

    def in_network(self, field: Field, network: str) -> Condition:
        """See `Dialect.in_network`."""
        return Condition(f"({field.sql.removesuffix('_ip')}_net <<= ?::inet)", (network,))

    def says(self, words: Words) -> Condition:
        """See `Dialect.says`."""
        found = content.condition(words)
        return Condition(f"id IN (SELECT session FROM chunks WHERE {found.sql})", found.values)

    def of_chunks(self, _session: int, /) -> Dialect:
        """See `Dialect.of_chunks`."""
        return _PostgresChunks()

    def visible_to(self, visible: VisibleTo) -> Condition:
        """See `Dialect.visible_to`."""
        plain = sorted({storable(key) for key, group, other in visible.lines if group is None and not other})
        narrow = [[storable(key), group and storable(group), other] for key, group, other in visible.lines if group or other]
        is_own = f"{self.whatever_the_case('gateway_user')} = {self.whatever_the_case('?::text')}"
        return Condition(
            "(policy_key = ANY (?::text[])"
            " OR EXISTS (SELECT 1 FROM jsonb_array_elements(?::jsonb) AS line WHERE policy_key = line ->> 0"
            " AND (line ->> 1 IS NULL OR strpos(groups, chr(31) || (line ->> 1) || chr(31)) > 0)"
            f" AND NOT ((line ->> 2)::boolean AND {is_own})))",
            (plain, json.dumps(narrow), visible.user),
        )

    def of_ids(self, ids: Sequence[int]) -> Condition:
        """See `Dialect.of_ids`."""
        return Condition("id = ANY (?::bigint[])", (list(ids),))

    def of_texts(self, column: str, texts: Collection[str]) -> Condition:
        """See `Dialect.of_texts`."""
        return Condition(f"{column} = ANY (?::text[])", ([storable(text) for text in texts],))

    def whatever_the_case(self, sql: str) -> str:
        """See `Dialect.whatever_the_case`."""
        return f'lower({sql} COLLATE "C")'

    def in_order_of_bytes(self, sql: str) -> str:
        """See `Dialect.in_order_of_bytes`."""
        return f'{sql} COLLATE "C"'

    def sorted_by(self, field: Field, *, descends: bool) -> str:
        """See `Dialect.sorted_by`."""
        sql = self.whatever_the_case(field.sql) if field.kind is FieldKind.TEXT else field.sql
        if field.kind is FieldKind.ADDRESS:
            sql = self.in_order_of_bytes(sql)
        if sql not in _NOT_ALWAYS_KNOWN:
            return f"{sql} DESC" if descends else sql
        return f"{sql} DESC NULLS LAST" if descends else f"{sql} NULLS FIRST"

    def list_of_ids(self, inner: str) -> str:
        """See `Dialect.list_of_ids`."""
        return f"SELECT array(SELECT id FROM ({inner}) AS found)"

    def numbers(self, value: Any) -> Sequence[int]:
        """See `Dialect.numbers`."""
        found: list[int] = value
        return found


class _PostgresChunks(PostgresDialect):
    def says(self, words: Words) -> Condition:
        return content.condition(words)


POSTGRESQL: Final = PostgresDialect()
