"""What a client sends while it may not: to a session that is locked, on a channel that waits for approval."""

from __future__ import annotations

from collections.abc import Callable

from doorward.proxy.ssh.legs.leg import Leg
from doorward.proxy.ssh.wire.errors import LegError

MAX_PARKED = 16 * 1024 * 1024
"""Bytes that are held before the client is no longer read."""


class Parking:
    """Holds messages of one client. ``take`` gets them when they may go on."""

    __slots__ = ("_client", "_locked", "_size", "_take")

    def __init__(self, client: Leg, take: Callable[[Leg, bytes], None]) -> None:
        self._client, self._take = client, take
        self._locked: list[bytes] = []
        self._size = 0

    def keep(self, payload: bytes, on_channel: list[bytes] | None) -> None:
        """Hold a message: with others of its channel, where that waits, else until the session is unlocked."""
        (self._locked if on_channel is None else on_channel).append(payload)
        self._size += len(payload)
        if self._size > MAX_PARKED:
            self._client.wire.hold("parked")

    def unlock(self) -> None:
        """Go on with what came while the session was locked."""
        parked, self._locked = self._locked, []
        self.go_on(parked)

    def go_on(self, parked: list[bytes]) -> None:
        """Go on with messages that were kept. A fault in one of them ends the leg, outside of its turn of reading."""
        for payload in parked:
            self._size -= len(payload)
            if self._client.error is None:
                try:
                    self._take(self._client, payload)
                except LegError as error:
                    self._client.end(error)
        if self._size <= MAX_PARKED:
            self._client.wire.release("parked")
