"""The HTTPS listener: uvicorn's HTTP protocol on our own socket, with the limits and error shape of the contract."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from doorward.api.app import Application, head
from doorward.api.errors import bad_request
from doorward.api.request import Answer
from doorward.tree.jsontext import encode

HEAD_LIMIT = 16 << 10
"""Bytes of request line and header fields (protocol, section 12)."""
HEAD_SECONDS = 30.0
"""How long a client may take to send them."""
KEEP_ALIVE_SECONDS = 75
STOP_SECONDS = 20
"""How long requests that run may go on when the listener closes."""
FAREWELL_SECONDS = 0.5
"""How long a client may then take to answer the end of TLS; one that keeps the connection for later never does."""


class BadHead(Exception):
    """Request line and header fields are beyond the limit, or of another HTTP than 1.x."""


class _Answered:
    """Stands for the cycle of a request that was answered at once."""

    response_complete = True
    message_event = asyncio.Event()


_ANSWERED: Any = _Answered()


class HttpProtocol(HttpToolsProtocol):
    """One connection. Adds to uvicorn's: a limit of size and time for the head, and JSON where the request is not HTTP."""

    _head_size = 0
    _in_head = True
    _slow: asyncio.TimerHandle | None = None
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; the first head is awaited."""
        super().connection_made(transport)
        self._at_once = self.config.app.at_once  # type: ignore[union-attr]
        self._slow = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that is still not whole has limited time and size."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_size += len(data)
            if self._head_size > 2 * HEAD_LIMIT:
                self.send_400_response("")
            elif self._slow is None:
                self._slow = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._head_size = True, 0

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._head_size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        self._head_size += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take the end of the head; an exception here becomes a 400."""
        self._head_arrived()
        if self._head_size > HEAD_LIMIT or self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise BadHead
        if not self._answered_at_once():
            super().on_headers_complete()

    def _head_arrived(self) -> None:
        self._in_head = False
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def shutdown(self) -> None:
        """End the connection, after the request that runs, because the listener closes."""
        super().shutdown()
        self._stopping = True
        self._hang_up()

    def on_response_complete(self) -> None:
        """Go on to the next request, unless the listener closes."""
        super().on_response_complete()
        if self._stopping:
            self._hang_up()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def _answered_at_once(self) -> bool:
        """Answer what needs no task; see ``hot``. Everything else goes uvicorn's way."""
        parser, before = self.parser, cast("RequestResponseCycle | None", self.cycle)
        if (before is not None and not before.response_complete) or self.flow.write_paused or parser.get_method() != b"GET":
            return False
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        answer = self._at_once(self.url, self.headers)
        if answer is None:
            return False
        self.cycle = _ANSWERED
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the shape of every error, and close the connection."""
        del msg
        refusal = bad_request()
        error = {"details": refusal.details, "message": refusal.message, "type": refusal.type}
        body = encode({"error": error, "meta": {"href": "/", "parent": None}})
        fields = head(Answer(body, headers={"Connection": "close"}), (), len(body), os.urandom(16).hex(), int(time.time()))
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + lines + b"\r\n" + body)
        self.transport.close()


class HttpServer:
    """Serves an application on a bound socket; HTTPS with a TLS context, plain HTTP (for measurements) without."""

    def __init__(self, app: Application, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
            backlog=2048,
        )
        config.load()
        config.ssl = context
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._socket = bound

    async def start(self) -> None:
        """Begin to accept."""
        await self._server.startup(sockets=[self._socket])

    async def stop(self) -> None:
        """Accept no more, let running requests end, close the connections."""
        await self._server.shutdown(sockets=[self._socket])


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address, ready to listen. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.bind((host, port))
        bound.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        bound.close()
        raise
    return bound
