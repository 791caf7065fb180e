"""What ends a session by time: peers that answer no longer, users that do nothing, sessions that last too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from doorward.sessions.rules import SessionSettings

if TYPE_CHECKING:
    from doorward.proxy.ssh.legs.leg import Leg
    from doorward.proxy.ssh.relay import Relay


class Watch:
    """The clock of one session. ``end`` takes the reason and the verdict."""

    def __init__(self, relay: Relay, settings: SessionSettings, end: Callable[[str, str], None]) -> None:
        self._relay = relay
        self._settings = settings
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._began = self._active = self._loop.time()
        self._peers = tuple(_Peer(leg, self._began) for leg in (relay.client, relay.server))
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def stop(self) -> None:
        """Watch no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def active(self) -> float:
        """When data last went through, by the clock of the event loop, as exactly as this was asked for."""
        if self._relay.is_active:
            self._relay.is_active = False
            self._active = self._loop.time()
        return self._active

    def _arm(self) -> None:
        settings = self._settings
        spans: list[float] = [settings.keepalive_interval / 2 if settings.keepalive_interval else 60, 60]
        now = self._loop.time()
        if settings.idle_timeout is not None:
            spans += [self.active + settings.idle_timeout - now, settings.idle_timeout / 10]
        if settings.session_timeout is not None:
            spans.append(self._began + settings.session_timeout - now)
        self._timer = self._loop.call_later(max(0.01, min(spans)), self._tick)

    def _tick(self) -> None:
        settings, now = self._settings, self._loop.time()
        if settings.session_timeout is not None and now - self._began >= settings.session_timeout:
            self._end("The session has lasted as long as it may", "TERMINATED")
        elif settings.idle_timeout is not None and now - self.active >= settings.idle_timeout:
            self._end("Nothing was done for too long", "TERMINATED")
        elif not (settings.keepalive_interval and self._ask(now)):
            self._arm()

    def _ask(self, now: float) -> bool:
        """Ask silent peers whether they are there. True: one is not, and the session ended."""
        interval, count = self._settings.keepalive_interval, self._settings.keepalive_count
        for peer in self._peers:
            leg = peer.leg
            # While nothing is read nobody can show that it is there.
            if leg.wire.received != peer.received or leg.wire.is_held:
                peer.received, peer.heard, peer.asked = leg.wire.received, now, 0
            elif now - peer.heard >= interval * (peer.asked + 1):
                if peer.asked >= count:
                    self._end(f"The {leg.what} does not answer any longer", "FAIL")
                    return True
                peer.asked += 1
                self._relay.globals.keepalive(down=leg is self._relay.client)
        return False


class _Peer:
    """What was heard of one peer."""

    def __init__(self, leg: Leg, now: float) -> None:
        self.leg = leg
        self.received = leg.wire.received
        self.heard = now
        self.asked = 0
