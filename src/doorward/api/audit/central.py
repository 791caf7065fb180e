"""Lists and counts over this node and the others that it searches. A node that is away is named, and holds up nobody.

All of it blocks.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from msgspec import Struct, structs

from doorward.api.audit.parameters import MAX_REACHED, ListRequest, filter_of
from doorward.api.audit.service import AuditService, sessions_of
from doorward.api.request import Request
from doorward.sessions.audience import Audience
from doorward.sessions.catalogue.results import Found, Frequent
from doorward.sessions.catalogue.snapshots import SnapshotResult
from doorward.sessions.central.answering import LocalSessions
from doorward.sessions.central.merging import Place, merged_bins, merged_frequent, merged_page
from doorward.sessions.central.questions import (
    MAX_ROWS,
    MAX_WHOLE,
    BinsQuestion,
    CountQuestion,
    Filter,
    FrequentQuestion,
    LastQuestion,
    PageQuestion,
    RowsQuestion,
    SearchQuestion,
)

A = TypeVar("A")

HERE: Final = ""
"""Stands for this node."""
_UNSORTED: Final = ("start_time",)

Away = tuple[tuple[str, str], ...]
"""Nodes that did not answer: id and name."""


class Founds(Struct, frozen=True):
    """Sessions of all nodes; ``matching``: how many there are in all."""

    founds: list[Found]
    matching: int
    away: Away


class _Gathered(Struct, frozen=True):
    """The answers of nodes, this one first."""

    answers: dict[str, Any]
    away: Away


def page(service: AuditService, request: Request, asked: ListRequest) -> Founds:
    """Return a page of the sessions of all nodes."""
    limit = min(asked.page.offset + asked.page.limit, MAX_REACHED)
    sort = _sort(asked)
    question = PageQuestion(filter=_filter(service, request), sort=sort, limit=limit)
    told = _gather(service, request, question)
    places = merged_page(told.answers, sort)[asked.page.offset : asked.page.offset + asked.page.limit]
    shown = rows(service, request, places)
    matching = sum(answer.matching for answer in told.answers.values())
    return Founds(shown.founds, matching, together(told.away, shown.away))


def rows(service: AuditService, request: Request, places: Sequence[Place]) -> Founds:
    """Return sessions by the nodes that have them and their ids there, in that order."""
    seen, found = service.audience(request), dict[Place, Found]()
    away: Away = ()
    numbers: dict[str, list[int]] = {}
    for holder, number in places:
        numbers.setdefault(holder, []).append(number)
    most = max(map(len, numbers.values()), default=0)
    for begin in range(0, most, MAX_ROWS):
        part = {holder: own[begin : begin + MAX_ROWS] for holder, own in numbers.items() if own[begin:]}
        told = _answers(service, seen, {holder: RowsQuestion(ids=own) for holder, own in part.items()})
        away = together(away, told.away)
        for holder, answer in told.answers.items():
            asked_for = set(part[holder])
            for one in sessions_of(answer, holder, seen):
                if one.id in asked_for:
                    found[holder, one.id] = one
    service.hold(found.values())
    return Founds([found[place] for place in places if place in found], len(places), away)


def whole(service: AuditService, request: Request, asked: ListRequest, last: Mapping[str, int]) -> SnapshotResult:
    """Return all sessions of all nodes that a snapshot has, the first ones of each where a node has too many."""
    sort = _sort(asked)
    seen, given = service.audience(request), _filter(service, request)
    questions = {
        holder: PageQuestion(filter=structs.replace(given, last=number), sort=sort, limit=MAX_WHOLE)
        for holder, number in last.items()
        if holder == HERE or holder in service.nodes.all()
    }
    told = _answers(service, seen, questions)
    places = merged_page(told.answers, sort)
    holders = tuple(told.answers)
    at = {holder: index for index, holder in enumerate(holders)}
    gone = tuple((node.id, node.name) for node in service.nodes.all().values() if node.id not in last)
    return SnapshotResult(
        array("q", [number for _, number in places]),
        array("H", [at[holder] for holder, _ in places]),
        holders,
        together(gone, told.away),
    )


def last(service: AuditService, request: Request) -> dict[str, int]:
    """Return the greatest id of each node."""
    return _gather(service, request, LastQuestion()).answers


def count(service: AuditService, request: Request) -> tuple[int, Away]:
    """Return how many sessions all nodes have."""
    told = _gather(service, request, CountQuestion(filter=_filter(service, request)))
    return sum(told.answers.values()), told.away


def frequent(service: AuditService, request: Request, field: str, size: int, inner: str | None) -> tuple[Frequent, Away]:
    """Return the most frequent values of a field over all nodes, of those that each node has most of."""
    told_of = min(MAX_ROWS, 4 * size) if service.nodes.all() else size
    question = FrequentQuestion(filter=_filter(service, request), field=field, inner=inner, size=told_of)
    told = _gather(service, request, question)
    return merged_frequent(list(told.answers.values()), size), told.away


def bins(service: AuditService, request: Request, field: str, width: str) -> tuple[list[tuple[str | int, int]], Away]:
    """Return how many sessions all nodes have in each bin."""
    question = BinsQuestion(filter=_filter(service, request), field=field, width=width)
    told = _gather(service, request, question)
    return merged_bins(list(told.answers.values())), told.away


def warnings(away: Away) -> dict[str, Any]:
    """Return ``warnings`` of a ``meta``, where nodes did not answer."""
    told = [
        {
            "code": "node_away",
            "message": f"The node {name} does not answer: its sessions are missing here.",
            "path": f"/api/cluster/status/{node}",
            "pointer": "",
        }
        for node, name in away
    ]
    return {"warnings": told} if told else {}


def _sort(asked: ListRequest) -> tuple[str, ...]:
    fields = tuple(f"{'-' if descends else ''}{field.name}" for field, descends in asked.order.fields)
    return fields or _UNSORTED


def _filter(service: AuditService, request: Request) -> Filter:
    filter_of(request, service.zone)  # what is wrong with it is refused here, and no node is asked
    q, content, start, end = (request.query.get(name, "") for name in ("q", "content", "start", "end"))
    return Filter(q=q, content=content, start=start, end=end, zone=str(service.zone))


def _gather(service: AuditService, request: Request, question: SearchQuestion[Any]) -> _Gathered:
    """Ask this node and all others the same."""
    return _answers(service, service.audience(request), dict.fromkeys((HERE, *service.nodes.all()), question))


def _answers(service: AuditService, seen: Audience, questions: Mapping[str, SearchQuestion[A]]) -> _Gathered:
    found: dict[str, A] = {}
    if HERE in questions:
        here = LocalSessions(service.catalogue, service.trails, within=service.told_here)
        found[HERE] = here.answer(seen, questions[HERE])
    others = {holder: question for holder, question in questions.items() if holder != HERE}
    told = service.nodes.ask_each(seen, others)
    names = service.nodes.all()
    found |= {node: answer for node, answer in told.items() if not isinstance(answer, Exception)}
    return _Gathered(found, _away(names, [node for node, answer in told.items() if isinstance(answer, Exception)]))


def _away(names: Mapping[str, Any], nodes: Iterable[str]) -> Away:
    return tuple((node, names[node].name if node in names else node) for node in nodes)


def together(one: Away, other: Away) -> Away:
    """Return the nodes of both."""
    return tuple(dict([*one, *other]).items())
