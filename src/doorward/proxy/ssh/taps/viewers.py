"""Who watches a session live: a short queue each. A viewer that is slow misses something and goes on with the screen of then.

Nothing here waits for a viewer, and nothing that was typed is shown: only what the screen shows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from doorward.proxy.messages import PipeMessage, Shown
from doorward.proxy.ssh.taps.back import View

MAX_QUEUE: Final = 256 << 10
"""Bytes that may wait for one viewer."""
MAX_VIEWERS: Final = 100
_PIECE: Final = 128 << 10


class Outlet(Protocol):
    """The way to control, as far as viewers need it."""

    def pass_on(self, message: PipeMessage) -> bool:
        """Send something that need not arrive; whether it went."""

    async def room(self) -> bool:
        """Wait until there is room; whether anybody is at the other end."""


class Viewer:
    """One viewer of a session; None as the channel: of all."""

    def __init__(self, session: str, number: int, channel: int | None, outlet: Outlet, redraw: Callable[[], None]) -> None:
        self._session, self._number, self._channel = session, number, channel
        self._outlet, self._redraw = outlet, redraw
        self._queue: deque[View] = deque()
        self._size = 0
        self._followed: set[int] = set()
        """Channels of which nothing was missed since their last drawing."""
        self._has_missed = True
        self._arrived = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._pump())

    def offer(self, view: View) -> None:
        """Take something to show, if there is room for it."""
        if self._channel not in {None, view.channel}:
            return
        if (view.channel in self._followed) is view.drawing and view.code != "x":
            return
        if self._size + len(view.data) > MAX_QUEUE:
            self._queue.clear()
            self._followed.clear()
            self._size, self._has_missed = 0, True
            self._arrived.set()
            return
        if view.drawing and view.code == "o":
            self._followed.add(view.channel)
        self._queue.append(view)
        self._size += len(view.data)
        self._arrived.set()

    async def _pump(self) -> None:
        while await self._outlet.room():
            if not self._queue:
                if self._has_missed:
                    self._has_missed = False
                    self._redraw()
                self._arrived.clear()
                await self._arrived.wait()
                continue
            view = self._queue.popleft()
            self._size -= len(view.data)
            for start in range(0, max(1, len(view.data)), _PIECE):
                self._send(view.channel, view.at, view.code, view.data[start : start + _PIECE])

    def _send(self, channel: int, at: int, code: str, data: bytes) -> None:
        self._outlet.pass_on(Shown(session=self._session, viewer=self._number, channel=channel, at=at, code=code, data=data))

    def close(self, at: int) -> None:
        """End: the session is over, or nobody watches any more."""
        self._task.cancel()
        self._outlet.pass_on(nothing_more(self._session, self._number, at))


def nothing_more(session: str, viewer: int, at: int) -> Shown:
    """Return what tells a viewer that nothing more comes."""
    return Shown(session=session, viewer=viewer, channel=0, at=at, code="x", data=b"", end=True)


class Viewers:
    """All viewers of a session."""

    def __init__(self, session: str, outlet: Outlet, redraw: Callable[[], None]) -> None:
        self._session, self._outlet, self._redraw = session, outlet, redraw
        self._viewers: dict[int, Viewer] = {}

    def __len__(self) -> int:
        return len(self._viewers)

    def add(self, number: int, channel: int | None) -> bool:
        """Let somebody watch; whether there is room for one more."""
        if number in self._viewers or len(self._viewers) >= MAX_VIEWERS:
            return False
        self._viewers[number] = Viewer(self._session, number, channel, self._outlet, self._redraw)
        return True

    def remove(self, number: int, at: int) -> bool:
        """Let somebody go; whether they watched."""
        viewer = self._viewers.pop(number, None)
        if viewer is not None:
            viewer.close(at)
        return viewer is not None

    def show(self, views: list[View]) -> None:
        """Show something to all of them."""
        for view in views:
            for viewer in self._viewers.values():
                viewer.offer(view)

    def close(self, at: int) -> None:
        """End all of them."""
        for number in list(self._viewers):
            self.remove(number, at)
