"""What stands behind the name of an access rule: a service gets one connection at a time, before anything was read of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol, TypeAlias

from doorward.host.resources import Listener
from doorward.listening.sources import source_of

Peer: TypeAlias = tuple[str, int]
"""Address and port of a client."""


class Service(Protocol):
    """Serves connections. It may stand behind several access rules, of several listeners."""

    def prepare(self, listener: Listener) -> None:
        """Get ready for connections of a listener that is about to open or to change. Blocks; not in the event loop.

        Raises HostError where it can't serve what the listener asks for, for example without a certificate: the listener stays
        as it was.
        """

    async def serve(self, connection: Connection, peer: Peer, listener: Listener) -> None:
        """Serve one client until everything that belongs to its connection has ended. In the event loop.

        Who hands the socket to another process returns at once. Cancelled where too many clients have yet to begin, and at the
        latest when the server ends. An OSError that it raises is the client's own affair; everything else is logged.
        """

    def prove(self, source: socket.socket, listener: Listener) -> None:
        """Look as a client, on a connected socket with a time-out, whether what answers is what the listener asks for. Blocks.

        That it is this process that accepts is seen to elsewhere. Raises HostError, or OSError.
        """


class Connection:
    """A client that was let in. Its socket is closed once ``serve`` has ended, however that came."""

    def __init__(
        self, accepted: socket.socket, peer: Peer, service: str, beginning: dict[Connection, None], *, is_own: bool = False
    ) -> None:
        self.socket = accepted
        """Does not block. Nothing was read of it, so that its descriptor may as well go to another process."""
        self.peer = peer
        self.service = service
        """What its access rule calls who serves it."""
        self.is_own = is_own
        """Whether this very process connected, in ``prove``."""
        self.source = source_of(peer[0])
        self.task: asyncio.Task[None] | None = None
        """In which it is served."""
        self._beginning = beginning
        beginning[self] = None
        self._end: Callable[[], None] = self.cancel

    def begun(self) -> None:
        """Say that the client speaks the protocol: only so many may keep us waiting for that."""
        self._beginning.pop(self, None)

    def on_end(self, end: Callable[[], None]) -> None:
        """Say how the connection is ended in good manners, after what runs. Otherwise its task is cancelled."""
        self._end = end

    def end(self) -> None:
        """Have the connection end soon: its client is not let in any more, or its listener closed."""
        self._end()

    def cancel(self) -> None:
        """End it now."""
        if self.task is not None:
            self.task.cancel()
