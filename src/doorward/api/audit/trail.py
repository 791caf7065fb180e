"""The recording of a session: the trail itself, its replay from any moment, the files that it kept.

Whoever gets any of it is written down first. What is sent is what was there when the request came.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import ExitStack
from functools import partial
from typing import IO, Final

from doorward.api import errors
from doorward.api.audit.service import Audited, AuditService, refusals
from doorward.api.request import OpenFile, Request, Response, StreamedBody
from doorward.api.resources import FILE, Operation
from doorward.recording.reader import TrailReader
from doorward.recording.replay import replay
from doorward.sessions.catalogue.results import Found
from doorward.sessions.catalogue.rows import DownloadRow
from doorward.sessions.central.questions import DownloadNote, ItemsQuestion
from doorward.sessions.central.remote_trail import RemoteTrail

PIECE: Final = 1 << 16
"""Bytes that are made at a time."""
LOOK_SECONDS: Final = 60.0
"""How long it may take to look through a trail before the answer begins."""
MEDIA_TYPE: Final = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII)
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?\Z", re.ASCII)
_CHANNEL = re.compile(r"[1-9]\d{0,8}\Z", re.ASCII)
_TERMINALS: Final = ("session-shell", "session-exec", "session")


class OfTrail(Audited):
    """Something that is read from the trail of a session."""

    seconds = LOOK_SECONDS

    def __init__(self, service: AuditService, key: str) -> None:
        super().__init__(service)
        self.key = key

    def found(self, request: Request) -> Found:
        """Return the session. Blocks. Raises 404, 409."""
        found = self.service.find(request, self.key)
        self.service.trail_holder(request, found)
        return found

    async def note(self, request: Request, found: Found, what: str) -> None:
        """Write down, durably, that the caller gets something of it; nobody gets anything where that can't be done."""
        if found.row.is_download_logged and request.method != "HEAD":
            login, now = request.member, int(time.time() * 1000)
            download = DownloadRow(at=now, user=login.name, address=request.address, what=what)
            with refusals(request):
                if holder := self.service.trail_holder(request, found):
                    note = DownloadNote(key=self.key, download=download)
                    await self.service.look(request, self.service.ask_node, request, holder, note)
                else:
                    await self.service.catalogue.downloaded(self.key, download)
        self.check(request, found)

    def check(self, request: Request, found: Found) -> None:
        """Raise 401, 403 or 404 where the caller may not have it any more."""
        request.check_again()
        if not self.service.audience(request).sees(found.row):
            raise errors.not_found(request.href, self.key)

    async def stream(self, request: Request, found: Found, pieces: Generator[bytes, None, None], what: str) -> StreamedBody:
        """Return what is made piece by piece, begun: what is wrong with a trail at once is an answer, no broken stream."""
        with refusals(request):
            first = await self.service.look(request, next, pieces, b"")
        try:
            await self.note(request, found, what)
        except BaseException:
            await asyncio.to_thread(pieces.close)
            raise
        return StreamedBody(self._pieces(request, found, first, pieces))

    async def _pieces(
        self, request: Request, found: Found, first: bytes, pieces: Generator[bytes, None, None]
    ) -> AsyncGenerator[bytes | None, None]:
        try:
            piece = first
            while piece:
                yield piece
                self.check(request, found)
                piece = await asyncio.to_thread(next, pieces, b"")
        finally:
            await asyncio.to_thread(pieces.close)

    def reading(
        self, request: Request, found: Found, made: Callable[[TrailReader], Iterable[bytes]]
    ) -> Generator[bytes, None, None]:
        """Yield, in pieces of some size, what is made of the trail; it is open as long as the generator lives."""
        with ExitStack() as opened:
            reader = opened.enter_context(self.service.reading(request, found))
            waiting, size = [], 0
            for part in made(reader):
                waiting.append(part)
                size += len(part)
                if size >= PIECE:
                    yield b"".join(waiting)
                    waiting, size = [], 0
            if waiting:
                yield b"".join(waiting)


