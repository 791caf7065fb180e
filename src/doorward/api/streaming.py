"""Bodies that are sent piece by piece: a part of a file, or what comes only while it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import structlog

from doorward.api.errors import ApiError
from doorward.api.request import OpenFile, Request, StreamedBody

log = structlog.get_logger()

PIECE: Final = 1 << 18
"""Bytes of a file that are sent at a time."""
LOOK_SECONDS: Final = 1.0
"""How often it is looked whether the server still serves, once for all streams."""

Send = Callable[[Any], Awaitable[None]]


class Stopping:
    """Tells all streams when the server stops, so that none of them needs a timer: hundreds of consoles may listen."""

    def __init__(self, state: Callable[[], str]) -> None:
        self._state = state
        self._streams: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    def join(self) -> asyncio.Event:
        """Return an event that is set when the server stops; hand it to ``leave`` in the end."""
        event = asyncio.Event()
        self._streams.add(event)
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())
        return event

    def leave(self, event: asyncio.Event) -> None:
        """End a stream."""
        self._streams.discard(event)
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _watch(self) -> None:
        while True:
            if self._state() == "stopping":
                for event in self._streams:
                    event.set()
            await asyncio.sleep(LOOK_SECONDS)


async def send_file(request: Request, part: OpenFile, send: Send) -> bool:
    """Send a part of a file; False: it was shorter than it had been, and the response was broken off."""
    try:
        left = 0 if request.method == "HEAD" else part.size
        await asyncio.to_thread(part.file.seek, part.start)
        while left:
            piece = await asyncio.to_thread(part.file.read, min(PIECE, left))
            if not piece:
                log.error("a file became shorter while it was sent", request_id=request.id, path=request.href)
                return _broken_off(request)
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        return True
    finally:
        part.file.close()


async def send_pieces(request: Request, stream: StreamedBody, send: Send, stopping: Stopping) -> bool:
    """Send what a stream yields, until it ends, the client goes, or the server stops; False: it was broken off."""
    is_stopping = stopping.join()
    ends = {asyncio.ensure_future(_gone(request)), asyncio.ensure_future(is_stopping.wait())}
    # One task for all pieces, and not one for each: hundreds of streams get a few bytes once in a while.
    sending = asyncio.ensure_future(_each(stream, send))
    try:
        await asyncio.wait({sending, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if any(end.done() for end in ends):
            return _broken_off(request)
        sending.result()
    except ApiError as error:  # the right, or the login session, is gone
        log.info("a stream was ended", request_id=request.id, path=request.href, reason=error.message)
        return _broken_off(request)
    except Exception:
        log.exception("a stream failed", request_id=request.id, path=request.href)
        return _broken_off(request)
    else:
        return True
    finally:
        stopping.leave(is_stopping)
        for end in ends:
            end.cancel()
        if not sending.done():
            sending.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sending
        await stream.pieces.aclose()


async def _each(stream: StreamedBody, send: Send) -> None:
    async for piece in stream.pieces:
        if piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Neither of them may have waited for anything.
        await asyncio.sleep(0)


def _broken_off(request: Request) -> bool:
    request.scope["break_off"]()
    return False


async def _gone(request: Request) -> None:
    """Return when the client has gone. A body that it sent with its request is not looked at."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
