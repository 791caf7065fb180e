"""SSH behind listeners: what the host opens, proves and closes (see `listening.service.Service`)."""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Callable

from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.listening.service import Connection, Peer
from doorward.proxy.control.control import ProxyControl

WORKER_SECONDS = 20.0
"""How long workers may take to be there."""
_LOOK_SECONDS = 0.05


class SshAdmission:
    """Takes connections to the ports of connection policies. ``start_workers`` sees to it that workers run; it blocks."""

    def __init__(self, control: ProxyControl, start_workers: Callable[[], None]) -> None:
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
        """Hand a client to a worker; a proof of our own sees host keys alone, since the policy that it is for may yet come."""
        connection.begun()
        if connection.is_own:
            await self._control.acceptor.show(connection.socket, listener)
        else:
            await asyncio.shield(self._control.acceptor.serve(connection.socket, peer, listener))

    def prove(self, source: socket.socket, listener: Listener) -> None:
        """Exchange keys as a client, and see one of the host keys that are configured. Raises HostError, or OSError."""
        from doorward.proxy.control.proving import shown_key

        shown = shown_key(source, listener.name)
        if not any(hmac.compare_digest(shown, key.public_key) for key in listener.host_keys):
            raise HostError(f"{listener.name} shows another host key than the configured ones")