class AuditTrail(OfTrail):
    """The trail of a session: a file that ``doorward trail`` reads, or whoever follows ``docs/trail-format.md``."""

    operations = {
        "GET": Operation(
            "The trail.",
            FILE,
            errors=(404, 409, 503),
            media_type=MEDIA_TYPE,
            sends=("Content-Disposition", "Accept-Ranges"),
            description="A session has one once it has ended. A single Range of bytes is answered 206, with Content-Range.",
        )
    }

    async def get(self, request: Request) -> Response:
        """Answer the bytes, or a range of them."""
        found = await self.service.look(request, self.found, request)
        if found.row.ended is None:
            raise errors.conflict("The session still runs; follow it.", code="session_active", resource=request.href)
        file, size = await self.service.look(request, self._opened, request, found)
        try:
            await self.note(request, found, "audit_trail")
        except BaseException:
            file.close()
            raise
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'attachment; filename="{self.key}.dwr"',
            "Content-Type": MEDIA_TYPE,
        }
        start, length = _range(request, size)
        if length == size:
            return Response(OpenFile(file, 0, size), headers=headers)
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
        return Response(OpenFile(file, start, length), 206, headers)

    def _opened(self, request: Request, found: Found) -> tuple[IO[bytes], int]:
        """Open the trail, here or on the node that has it; return its size as well. Blocks."""
        if holder := self.service.trail_holder(request, found):
            file: IO[bytes] = RemoteTrail(partial(self.service.ask_node, request, holder), found.row.key)
            return file, file.seek(0, os.SEEK_END)
        file = self.service.trails.open(found.row)
        return file, os.fstat(file.fileno()).st_size


def _range(request: Request, size: int) -> tuple[int, int]:
    """Return begin and length of what is asked for; all of it where that is no single range that there is (RFC 9110, 14.2)."""
    asked = _RANGE.match(request.headers.get("range", ""))
    if asked is None or "if-range" in request.headers or asked[0] == "bytes=-":
        return 0, size
    first, last = asked.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else (0, size)
    end = min(int(last) + 1, size) if last else size
    return (int(first), end - int(first)) if int(first) < end else (0, size)


class Replay(OfTrail):
    """What a terminal showed, from any moment on."""

    operations = {
        "GET": Operation(
            "An asciicast (version 2) of a channel, from a moment on, the screen as it was first.",
            {"type": "string"},
            errors=(400, 404, 409, 503),
            media_type="application/x-asciicast",
            query={
                "channel": {"type": "integer", "minimum": 1, "description": "Without: the first one with a terminal."},
                "from": {"type": "number", "minimum": 0, "default": 0, "description": "Seconds since the session began."},
            },
            description="Lines come as they are made, in chunks. A trail that turns out to be damaged breaks the answer off.",
        )
    }

    async def get(self, request: Request) -> Response:
        """Answer the lines."""
        channel, since = moment_of(request)
        found = await self.service.look(request, self.found, request)
        if channel is None:
            channel = await self.service.look(request, first_terminal, self.service, request, found)

        def lines(reader: TrailReader) -> Iterable[bytes]:
            return (line.encode("utf-8", "replace") for line in replay(reader, channel or 1, since))

        content = await self.stream(request, found, self.reading(request, found, lines), "replay")
        return Response(content, headers={"Content-Type": "application/x-asciicast"})


def moment_of(request: Request) -> tuple[int | None, int]:
    """Return channel and moment (ms) that are asked for. Raises 400."""
    wrong: list[tuple[str, str, str]] = []
    channel, since = request.query.get("channel"), request.query.get("from", "0")
    if channel is not None and not _CHANNEL.match(channel):
        wrong.append(("range", "Must be the number of a channel.", "channel"))
    if not _SECONDS.match(since):
        wrong.append(("range", "Must be seconds since the session began.", "from"))
    if wrong:
        raise errors.invalid_query(wrong)
    return None if channel is None else int(channel), round(float(since) * 1000)


def first_terminal(service: AuditService, request: Request, found: Found) -> int | None:
    """Return the number of the first channel of a session that shows something; None: there is none. Blocks."""
    channels = service.ask(request, found, ItemsQuestion(key=found.row.key, kind="channels")).channels
    shown = [channel for channel in channels if channel.verdict == "accept" and channel.type in _TERMINALS]
    return min((channel.number for channel in shown), default=None)
