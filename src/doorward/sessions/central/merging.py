"""Makes one answer of those of several nodes. Pure."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from doorward.sessions.catalogue.results import MAX_BINS, Frequent, TooManyBinsError
from doorward.sessions.central.questions import PageAnswer, Value

Place = tuple[str, int]
"""A session: the node that has it, and its id there."""

_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_Shown = str | int | bool


def merged_page(answers: Mapping[str, PageAnswer], sort: Sequence[str]) -> list[Place]:
    """Return the sessions of all nodes in an order. Equal ones stay in the order of the nodes, and of each node."""
    rows = [
        ((holder, number), values)
        for holder, answer in answers.items()
        for number, values in zip(answer.ids, answer.values, strict=True)
    ]
    for place in reversed(range(len(sort))):
        rows.sort(key=lambda row: _order(row[1][place]), reverse=sort[place].startswith("-"))
    return [at for at, _ in rows]


def _order(value: Value) -> tuple[int, int, bytes]:
    """Return what sorts a value as SQLite does: nothing, numbers, text whatever the case of ASCII."""
    if value is None:
        return 0, 0, b""
    if isinstance(value, int):
        return 1, value, b""
    return 2, 0, value.translate(_LOWER).encode("utf-8", "replace")


def merged_frequent(answers: Sequence[Frequent], size: int) -> Frequent:
    """Return the most frequent values of all nodes, of those that each of them told of."""
    counts: Counter[_Shown] = Counter()
    inner: dict[_Shown, Counter[_Shown]] = {}
    for answer in answers:
        for value, n, within in answer.values:
            counts[value] += n
            for one, m in within:
                inner.setdefault(value, Counter())[one] += m
    total = sum(answer.others for answer in answers) + counts.total()
    tops = _tops(counts, size)
    values = [(value, n, _tops(inner.get(value, Counter()), size)) for value, n in tops]
    return Frequent(values, total - sum(n for _, n in tops))


def _tops(counts: Counter[_Shown], size: int) -> list[tuple[_Shown, int]]:
    return sorted(counts.items(), key=lambda one: -one[1])[:size]


def merged_bins(answers: Sequence[Sequence[tuple[str | int, int]]]) -> list[tuple[str | int, int]]:
    """Return how many sessions all nodes have in each bin. Raises TooManyBinsError."""
    counts: Counter[str | int] = Counter()
    for answer in answers:
        for start, n in answer:
            counts[start] += n
    if len(counts) > MAX_BINS:
        raise TooManyBinsError
    return sorted(counts.items(), key=lambda one: _moment(one[0]))


def _moment(start: str | int) -> float:
    return start if isinstance(start, int) else datetime.fromisoformat(start).timestamp()
