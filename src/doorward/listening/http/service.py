"""HTTP as a service: an ASGI application behind the name of an access rule."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, cast
from weakref import WeakValueDictionary

import uvicorn
from uvicorn.server import ServerState

from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.listening.http.connection import HttpConnection
from doorward.listening.http.options import KEEP_ALIVE_SECONDS, HttpOptions
from doorward.listening.service import Connection, Peer
from doorward.listening.tls import ServerIdentities, ServerIdentity, check_shown

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for the TLS handshake."""


class HttpService:
    """Serves an ASGI application, with TLS or without.

    An application finds in its ``scope`` beside what ASGI puts there: ``state["listener"]``, the listener that the request came
    through; ``peer``, the certificate that the client showed, in DER, or None; ``ending``, a function that tells whether the
    connection is to end after this request; ``release`` and ``expect_much``, for bodies that are worked off piece by piece.
    """

    def __init__(self, app: Any, options: HttpOptions, tls: ServerIdentities | None = None) -> None:
        self.options = options
        """For new connections."""
        self._tls = tls
        self._states: WeakValueDictionary[str, ServerState] = WeakValueDictionary()
        self._config = uvicorn.Config(
            app,
            http=HttpConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()

    def prepare(self, listener: Listener) -> None:
        """Load the certificate. Raises HostError."""
        if self._tls is not None:
            self._tls.load(listener)

    def connections(self, listener: str) -> set[HttpConnection]:
        """Return those that came through a listener by its name; for a look, from any thread."""
        state = self._states.get(listener)
        return set() if state is None else cast("set[HttpConnection]", state.connections.copy())

    async def serve(self, connection: Connection, _peer: Peer, listener: Listener) -> None:
        """Shake hands, then serve requests until the client or the listener ends the connection."""
        context = await self._context(listener)
        state = self._states.setdefault(listener.name, ServerState())
        protocol = HttpConnection(self._config, state, listener, self.options)
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            connection.socket,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
        )
        connection.begun()
        connection.on_end(protocol.shutdown)
        await protocol.over()

    async def _context(self, listener: Listener) -> ssl.SSLContext | None:
        if self._tls is None:
            return None
        identity = self._tls.at(listener)
        if identity is None:
            identity = await asyncio.to_thread(self._tls.load, listener)
        return identity.context

    def prove(self, source: socket.socket, listener: Listener) -> None:
        """See the certificate that the listener is to show; without TLS there is nothing to see. Raises HostError, or OSError."""
        if self._tls is not None:
            check_shown(source, listener, self._fingerprint(listener))

    def _fingerprint(self, listener: Listener) -> str:
        if listener.shows is not None:
            return listener.shows.fingerprint
        found: ServerIdentity | None = self._tls.at(listener) if self._tls else None
        if found is None:
            raise HostError(f"there is no certificate for {listener.name}")
        return found.fingerprint
