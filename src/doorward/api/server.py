"""What stands behind the doors of listeners: an ASGI application served by HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import uvicorn
from uvicorn.server import ServerState

from doorward.api.protocol import KEEP_ALIVE_SECONDS, HttpProtocol
from doorward.host.resources import Listener
from doorward.http.connection import HttpConnection


class Service(Protocol):
    """What stands behind the name of a listener's door."""

    def identity(self, listener: Listener) -> Identity | None:
        """Return what TLS connections get to see, None for plain HTTP. Raises HostError where it can't be had. May block."""

    def protocol(self, listener: Listener, state: ServerState) -> asyncio.Protocol:
        """Return the protocol of a new connection, which notes itself and its tasks in ``state``."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The TLS context of a server, and the SHA-256, in hex, of the certificate that it shows."""

    context: ssl.SSLContext
    fingerprint: str


class HttpService:
    """Serves an ASGI application; ``scope["state"]["listener"]`` is the listener that a request came through."""

    def __init__(
        self, app: Any, identity: Callable[[Listener], Identity | None], http: type[HttpConnection] = HttpProtocol
    ) -> None:
        self.identity = identity
        self._config = uvicorn.Config(
            app,
            http=http,
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
        self._http = http

    def protocol(self, listener: Listener, state: ServerState) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return self._http(self._config, state, {"listener": listener}, asyncio.get_running_loop())
