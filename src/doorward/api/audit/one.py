"""``/api/audit/sessions/<key>``: one session, its channels, events, alerts, hits in its content, and who had its trail."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from typing_extensions import override

from doorward import __version__
from doorward.api import errors
from doorward.api.audit.parameters import PAGES, Page, page_of
from doorward.api.audit.segments import Segments
from doorward.api.audit.service import Audited, AuditService, encrypted, scalars, session_href
from doorward.api.audit.shown import body_of, plain_time_of, time_of
from doorward.api.audit.trail import AuditTrail, Replay, TrailFiles
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, envelope, meta, meta_schema
from doorward.sessions.catalogue.results import Found, Hit
from doorward.sessions.catalogue.rows import INDEXED, INDEXING, ChannelRow
from doorward.sessions.central.questions import HitsQuestion, Items, ItemsQuestion, Kind

SESSION: Final = {"x-component": "Session", "type": "object", "description": "A session; what is not known is left out."}
_LINK = {"type": ["string", "null"]}
_NUMBER = {"type": "integer", "minimum": 0}
PAGE_META: Final = meta_schema(
    "PageMeta", first=_LINK, last=_LINK, next=_LINK, previous=_LINK, limit=_NUMBER, offset=_NUMBER, match_count=_NUMBER
)
_OBJECTS = {"type": "array", "items": {"type": "object"}}

TYPES: Final[Mapping[str, str]] = {
    "session-shell": "session shell",
    "session-exec": "session exec",
    "session-exec-scp": "session exec scp",
    "session-subsystem": "session subsystem",
    "session-subsystem-sftp": "session subsystem sftp",
    "local-forwards": "local forward",
    "remote-forwards": "remote forward",
    "auth-agent": "auth agent",
}
"""Types of channels as they are shown, by the names that policies have for them (REST guide); others are shown as they are."""


def below(summary: str, *, query: Mapping[str, Mapping[str, Any]] = PAGES, more: tuple[int, ...] = ()) -> dict[str, Operation]:
    """Return what the OpenAPI document says of a list below a session."""
    return {"GET": Operation(summary, answer_schema(PAGE_META, items=_OBJECTS), errors=(400, 404, *more), query=query)}


class OneSession(Audited):
    """A session."""

    operations = {
        "GET": Operation(
            "The session.",
            answer_schema(body=SESSION, key={"type": "string"}),
            errors=(404,),
        )
    }

    def __init__(self, service: AuditService, key: str) -> None:
        super().__init__(service)
        self._key = key
        self.children = {
            "alerts": SessionAlerts(service, key),
            "audit_trail": AuditTrail(service, key),
            "channels": Channels(service, key),
            "content": SessionContent(service, key),
            "events": SessionEvents(service, key),
            "files": TrailFiles(service, key),
            "indexing": IndexState(service, key),
            "replay": Replay(service, key),
            "segments": Segments(service, key),
            "trail_downloads": TrailDownloads(service, key),
        }

    async def get(self, request: Request) -> Response:
        """Answer the session."""
        found = await self.service.look(request, self.service.find, request, self._key)
        return envelope(request, self._key, body_of(found))


Listed = tuple[list[dict[str, Any]], int]
"""Some items, and how many there are in all."""


class _Below(Audited, ABC):
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


class Channels(_Below):
    """The channels of a session."""

    operations = below("Channels of the session, in order.")

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one channel, whether there is one or not."""
        return OneChannel(self.service, self.key, int(segment)) if re.fullmatch(r"[1-9]\d{0,8}", segment, re.ASCII) else None

    def template(self) -> tuple[str, Resource]:
        """Return what a channel is like."""
        return "number", OneChannel(self.service, self.key, 0)

    def items(self, found: Found, request: Request, page: Page) -> Listed:
        """Return channels."""
        told = self.ask(found, request, page, "channels")
        return [
            {
                "body": channel_body(found, channel),
                "key": str(channel.number),
                "meta": {"href": f"{request.href}/{channel.number}"},
            }
            for channel in told.channels
        ], told.matching


class OneChannel(Audited):
    """A channel of a session."""

    operations = {
        "GET": Operation("The channel.", answer_schema(body={"type": "object"}, key={"type": "string"}), errors=(404,))
    }  # fmt: skip

    def __init__(self, service: AuditService, key: str, number: int) -> None:
        super().__init__(service)
        self._key, self._number = key, number

    async def get(self, request: Request) -> Response:
        """Answer the channel."""
        body = await self.service.look(request, self._body, request)
        return envelope(request, str(self._number), body)

    def _body(self, request: Request) -> dict[str, Any]:
        found = self.service.find(request, self._key)
        told = self.service.ask(request, found, ItemsQuestion(key=self._key, kind="channels", number=self._number))
        if not told.channels:
            raise errors.not_found(request.href, str(self._number))
        return channel_body(found, told.channels[0])


def channel_body(found: Found, channel: ChannelRow) -> dict[str, Any]:
    """Return the body of a channel; times are Unix times in whole seconds (REST guide)."""
    began = found.row.began
    body: dict[str, Any] = {
        **scalars(channel.facts),
        "start_time": (began + channel.opened) // 1000,
        "type": TYPES.get(channel.type, channel.type),
        "verdict": channel.verdict,
    }
    if channel.rule is not None:
        body["rule"] = channel.rule
    if channel.closed is not None:
        body |= {
            "bytes_down": channel.down,
            "bytes_up": channel.up,
            "duration": (channel.closed - channel.opened) // 1000,
            "end_time": (began + channel.closed) // 1000,
        }
    return body


class SessionEvents(_Below):
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


class SessionAlerts(_Below):
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


class TrailDownloads(_Below):
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


class IndexState(_Below):
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


class SessionContent(_Below):
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
