"""Messages of one leg that wait: in, for whoever receives them until there is a relay; out, for new keys."""

from __future__ import annotations

import asyncio

from doorward.proxy.ssh.wire.errors import LegError
from doorward.proxy.ssh.wire.wire import Wire

MAX_WAITING = 64
MAX_WAITING_BYTES = 256 * 1024
"""Messages, and their bytes, that wait to be received before nothing more is read."""
MAX_DEFERRED_BYTES = 1024 * 1024
"""Bytes of messages that wait for new keys; the other leg is not read meanwhile, so that they are answers of ours."""
_DEFERRED = 64
"""What a message that waits takes beside its bytes."""


class Inbox:
    """One leg's, which is not read while too much waits."""

    __slots__ = ("_error", "_size", "_waiter", "_waiting", "_wire")

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._waiting: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: LegError | None = None

    def keep(self, payload: bytes) -> None:
        """Take a message."""
        self._waiting.append(payload)
        self._size += len(payload)
        self._wake()
        if len(self._waiting) > MAX_WAITING or self._size > MAX_WAITING_BYTES:
            self._wire.hold("waiting")

    async def receive(self) -> bytes:
        """Return the next message. Raises the error with which the leg ended, once no message is left."""
        while not self._waiting:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        payload = self._waiting.pop(0)
        self._size -= len(payload)
        if not self._waiting:
            self._wire.release("waiting")
        return payload

    def empty(self) -> list[bytes]:
        """Return everything that waits, which then is the caller's."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        return waiting

    def end(self, error: LegError) -> None:
        """Take that nothing more comes."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class DeferredMessages:
    """One leg's messages that go out once there are new keys."""

    __slots__ = ("_messages", "_size")

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._size = 0

    def keep(self, payload: bytes) -> bool:
        """Take a message; whether there was room for it."""
        self._messages.append(payload)
        self._size += len(payload) + _DEFERRED
        return self._size <= MAX_DEFERRED_BYTES

    def empty(self) -> list[bytes]:
        """Return all of them, which then are the caller's."""
        messages, self._messages, self._size = self._messages, [], 0
        return messages
