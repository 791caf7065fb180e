"""Looks at what another node answered, before anything is made of it: numbers, times, sizes, text that would steer a terminal.

A node that answers something else than it was asked for, or more, is named as one that can't be read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec
from msgspec import structs

from doorward.sessions.audience import Audience
from doorward.sessions.catalogue.results import Found, Frequent, Hit
from doorward.sessions.catalogue.rows import ACCEPT, AUTH_FAIL, FAIL, INDEXED, INDEXING, NOT_INDEXED, TERMINATED, SessionRow
from doorward.sessions.central.questions import (
    DECODERS,
    BinsQuestion,
    FoundRow,
    FrequentQuestion,
    Hits,
    HitsQuestion,
    Items,
    ItemsQuestion,
    PageAnswer,
    PageQuestion,
    SearchQuestion,
    TrailPieceQuestion,
)
from doorward.tree.plaintext import plain

MAX_TIME: Final = 4_102_444_800_000
"""The end of the year 2099, in ms."""
MAX_TEXT: Final = 16_384
MAX_FACTS: Final = 32
_TIMES: Final = frozenset({"at", "began", "closed", "ended", "opened"})
_VERDICTS: Final = frozenset({ACCEPT, AUTH_FAIL, FAIL, TERMINATED})
_INDEX: Final = frozenset({INDEXED, INDEXING, NOT_INDEXED})
_FACT: Final = re.compile(r"[a-z_]{1,64}\Z")
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{21}\Z")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}\Z")

A = TypeVar("A")
T = TypeVar("T")


class BadAnswerError(Exception):
    """What a node answered is no answer to the question."""


def read_answer(question: SearchQuestion[A], data: bytes) -> A:
    """Return what a node answered to a question. Raises BadAnswerError."""
    if isinstance(question, TrailPieceQuestion):
        if len(data) > question.size:
            raise BadAnswerError("more of the trail than was asked for")
        return data  # type: ignore[return-value] # its answer is bytes
    try:
        answer = DECODERS[type(question)].decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadAnswerError(str(error)[:200]) from None
    clean: A = _clean(answer)
    _check(question, clean)
    return clean


def session_of(found: FoundRow, holder: str, audience: Audience) -> Found | None:
    """Return a session as another node knows it; None where the audience may not see it. Raises BadAnswerError."""
    if not _is_well_formed(found.row):
        raise BadAnswerError("a session that is none")
    row = structs.replace(found.row, node=holder, extra={})
    return Found(found.id, row, found.has_commands, found.has_titles, holder) if audience.sees(row) else None


def checked(told: T) -> T:
    """Return what was told of sessions, fit to be kept and shown. Raises BadAnswerError."""
    clean: T = _clean(told)
    row = getattr(clean, "row", None)
    if isinstance(row, SessionRow) and not _is_well_formed(row):
        raise BadAnswerError("a session that is none")
    return clean


def _is_well_formed(row: SessionRow) -> bool:
    ended = row.began if row.ended is None else row.ended
    return (
        _KEY.match(row.key) is not None
        and row.began <= ended
        and row.verdict in _VERDICTS
        and row.index_status in _INDEX
        and all(_FINGERPRINT.match(name) is not None for name in row.recipients)
        and all(end.port < 1 << 16 for end in (row.client, row.target, row.server, row.server_local))
    )


def _check(question: SearchQuestion[Any], answer: Any) -> None:
    """Refuse more than was asked for, and what does not fit together."""
    fits = _FITTING.get(type(question))
    if fits is not None and not fits(question, answer):
        raise BadAnswerError("something else than was asked for")


def _fits_page(question: PageQuestion, answer: PageAnswer) -> bool:
    widths = {len(values) for values in answer.values}
    fits = len(answer.ids) == len(answer.values) <= question.limit and widths <= {len(question.sort)}
    return fits and answer.matching >= len(answer.ids) == len(set(answer.ids))


def _fits_items(question: ItemsQuestion, answer: Items) -> bool:
    every: list[list[Any]] = [answer.alerts, answer.channels, answer.downloads, answer.events]
    return sum(map(len, every)) == len(getattr(answer, question.kind)) <= question.limit


def _fits_hits(question: HitsQuestion, answer: Hits) -> bool:
    return len(answer.hits) <= question.limit


def _fits_frequent(question: FrequentQuestion, answer: Frequent) -> bool:
    fits = len(answer.values) <= question.size and answer.others >= 0
    return fits and all(n >= 0 and len(inner) <= question.size for _, n, inner in answer.values)


def _fits_bins(_question: BinsQuestion, answer: list[tuple[str | int, int]]) -> bool:
    return all(isinstance(start, int) or _is_moment(start) for start, _ in answer)


_FITTING: Final[Mapping[type[Any], Callable[[Any, Any], bool]]] = {
    PageQuestion: _fits_page,
    ItemsQuestion: _fits_items,
    HitsQuestion: _fits_hits,
    FrequentQuestion: _fits_frequent,
    BinsQuestion: _fits_bins,
}
"""What tells whether an answer fits its question, where its form alone does not."""


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _clean(value: Any, name: str = "") -> Any:
    """Return a value with every text fit to be shown. Raises BadAnswerError where a number is none that there can be."""
    found: Any = value
    match value:
        case str():
            found = plain(value[:MAX_TEXT])[:MAX_TEXT]
        case bool() | None | bytes():
            pass
        case int():
            found = _number(value, name)
        case list() | tuple():
            found = type(value)(_clean(one) for one in value)
        case dict():
            found = _facts(value)
        case Hit():
            found = _hit(value)
        case _:
            found = type(value)(**{key: _clean(getattr(value, key), key) for key in value.__struct_fields__})
    return found


def _number(value: int, name: str) -> int:
    if not 0 <= value <= (MAX_TIME if name in _TIMES else 1 << 53):
        raise BadAnswerError(f"a number out of range: {name}")
    return value


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what else is known of a channel, or of a session, as far as it is text, number or truth value."""
    if len(facts) > MAX_FACTS:
        raise BadAnswerError("too many facts")
    return {name: _clean(value) for name, value in facts.items() if _FACT.match(name) and isinstance(value, (str, int, bool))}


def _hit(hit: Hit) -> Hit:
    snippet = _clean(hit.snippet)
    # Marks of a text that had to be changed point elsewhere.
    within = snippet == hit.snippet and all(0 <= begin <= end <= len(snippet) for begin, end in hit.marks)
    return Hit(_clean(hit.channel), _clean(hit.at, "at"), _clean(hit.kind), snippet, hit.marks if within else ())
