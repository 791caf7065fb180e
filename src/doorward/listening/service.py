"""What stands behind the name of an access rule: a service gets one connection at a time, before anything was read of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias

from doorward.host.resources import Listener

Peer: TypeAlias = tuple[str, int]
"""Address and port of a client."""


class Service(Protocol):
    """Serves connections. It may stand behind several access rules, of several listeners."""

    def prepare(self, listener: Listener) -> None:
        """Get ready for connections of a listener, which is about to open or to change. Blocks; not in the event loop.

        Raises HostError where it can't serve what the listener asks for, for example without a certificate: the listener stays
        as it was.
        """

    async def serve(self, connection: Connection, peer: Peer, listener: Listener) -> None:
        """Serve one client until everything that belongs to it has ended. In the event loop.

        Who hands the socket to another process returns at once. Cancelled where the client takes too much room before
        ``begun``, and at the latest when the server ends. Of what it raises an OSError is the client's own affair; the rest is logged.
        """

    def prove(self, source: socket.socket, listener: Listener) -> None:
        """Look as a client, on a connected socket with a time-out, whether it is this that answers. Blocks; in any thread.

        That the connection arrives here is seen to elsewhere. Raises HostError, or OSError.
        """


class Connection:
    """A client that was let in. The socket is closed when ``serve`` returns, however that is."""

    def __init__(self, accepted: socket.socket, peer: Peer, service: str) -> None:
        self.socket = accepted
        """Does not block. Nothing was read of it, so that its descriptor may as well go to another process."""
        self.peer = peer
        self.service = service
        """The name that its access rule has for who serves it."""
        self.is_beginning = True
        """Whether the client has yet to show that it speaks the protocol; there is room for a number of such ones only."""
        self._task: asyncio.Task[None] | None = None
        self._end: Callable[[], None] = self.cancel

    def begin(self, task: asyncio.Task[None]) -> None:
        """Note in which task it is served."""
        self._task = task

    def begun(self) -> None:
        """Say that the client speaks the protocol."""
        self.is_beginning = False

    def on_end(self, end: Callable[[], None]) -> None:
        """Say how the connection is ended in good manners, after what runs. Without that its task is cancelled."""
        self._end = end

    def end(self) -> None:
        """Have the connection end soon: it is not let in any more, or its listener closed."""
        self._end()

    def cancel(self) -> None:
        """End it now."""
        if self._task is not None:
            self._task.cancel()
