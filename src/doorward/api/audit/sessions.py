"""``/api/audit/sessions``: the sessions that the caller may see, found, paged through, counted."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from doorward.api import errors
from doorward.api.audit import central
from doorward.api.audit.central import Away
from doorward.api.audit.one import SESSION, OneSession
from doorward.api.audit.parameters import FILTERS, LISTED, MAX_REACHED, ListRequest, list_request
from doorward.api.audit.service import Audited, AuditService, session_href
from doorward.api.audit.shown import body_of, chosen, csv_lines
from doorward.api.audit.statistics import Histogram, Statistics
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, items_of, meta, meta_schema
from doorward.sessions.catalogue.criteria import ALL, Criterion, UpTo, joined
from doorward.sessions.catalogue.results import Found
from doorward.sessions.catalogue.snapshots import MAX_IDS, SnapshotResult

KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{21}\Z")
MISSING: Final = "X-Missing-Nodes"
"""The field of a CSV that names nodes whose sessions are missing, by their ids."""
_LINK: Final = {"type": ["string", "null"]}
_NUMBER: Final = {"type": "integer", "minimum": 0}
LIST_META: Final = meta_schema(
    "ListMeta",
    first=_LINK, last=_LINK, next=_LINK, previous=_LINK, limit=_NUMBER, offset=_NUMBER, match_count=_NUMBER, search_after=_LINK,
    fields={"type": "array", "items": {"type": "string"}},
)  # fmt: skip


class SessionList(Audited):
    """The sessions that the caller may see: of this node, and of those that it searches."""

    operations = {
        "GET": Operation(
            "Sessions.",
            answer_schema(LIST_META, items=items_of(SESSION)),
            errors=(400, 404),
            query=LISTED,
            others={"text/csv": {"type": "string"}},
            description="With format=csv: text/csv, the same rows, at most 10,000.",
        )
    }

    def __init__(self, service: AuditService) -> None:
        super().__init__(service)
        self.children = {
            "_count": Count(service),
            "_snapshot": SearchSnapshot(service),
            "histogram": Histogram(service),
            "stats": Statistics(service),
        }

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return what hangs here, or a session, whether there is one or not."""
        found = self.children.get(segment)
        return found or (OneSession(self.service, segment) if KEY.match(segment) else None)

    def template(self) -> tuple[str, Resource]:
        """Return what a session is like."""
        return "key", OneSession(self.service, "")

    async def get(self, request: Request) -> Response:
        """List a page."""
        asked = list_request(request, self.service.zone)
        if asked.snapshot is not None:
            return await self._of_snapshot(request, asked, asked.snapshot)
        away: Away = ()
        if self.service.nodes.all():
            every = await self.service.look(request, central.page, self.service, request, asked)
            founds, matching, away = every.founds, every.matching, every.away
        else:
            asked = replace(asked, criterion=joined(asked.criterion, self.service.audience(request).criterion()))
            founds, matching = await self.service.look(request, self._page, asked)
        if asked.is_csv:
            return _csv(founds, asked, away)
        limit, offset, href = asked.page.limit, asked.page.offset, request.href
        reached = min(matching, MAX_REACHED)
        last = max(0, (reached - 1) // limit * limit)
        links: dict[str, Any] = {
            "fields": list(asked.fields),
            "first": asked.path(href, 0),
            "last": asked.path(href, last),
            "limit": limit,
            "match_count": matching,
            "next": asked.path(href, offset + limit) if offset + limit < reached else None,
            "offset": offset,
            "previous": asked.path(href, max(0, offset - limit)) if offset else None,
            **central.warnings(away),
        }
        return Response({"items": _items(founds, asked.fields), "meta": meta(request, **links)})

    def _page(self, asked: ListRequest) -> tuple[list[Found], int]:
        with self.service.catalogue.looking() as look:
            found, matching = look.page(asked.criterion, asked.order, asked.page.limit, asked.page.offset)
            return look.rows(found, ALL), matching

    async def _of_snapshot(self, request: Request, asked: ListRequest, name: str) -> Response:
        snapshots, visible = self.service.snapshots, self.service.audience(request).criterion()
        last = snapshots.use(name, request.member.account)
        if last is None:
            raise errors.not_found(request.href, name)
        result = snapshots.result(name, asked.query)
        if result is None:
            if self.service.nodes.all():
                result = await self.service.look(request, central.whole, self.service, request, asked, last)
            else:
                within = replace(asked, criterion=joined(asked.criterion, visible, UpTo(last.get("", 0))))
                result = SnapshotResult(await self.service.look(request, self._whole, within))
            snapshots.keep(name, asked.query, result)
        limit, offset = asked.page.limit, asked.page.offset
        places = result.part(offset, limit)
        away = result.away
        if result.holders:
            every = await self.service.look(request, central.rows, self.service, request, places)
            founds, away = every.founds, central.together(away, every.away)
        else:
            founds = await self.service.look(request, self._rows, [number for _, number in places], visible)
        if asked.is_csv:
            return _csv(founds, asked, away)
        links: dict[str, Any] = {
            "fields": list(asked.fields),
            "first": None,
            "last": None,
            "limit": limit,
            "next": asked.path(request.href, offset + limit) if offset + limit < len(result) else None,
            "previous": None,
            "search_after": None,
            **central.warnings(away),
        }
        return Response({"items": _items(founds, asked.fields), "meta": meta(request, **links)})

    def _whole(self, asked: ListRequest) -> array[int]:
        with self.service.catalogue.looking() as look:
            return look.ids(asked.criterion, asked.order, MAX_IDS)

    def _rows(self, numbers: Sequence[int], visible: Criterion) -> list[Found]:
        with self.service.catalogue.looking() as look:
            return look.rows(numbers, visible)


def _items(founds: Iterable[Found], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for found in founds:
        item: dict[str, Any] = {"key": found.row.key, "meta": {"href": session_href(found.row.key)}}
        if fields:
            item["body"] = chosen(body_of(found), fields)
        items.append(item)
    return items


def _csv(founds: Iterable[Found], asked: ListRequest, away: Away) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="sessions.csv"', "Content-Type": "text/csv; charset=utf-8"}
    if away:
        headers[MISSING] = ", ".join(node for node, _ in away)
    return Response("".join(csv_lines(founds, asked.fields)).encode(), headers=headers)


class Count(Audited):
    """How many sessions there are."""

    operations = {
        "GET": Operation("How many sessions match.", answer_schema(count=_NUMBER), errors=(400,), query=FILTERS)
    }  # fmt: skip

    async def get(self, request: Request) -> Response:
        """Count what the caller may see."""
        found, away = await self.service.look(request, central.count, self.service, request)
        return Response({"count": found, "meta": meta(request, **central.warnings(away))})


class SearchSnapshot(Audited):
    """A result that stays as it is while it is paged through: for five minutes, and five more with each page."""

    operations = {
        "GET": Operation(
            "Open a snapshot.",
            answer_schema(
                body={"type": "object", "properties": {"snapshot": {"type": "string"}}, "required": ["snapshot"]},
                key={"type": "string"},
            ),
            errors=(429,),
        )
    }

    async def get(self, request: Request) -> Response:
        """Open one, for this account."""
        last = await self.service.look(request, central.last, self.service, request)
        client = f"{request.address} {request.headers.get('user-agent', '')}"
        name = await self.service.look(request, self.service.snapshots.open, request.member.account, client, last)
        return Response({"body": {"snapshot": name}, "key": "_snapshot", "meta": meta(request)})
