"""What a session that runs has shown so far: from its trail, before what it shows from now on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import aclosing
from typing import Final

from msgspec import Struct

from doorward.recording.replay import moments
from doorward.sessions.catalogue.rows import SessionRow
from doorward.sessions.live import NotLiveError, ShownEvent
from doorward.sessions.trails import Trails

PIECE: Final = 1 << 16
"""Bytes that are read at a time."""
LOOK_SECONDS: Final = 0.1
"""How often it is looked whether the trail has what was shown until a viewer came."""
LOOKS: Final = 20
"""How often at most; then a disk is slow, and a few seconds are left out. The screen is right all the same."""
_NOTHING: Final[tuple[ShownEvent, ...]] = ()


class Earlier(Struct, frozen=True):
    """The trail of a session, as far as it was written, and one of its channels."""

    trails: Trails
    row: SessionRow
    channel: int

    async def before(self, live: AsyncIterator[ShownEvent], since: int) -> AsyncGenerator[ShownEvent, None]:
        """Yield what was shown since a moment, in ms since the session began, and then what is shown live.

        Nobody watches while the long part is read: a viewer who takes nothing would be dropped. Raises what ``live`` and
        `Trails.reading` do.
        """
        try:
            async with aclosing(self._before(live, since)) as shown:
                async for one in shown:
                    yield one
        finally:
            if isinstance(live, AsyncGenerator):
                await live.aclose()

    async def _before(self, live: AsyncIterator[ShownEvent], since: int) -> AsyncGenerator[ShownEvent, None]:
        last = since
        async with aclosing(self._recorded(since, None)) as recorded:
            async for one in recorded:
                last = one.at
                yield one
        over: NotLiveError | None = None
        first = None
        try:
            first = await anext(live, None)
        except NotLiveError as error:
            over = error
        if first is not None:
            await self._wait_for(first.at)
        async with aclosing(self._recorded(last, last)) as recorded:
            async for one in recorded:
                if first is None or one.at <= first.at:
                    yield one
        if over is not None:
            raise over
        if first is not None:
            yield first
        async for one in live:
            yield one

    async def _recorded(self, since: int, after: int | None) -> AsyncGenerator[ShownEvent, None]:
        """Yield what the trail has since a moment; where ``after`` is given, only what was shown later than that."""
        read = self._read(since, after)
        try:
            while shown := await asyncio.to_thread(next, read, _NOTHING):
                for one in shown:
                    yield one
        finally:
            await asyncio.to_thread(read.close)

    def _read(self, since: int, after: int | None) -> Generator[tuple[ShownEvent, ...], None, None]:
        with self.trails.reading(self.row) as reader:
            waiting: list[ShownEvent] = []
            size = 0
            for one in moments(reader, self.channel, since):
                if after is not None and one.at <= after:
                    continue
                waiting.append(ShownEvent(self.channel, one.at, one.code, one.data))
                size += len(one.data)
                if size >= PIECE:
                    yield tuple(waiting)
                    waiting, size = [], 0
            if waiting:
                yield tuple(waiting)

    async def _wait_for(self, at: int) -> None:
        """Wait until the trail has what was shown until a moment."""
        for _ in range(LOOKS):
            if await asyncio.to_thread(self._until) >= at:
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _until(self) -> int:
        with self.trails.reading(self.row) as reader:
            return reader.until
