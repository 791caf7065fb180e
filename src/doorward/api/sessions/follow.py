"""``/api/sessions/live/<key>/follow``: what a session shows, while it shows it, as server-sent events (HTML, section 9.2).

The first event, ``start``, has the head of an asciicast; those without name are its events, ``[seconds, code, data]``, with
``<channel>:<milliseconds>`` as their id; ``end`` says why no more comes. What was typed is never in it. Nothing is stored; but
that somebody read the trail, for what was before (``from``), is written down as for a replay.
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from doorward.api import errors
from doorward.api.audit.service import encrypted, refusals
from doorward.api.audit.trail import OfTrail, first_terminal, moment_of
from doorward.api.errors import ApiError
from doorward.api.request import Request, Response, StreamedBody
from doorward.api.resources import Operation
from doorward.api.sessions.earlier import Earlier
from doorward.recording.format import TrailDamagedError
from doorward.sessions.catalogue.results import Found
from doorward.sessions.live import FollowingFullError, NotLiveError, ShownEvent
from doorward.sessions.trails import TrailMissingError

CHECK_SECONDS: Final = 2.0
"""How often the rights of a viewer are looked at while nothing is shown."""
KEEPALIVE: Final = 15.0
FULL: Final = "So many watch already that there is no room for another."
_DEFAULT_SIZE = (80, 24)


class LiveScreen(OfTrail):
    """The screen of a session, live."""

    operations = {
        "GET": Operation(
            "What the session shows from now on, or from an earlier moment on.",
            {"type": "string"},
            errors=(400, 404, 409, 503),
            media_type="text/event-stream",
            query={
                "channel": {"type": "integer", "minimum": 1, "description": "Without: the first one with a terminal."},
                "from": {
                    "type": "number",
                    "minimum": 0,
                    "description": "Seconds since the session began; 0: all of it. Without: from now on, the screen first.",
                },
            },
            description="Server-sent events: start, then events of an asciicast (version 2), then end.",
        )
    }

    async def get(self, request: Request) -> Response:
        """Answer the events."""
        asked, begin = moment_of(request)
        since = begin if "from" in request.query else None
        found = await self.service.look(request, self.found, request)
        self.service.check_here(request, found)
        one = self.service.live.find(self.key)
        if one is None:
            raise errors.not_found(request.href, self.key)
        if not one.is_followable or (since is not None and not self.service.trails.may_read(found.row)):
            raise encrypted(request.href, found.row.recipients)
        headers = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(b"", headers=headers)
        channel = asked or await self.service.look(request, first_terminal, self.service, request, found)
        shown = self.service.live.follow(self.key, channel, request.member.name)
        if since is not None and channel is not None:
            await self.note(request, found, "follow")
            shown = Earlier(self.service.trails, found.row, channel).before(shown, since)
        first = asyncio.ensure_future(anext(shown, None))
        # Whether there is room for another viewer is known at once; the first thing to see may take its time.
        await asyncio.wait({first}, timeout=CHECK_SECONDS)
        if first.done() and (failure := first.exception()) is not None:
            with refusals(request):
                raise _refused(request, self.key, failure)
        return Response(StreamedBody(self._events(request, found, shown, first)), headers=headers)

    async def _events(
        self, request: Request, found: Found, shown: AsyncIterator[ShownEvent], following: asyncio.Future[ShownEvent | None]
    ) -> AsyncGenerator[bytes | None, None]:
        viewer = _Viewer(found)
        quiet = 0.0
        try:
            while True:
                await asyncio.wait({following}, timeout=CHECK_SECONDS)
                reason = self._lost(request, found)
                if reason is not None:
                    yield viewer.end(reason)
                    return
                if not following.done():
                    quiet += CHECK_SECONDS
                    if quiet >= KEEPALIVE:
                        quiet = 0.0
                        yield b":\n\n"
                    continue
                quiet = 0.0
                event = following.result()
                if event is None:
                    yield viewer.end("The session is over, or this viewer was too slow.")
                    return
                yield viewer.lines(event)
                following = asyncio.ensure_future(anext(shown, None))
        except NotLiveError:
            yield viewer.end("The session is over.")
        except FollowingFullError:
            yield viewer.end(FULL)
        except (TrailDamagedError, TrailMissingError):
            yield viewer.end("The trail can't be read.")
        finally:
            following.cancel()
            await asyncio.wait({following})
            if isinstance(shown, AsyncGenerator):
                await shown.aclose()

    def _lost(self, request: Request, found: Found) -> str | None:
        """Return why the caller may not watch any more."""
        try:
            request.check_again()
        except ApiError as error:
            return error.message
        return None if self.service.audience(request).sees(found.row) else "This account lost the right to it."


def _refused(request: Request, key: str, failure: BaseException) -> BaseException:
    if isinstance(failure, NotLiveError):
        return errors.not_found(request.href, key)
    if isinstance(failure, FollowingFullError):
        return errors.unavailable(FULL, 30)
    return failure


class _Viewer:
    """Makes events of what is shown of one channel: the first that comes."""

    def __init__(self, found: Found) -> None:
        self._began = found.row.began
        self._channel: int | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def lines(self, event: ShownEvent) -> bytes:
        """Return an event; b"" for another channel, and for a piece of a character."""
        if self._channel is None:
            self._channel = event.channel
            return self._start(event) + (b"" if event.code == "r" else self._event(event))
        return self._event(event) if event.channel == self._channel else b""

    def end(self, reason: str) -> bytes:
        """Return the last event."""
        return _named("end", {"reason": reason})

    def _start(self, event: ShownEvent) -> bytes:
        columns, rows = _DEFAULT_SIZE
        if event.code == "r" and (size := re.fullmatch(rb"(\d{1,5})x(\d{1,5})", event.data)):
            columns, rows = int(size[1]), int(size[2])
        head = {"channel": event.channel, "height": rows, "timestamp": self._began // 1000, "version": 2, "width": columns}
        return _named("start", head)

    def _event(self, event: ShownEvent) -> bytes:
        text = self._decoder.decode(event.data) if event.code == "o" else event.data.decode("utf-8", "replace")
        if not text and event.code == "o":
            return b""
        data = json.dumps([event.at / 1000, event.code, text], ensure_ascii=False)
        return f"id: {event.channel}:{event.at}\ndata: {data}\n\n".encode("utf-8", "replace")


def _named(name: str, value: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False, sort_keys=True)}\n\n".encode("utf-8", "replace")
