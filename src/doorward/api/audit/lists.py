"""Lists below a session, page by page: its events, alerts and more, hits in its content, and who had its trail."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from typing_extensions import override

from doorward import __version__
from doorward.api.audit.parameters import PAGES, Page, page_of
from doorward.api.audit.service import Audited, AuditService, encrypted, session_href
from doorward.api.audit.shown import plain_time_of, time_of
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, meta, meta_schema
from doorward.sessions.catalogue.results import Found, Hit
from doorward.sessions.catalogue.rows import INDEXED, INDEXING
from doorward.sessions.central.questions import HitsQuestion, Items, ItemsQuestion, Kind

_LINK = {"type": ["string", "null"]}
_NUMBER = {"type": "integer", "minimum": 0}
PAGE_META: Final = meta_schema(
    "PageMeta", first=_LINK, last=_LINK, next=_LINK, previous=_LINK, limit=_NUMBER, offset=_NUMBER, match_count=_NUMBER
)
_OBJECTS = {"type": "array", "items": {"type": "object"}}


def below(summary: str, *, query: Mapping[str, Mapping[str, Any]] = PAGES, more: tuple[int, ...] = ()) -> dict[str, Operation]:
    """Return what the OpenAPI document says of a list below a session."""
    return {"GET": Operation(summary, answer_schema(PAGE_META, items=_OBJECTS), errors=(400, 404, *more), query=query)}


Listed = tuple[list[dict[str, Any]], int]
"""Some items, and how many there are in all."""


class BelowSession(Audited, ABC):
    """A list of what belongs to a session."""

    def __init__(self, service: AuditService, key: str) -> None:
        super().__init__(service)
        self.key = key

    async def get(self, request: Request) -> Response:
        """List a page."""
        page = page_of(request)
        items, matching = await self.service.look(request, self._listed, request, page)
        return listed(request, page, items, matching)

    def _listed(self, request: Request, page: Page) -> Listed:
        found = self.service.find(request, self.key)
        return self.items(found, request, page)

    @abstractmethod
    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return a page of what belongs to a session. Blocks."""

    def ask(self, found: Found, request: Request, page: Page, kind: Kind) -> Items:
        """Return a page of one kind."""
        question = ItemsQuestion(key=self.key, kind=kind, limit=page.limit, offset=page.offset)
        return self.service.ask(request, found, question)


def listed(request: Request, page: Page, items: list[dict[str, Any]], matching: int) -> Response:
    """Return the answer of a list below a session."""
    words = f"&q={quote(request.query['q'])}" if "q" in request.query else ""

    def path(offset: int) -> str:
        return f"{request.href}?limit={page.limit}&offset={offset}{words}"

    behind = page.offset + page.limit
    links = {
        "first": path(0),
        "last": path(max(0, (matching - 1) // page.limit * page.limit)),
        "limit": page.limit,
        "match_count": matching,
        "next": path(behind) if behind < matching else None,
        "offset": page.offset,
        "previous": path(max(0, page.offset - page.limit)) if page.offset else None,
    }
    return Response({"items": items, "meta": meta(request, **links)})


class SessionEvents(BelowSession):
    """What happened in a session: commands, titles, refused channels and more."""

    operations = below("Events of the session, in order.")

    @override
    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return events."""
        told = self.ask(found, request, page, "events")
        return [
            {
                "action": one.action,
                "channels_id": str(one.channel),
                "content": one.content or one.action,
                "record_id": number,
                "time": plain_time_of(found.row.began + one.at),
                "type": one.type,
            }
            for number, one in told.events
        ], told.matching


class SessionAlerts(BelowSession):
    """Matches of content policies in a session."""

    operations = below("Matches of content policies, in order.")

    @override
    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return matches."""
        told = self.ask(found, request, page, "alerts")
        return [
            {
                "alert_type": one.type,
                "channel_id": str(one.channel),
                "matched_action": one.action,
                "matched_content": one.content,
                "matched_regexp": one.regexp,
                "record_id": number,
                "rule_name": one.rule,
                "time": plain_time_of(found.row.began + one.at),
            }
            for number, one in told.alerts
        ], told.matching


class TrailDownloads(BelowSession):
    """Who had the content of a session."""

    operations = below("Who downloaded or replayed the trail, in order.")

    @override
    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return downloads."""
        told = self.ask(found, request, page, "downloads")
        return [
            {"from_api": one.is_api, "ip_address": one.address, "time": time_of(one.at), "username": one.user, "what": one.what}
            for one in told.downloads
        ], told.matching


_STATUS = {INDEXED: "COMPLETED", INDEXING: "PROCESSING"}


class IndexState(BelowSession):
    """What of a session is in the index."""

    operations = below("What of the session is in the index.")

    @override
    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return the one job that there is: text is taken while the session runs."""
        row = found.row
        status = _STATUS.get(row.index_status, "DISABLED")
        has = {level: status != "DISABLED" and row.text in levels for level, levels in _LEVELS.items()}
        duration = 0 if row.ended is None else (row.ended - row.began) // 1000
        job = {
            "config": {
                "command": {"enabled": has["command"]},
                "keyboard": {"buffer_interval": 0, "enabled": False},
                "mouse": {"buffer_interval": 0, "enabled": False},
                "near_realtime": True,
                "ocr_languages": [],
                "screen": {"enabled": has["screen"]},
                "title": {"enabled": has["title"]},
            },
            "statistics": {"cpu_time": 0, "duration": duration, "start_time": row.began},
            "status": status,
            "version": {"adp": __version__, "worker": __version__},
        }
        return [job][page.offset : page.offset + page.limit], 1


_LEVELS = {"command": {"commands", "screen"}, "screen": {"screen"}, "title": {"commands", "screen"}}


class SessionContent(BelowSession):
    """Where in a session something was on the screen, or typed as a command."""

    operations = below(
        "Lines of the session with words of a query, in order.",
        query={**PAGES, "q": {"type": "string", "maxLength": 4096, "description": "Lucene query; no fields, no leading *."}},
        more=(409,),
    )

    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return hits."""
        if not request.query.get("q", "").strip():
            return [], 0
        if not self.service.trails.may_read(found.row):
            raise encrypted(request.href, found.row.recipients)
        question = HitsQuestion(
            key=self.key, q=request.query["q"], zone=str(self.service.zone), limit=page.limit, offset=page.offset
        )
        told = self.service.ask(request, found, question)
        return [_hit(found, hit) for hit in told.hits], told.matching


def _hit(found: Found, hit: Hit) -> dict[str, Any]:
    seconds = f"{hit.at / 1000:.3f}"
    return {
        "channel_id": str(hit.channel),
        "content": hit.snippet,
        "highlights": [list(mark) for mark in hit.marks],
        "offset": hit.at / 1000,
        "replay": {"href": f"{session_href(found.row.key, 'replay')}?channel={hit.channel}&from={seconds}"},
        "time": time_of(found.row.began + hit.at),
        "type": hit.kind,
    }
