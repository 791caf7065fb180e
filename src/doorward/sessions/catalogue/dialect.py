"""Criteria as conditions of SQL. Where engines differ, each has its words; everything else stands here once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from msgspec import Struct

from doorward.sessions.catalogue.criteria import (
    AllOf,
    AnyOf,
    Compared,
    Criterion,
    HasValue,
    InNetwork,
    Like,
    Says,
    UpTo,
    VisibleTo,
    Without,
    Words,
)
from doorward.sessions.catalogue.fields import Field, FieldKind
from doorward.sessions.catalogue.results import SortOrder

_TEXTS = frozenset({FieldKind.TEXT, FieldKind.ADDRESS})


class Condition(Struct, frozen=True):
    """A condition over the table of sessions. Its text never holds anything that came from outside: values stand apart."""

    sql: str
    values: tuple[Any, ...] = ()


class Dialect(ABC):
    """The SQL of an engine."""

    TRUE: str
    FALSE: str

    def condition(self, criterion: Criterion) -> Condition:
        """Return a criterion as a condition."""
        match criterion:
            case AllOf(parts):
                return _together(" AND ", map(self.condition, parts), self.TRUE)
            case AnyOf(parts):
                return _together(" OR ", map(self.condition, parts), self.FALSE)
            case Without(part):
                found = self.condition(part)
                return Condition(f"NOT coalesce({found.sql}, {self.FALSE})", found.values)
            case Compared(field, operator, value):
                return self.compared(field, operator, value)
            case HasValue(field):
                is_empty = f" AND {field.sql} <> ''" if field.kind in _TEXTS else ""
                return Condition(f"({field.sql} IS NOT NULL{is_empty})")
            case _:
                return self._single(criterion)

    def _single(self, criterion: Like | InNetwork | Says | UpTo | VisibleTo) -> Condition:
        match criterion:
            case UpTo(last):
                return Condition("id <= ?", (last,))
            case Like(field, pattern):
                return self.like(field, pattern)
            case InNetwork(field, network):
                return self.in_network(field, network)
            case Says(words):
                return self.says(words)
            case VisibleTo():
                return self.visible_to(criterion)

    def order(self, order: SortOrder) -> str:
        """Return what stands behind ORDER BY."""
        parts = [self.sorted_by(field, descends=descends) for field, descends in order.fields]
        return ", ".join([*parts, "id DESC" if order.fields and order.fields[0][1] else "id"])

    @abstractmethod
    def compared(self, field: Field, operator: str, value: int | str) -> Condition:
        """Return the condition that a field is equal to a value, less or greater."""

    @abstractmethod
    def like(self, field: Field, pattern: str) -> Condition:
        """Return the condition that a text fits a pattern."""

    @abstractmethod
    def in_network(self, field: Field, network: str) -> Condition:
        """Return the condition that an address is one of a network."""

    @abstractmethod
    def says(self, words: Words) -> Condition:
        """Return the condition that words are in the content of a session."""

    @abstractmethod
    def of_chunks(self, session: int, /) -> Dialect:
        """Return the dialect for conditions over the chunks of a session: words have to be in the chunk itself."""

    @abstractmethod
    def visible_to(self, visible: VisibleTo) -> Condition:
        """Return the condition that a user may see a session."""

    @abstractmethod
    def of_ids(self, ids: Sequence[int]) -> Condition:
        """Return the condition that the id is one of some."""

    @abstractmethod
    def of_texts(self, column: str, texts: Collection[str]) -> Condition:
        """Return the condition that a column is one of some texts, to be looked at behind conditions that leave few rows."""

    @abstractmethod
    def whatever_the_case(self, sql: str) -> str:
        """Return an expression of text that is equal for texts that differ in the case of ASCII letters alone."""

    @abstractmethod
    def in_order_of_bytes(self, sql: str) -> str:
        """Return an expression of text that is sorted by its bytes."""

    @abstractmethod
    def sorted_by(self, field: Field, *, descends: bool) -> str:
        """Return what rows are sorted by; what is not known comes first, or last where the order descends."""

    @abstractmethod
    def list_of_ids(self, inner: str) -> str:
        """Return the statement that brings the ids of another one, in its order, as one value that `numbers` reads."""

    @abstractmethod
    def numbers(self, value: Any) -> Sequence[int]:
        """Return what the statement for a list of ids brought."""


def _together(operator: str, parts: Iterable[Condition], of_none: str) -> Condition:
    found = list(parts)
    if not found:
        return Condition(of_none)
    if len(found) == 1:
        return found[0]
    return Condition(f"({operator.join(part.sql for part in found)})", tuple(value for part in found for value in part.values))
