"""SSH behind listeners: what the host opens, proves and closes (see `listening.service.Service`)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.listening.service import Connection, Peer
from doorward.proxy.control.control import Control
from doorward.proxy.control.refusing import IDENTIFICATION, refuse

WORKER_SECONDS = 20.0
"""How long workers may take to be there."""
_LOOK_SECONDS = 0.05
_PROOF = "This connection only showed that the appliance listens."


class SshService:
    """Takes connections to the ports of connection policies. ``start_workers`` sees to it that workers run; it blocks."""

    def __init__(self, control: Control, start_workers: Callable[[], None]) -> None:
        self._control, self._start_workers = control, start_workers

    def prepare(self, listener: Listener) -> None:
        """Wait until there is a worker to take sessions. Raises HostError."""
        import asyncssh  # noqa: F401 - takes a moment, for which the first login need not wait

        if len(self._control.workers):
            return
        self._start_workers()
        end = time.monotonic() + WORKER_SECONDS
        while not len(self._control.workers):
            if time.monotonic() > end:
                raise HostError(f"no session worker runs for {listener.name}")
            time.sleep(_LOOK_SECONDS)

    async def serve(self, connection: Connection, peer: Peer, listener: Listener) -> None:
        """Hand a client to a worker; a proof of our own is answered here, since the policy that it is for may yet come."""
        connection.begun()
        if connection.is_own:
            await refuse(connection.socket, _PROOF)
        else:
            await asyncio.shield(self._control.acceptor.serve(connection.socket, peer, listener))

    def prove(self, source: socket.socket, listener: Listener) -> None:
        """Read the identification of the server. Raises HostError, or OSError."""
        received = b""
        while b"\n" not in received and len(received) < len(IDENTIFICATION):
            data = source.recv(len(IDENTIFICATION))
            if not data:
                break
            received += data
        if not received.startswith(b"SSH-2.0-"):
            raise HostError(f"{listener.name} does not speak SSH")
