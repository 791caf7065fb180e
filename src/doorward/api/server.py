"""Connections by HTTP: uvicorn's protocol with the limits and the error shape of the contract."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from doorward.api.app import head
from doorward.api.errors import bad_request
from doorward.api.request import Answer
from doorward.host.resources import Listener
from doorward.tree.jsontext import encode

HEAD_LIMIT = 16 << 10
"""Bytes of request line and header fields (protocol, section 12)."""
HEAD_SECONDS = 30.0
"""How long a client may take to send them."""
KEEP_ALIVE_SECONDS = 75
FAREWELL_SECONDS = 0.5
"""How long a client may then take to answer the end of TLS; one that keeps the connection for later never does."""


class BadHead(Exception):
    """Request line and header fields are beyond the limit, or of another HTTP than 1.x."""


class _Answered:
    """Stands for the cycle of a request that was answered at once."""

    response_complete = True
    message_event = asyncio.Event()


_ANSWERED: Any = _Answered()


def _never(_target: bytes, _headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Stand for the short way of an application that has none."""
    return None


class _InOne:
    """Sends the head of a response together with what comes behind it: each write costs a packet, a record of TLS, a wake-up."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport, self._head = transport, b""
        self._begun = False

    def write(self, data: bytes) -> None:
        """Keep the first piece for the second; send the others."""
        if self._begun:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._head, self._begun = data, True

    def close(self) -> None:
        """Send what was kept, and close."""
        if self._head:
            self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection closes."""
        return self._transport.is_closing()


class HttpProtocol(HttpToolsProtocol):
    """One connection. Adds to uvicorn's: a limit of size and time for the head, and JSON where the request is not HTTP."""

    _head_size = 0
    _in_head = True
    _slow: asyncio.TimerHandle | None = None
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; the first head is awaited."""
        super().connection_made(transport)
        self._at_once = getattr(self.config.app, "at_once", _never)
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
            if self.parser.get_method() != b"HEAD" and not self.expect_100_continue:  # more, or less, than a head and a body
                self.cycle.transport = cast("asyncio.Transport", _InOne(self.transport))

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


class Service(Protocol):
    """What stands behind the name of a listener's door."""

    def identity(self, listener: Listener) -> Identity | None:
        """Return what TLS connections get to see, None for plain HTTP. Raises HostFailure where it can't be had. May block."""

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
        self, app: Any, identity: Callable[[Listener], Identity | None], http: type[HttpToolsProtocol] = HttpProtocol
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
