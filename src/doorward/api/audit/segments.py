"""The replay of a session in segments: a player loads the part that is watched, and reaches any second of hours at once."""

from __future__ import annotations

import re
from typing import Any, Final

from doorward.api import errors
from doorward.api.audit.service import AuditService
from doorward.api.audit.trail import OfTrail, first_terminal, moment_of
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta, meta_schema
from doorward.recording.reader import TrailReader
from doorward.recording.segments import Timeline, segment, timeline
from doorward.sessions.catalogue.results import Found

_MILLISECONDS: Final = re.compile(r"(0|[1-9]\d{0,11})\Z", re.ASCII)
_MAX_KNOWN: Final = 10_000
"""Replays that are remembered as written down."""
_MAX_TIMELINES: Final = 32
"""Of trails that somebody watches: some kilobytes each, five megabytes at the most."""
_SEGMENT = {
    "type": "object",
    "properties": {"start": {"type": "number"}, "url": {"type": "string"}},
    "required": ["start", "url"],
}
_CHANNEL = {"type": "integer", "minimum": 1, "description": "Without: the first one with a terminal."}
_SIZE = {"type": "object", "properties": {"cols": {"type": "integer"}, "rows": {"type": "integer"}}, "required": ["cols", "rows"]}


class _OfReplay(OfTrail):
    """Part of a replay, which is written down once for each login session that has it."""

    async def note_once(self, request: Request, found: Found) -> None:
        """Write down that the caller has a replay of the session, unless that is known."""
        known, name = self.service.replayed, (request.member.token, self.key)
        if name in known:
            self.check(request, found)
            return
        await self.note(request, found, "replay")
        known[name] = None
        if len(known) > _MAX_KNOWN:
            del known[next(iter(known))]

    def timeline(self, reader: TrailReader) -> Timeline:
        """Return the timeline of the trail, from which the reader then finds its way. It is kept."""
        known, name = self.service.timelines, (self.key, reader.size)
        found = known.pop(name, None) or timeline(reader)
        known[name] = found
        while len(known) > _MAX_TIMELINES:
            known.pop(next(iter(known)), None)
        reader.landmarks = found.landmarks
        return found


class Segments(_OfReplay):
    """Where the segments are. Times are seconds since the session began; the form is that of asciinema-player."""

    operations = {
        "GET": Operation(
            "Where the segments of the replay are, when nothing was shown, how long it is.",
            answer_schema(
                meta_schema("SegmentsMeta"),
                version={"const": 1},
                duration={"type": "number"},
                idle={"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
                markers={"type": "array", "items": {}},
                segments={"type": "array", "items": _SEGMENT},
                term=_SIZE,
            ),
            errors=(400, 404, 409, 503),
            query={"channel": _CHANNEL},
        )
    }

    def child(self, name: str, _request: Request) -> Resource | None:
        """Return the segment that begins at so many milliseconds."""
        return OneSegment(self.service, self.key, int(name)) if _MILLISECONDS.match(name) else None

    def template(self) -> tuple[str, Resource] | None:
        """Return what a segment is like."""
        return "start", OneSegment(self.service, self.key, 0)

    async def get(self, request: Request) -> Response:
        """Answer the index."""
        channel, _ = moment_of(request)
        found = await self.service.look(request, self.found, request)
        if channel is None:
            channel = await self.service.look(request, first_terminal, self.service, request, found) or 1
        content = await self.service.look(request, self._index, request, found, channel)
        await self.note_once(request, found)
        return Response(content | {"meta": meta(request)})

    def _index(self, request: Request, found: Found, channel: int) -> dict[str, Any]:
        with self.service.reading(request, found) as reader:
            known = self.timeline(reader)
            first = segment(reader, channel, 0, 1)["snapshot"]
        ends = [*known.starts[1:], None]
        urls = [
            f"{request.href}/{start}?channel={channel}" + ("" if end is None else f"&until={end}")
            for start, end in zip(known.starts, ends, strict=True)
        ]
        return {
            "duration": known.until / 1000,
            "idle": [[begin / 1000, end / 1000] for begin, end in known.idle],
            "markers": [],
            "segments": [{"start": start / 1000, "url": url} for start, url in zip(known.starts, urls, strict=True)],
            "term": {"cols": first["cols"], "rows": first["rows"]},
            "version": 1,
        }


class OneSegment(_OfReplay):
    """The screen at the start of a segment, and what was shown until the next one."""

    operations = {
        "GET": Operation(
            "A segment of the replay.",
            answer_schema(
                meta_schema("SegmentMeta"),
                events={"type": "array", "items": {"type": "array", "items": {}}},
                snapshot={"type": "object"},
            ),
            errors=(400, 404, 409, 503),
            query={
                "channel": _CHANNEL,
                "until": {"type": "integer", "minimum": 0, "description": "ms since the session began; without: to the end."},
            },
        )
    }

    def __init__(self, service: AuditService, key: str, since: int) -> None:
        super().__init__(service, key)
        self._since = since

    async def get(self, request: Request) -> Response:
        """Answer the segment."""
        channel, _ = moment_of(request)
        until = request.query.get("until")
        if until is not None and not _MILLISECONDS.match(until):
            raise errors.invalid_query([("range", "Must be milliseconds since the session began.", "until")])
        found = await self.service.look(request, self.found, request)
        end = None if until is None else int(until)
        content = await self.service.look(request, self._segment, request, found, channel or 1, end)
        await self.note_once(request, found)
        return Response(content | {"meta": meta(request)})

    def _segment(self, request: Request, found: Found, channel: int, until: int | None) -> dict[str, Any]:
        with self.service.reading(request, found) as reader:
            self.timeline(reader)
            return segment(reader, channel, self._since, until)
