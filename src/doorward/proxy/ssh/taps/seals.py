"""Seals of the trail of one session: asked of control at each interval and at the end, written when they come."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import structlog

from doorward.proxy.messages import WantSeal
from doorward.proxy.ssh.taps.recorder import Recorder
from doorward.proxy.ssh.taps.trail import SessionTrail
from doorward.proxy.ssh.taps.viewers import Outlet
from doorward.recording.journal import RecordingFailedError

SEAL_SECONDS: Final = 5.0
"""How long the end of a session waits for its last seal."""

log = structlog.get_logger()


class Seals:
    """In the event loop. ``interval``: seconds from one seal to the next."""

    def __init__(self, trail: SessionTrail, recorder: Recorder, outlet: Outlet, interval: float) -> None:
        self._trail, self._recorder, self._outlet, self._interval = trail, recorder, outlet, interval
        self._is_wanted_now = asyncio.Event()
        self._came = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask for seals from now on."""
        self._task = asyncio.get_running_loop().create_task(self._ask())

    def catch_up(self) -> None:
        """Ask at once: one may have been missed because control was away."""
        self._is_wanted_now.set()

    def stop(self) -> None:
        """Ask for none any longer, but the last."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self) -> None:
        while True:
            self._is_wanted_now.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_wanted_now.wait(), self._interval)
            try:
                frame, chain = await self._recorder.submit(self._trail.claim)
            except RecordingFailedError:
                return
            self._outlet.pass_on(WantSeal(session=self._trail.name, frame=frame, chain=chain))

    def write(self, note: Mapping[str, Any]) -> None:
        """Have a seal written that came."""
        future = self._recorder.submit(lambda journal: self._trail.seal(journal, note))
        future.add_done_callback(self._written)

    def _written(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            self._came.set()

    async def last(self, frame: int, chain: bytes) -> WantSeal | None:
        """Have the end of the trail sealed: the last frame and the chain after it. Returns what could not be had in time."""
        self._came.clear()
        wanted = WantSeal(session=self._trail.name, frame=frame, chain=chain, last=True)
        if not self._outlet.pass_on(wanted):
            return wanted
        try:
            await asyncio.wait_for(self._came.wait(), SEAL_SECONDS)
        except TimeoutError:
            log.warning("last seal is missing", session=self._trail.name)
            return wanted
        return None
