"""What one socket sends: at once as much as the kernel takes, the rest when it has room again."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

MAX_UNSENT = 128 * 1024
"""Bytes that wait for the kernel before the other leg is no longer read."""
FEW_UNSENT = 32 * 1024


class SendingSide(Protocol):
    """Who is told how sending goes."""

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """Take that much waits, or little again."""

    def emptied(self) -> None:
        """Take that nothing waits any more."""

    def broke(self, error: OSError) -> None:
        """Take that the socket is no longer good. Comes out of calls that send."""


class Outgoing:
    """The bytes on their way into a socket."""

    __slots__ = ("_fd", "_is_closed", "_is_congested", "_loop", "_side", "_sock", "_unsent")

    def __init__(self, sock: socket.socket, side: SendingSide) -> None:
        self._sock, self._side = sock, side
        self._fd = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._is_congested = False
        self._is_closed = False

    @property
    def is_empty(self) -> bool:
        """Whether the kernel has everything."""
        return not self._unsent

    def write(self, data: memoryview) -> None:
        """Send bytes; what of them does not go now is copied."""
        if self._is_closed:
            return
        if not self._unsent:
            try:
                sent = self._sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._side.broke(error)
                return
            if sent == len(data):
                return
            data = data[sent:]
            self._loop.add_writer(self._fd, self._writable)
        self._unsent += data
        if len(self._unsent) > MAX_UNSENT and not self._is_congested:
            self._is_congested = True
            self._side.congested(True)  # noqa: FBT003 - a state

    def _writable(self) -> None:
        unsent = self._unsent
        try:
            del unsent[: self._sock.send(unsent)]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._side.broke(error)
            return
        if not unsent:
            self._loop.remove_writer(self._fd)
            self._side.emptied()
        if self._is_congested and len(unsent) < FEW_UNSENT:
            self._is_congested = False
            self._side.congested(False)  # noqa: FBT003 - a state

    def close(self) -> None:
        """Forget what waits; before the socket is closed."""
        self._is_closed = True
        if self._unsent:
            self._loop.remove_writer(self._fd)
            self._unsent.clear()
