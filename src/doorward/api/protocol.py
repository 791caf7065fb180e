"""Connections of the API: HTTP with the limits and the error shape of the contract."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from doorward.access.guard import busiest_source, source_of
from doorward.api.app import head
from doorward.api.errors import ApiError, bad_request, internal
from doorward.api.request import Response
from doorward.http.connection import HttpConnection
from doorward.http.fields import response_head
from doorward.http.framing import BadRequestError
from doorward.tree.jsontext import encode

HEAD_LIMIT = 16 << 10
"""Bytes of request line and header fields (protocol, section 12), and of what stands around and behind a chunked body."""
HEAD_SECONDS = 30.0
"""How long a client may take to send them, or the rest of a body that nobody waits for any more."""
STALLED_SECONDS = 60.0
"""How long a client may leave an answer unread."""
KEEP_ALIVE_SECONDS = 75
MAX_CONNECTIONS = 1000
"""Connections that a listener keeps for one service; each takes some 50 kB."""
MAX_WAITING = 100
"""Requests that a client may send on without awaiting the answers; behind those it has to ask again."""
CLOSE_GRACE_SECONDS = 0.5
"""How long a client may then take to answer the end of TLS; one that keeps the connection for later never does."""
MAX_REPEATS, MAX_REPEATED_HEAD = 16, 2 << 10
"""Request heads that a connection keeps in order to know them again, and the bytes of the longest of them."""


class _Answered:
    """Stands for the exchange of a request that was answered at once."""

    response_started = response_complete = True
    message_event = asyncio.Event()


_ANSWERED: Any = _Answered()


def _never(*_: object) -> None:
    """Stand for the short way of an application that has none."""


class HttpProtocol(HttpConnection):
    """One connection. Adds limits of size and time, JSON where the request is not HTTP, and a short way for plain reads.

    A timer runs whenever it is the client's turn, so that nobody keeps a connection for nothing: for the head of a request, for
    a body whose answer is out already, for the next request, and for reading an answer. While the application works, or waits
    for a body, the time is the application's to limit.

    A client that asks the same again sends the same bytes: a head that was answered at once before is known again as a whole,
    without parsing, when it comes alone and between requests.
    """

    _size = 0
    """Bytes of this head, or since the last piece of this body."""
    _moved = False
    """Whether what came last began a request or was a piece of a body."""
    _in_head = True
    _in_body = False
    _at_work: RequestResponseCycle | None = None
    """The request that the application has, or had last."""
    _ignores_input = False
    """Whether what comes is not looked at any more."""
    _slow: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    _stopping = False
    _begun = 0
    """Requests that began in what came last."""
    _plain: Any = None
    """What the application made of the last head, where it could be answered at once."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; the first head is awaited."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()
        self._repeats: dict[bytes, Any] = {}
        self._recognise = getattr(self.config.app, "plain", _never)
        self._fast_response = getattr(self.config.app, "fast_response", _never)
        self._slow = self.loop.call_later(HEAD_SECONDS, transport.close)

    def _make_room(self) -> None:
        """End one of the connections of the address that has the most: if possible one that is not in use, for the longest time.

        So who keeps all of them takes nobody else's room.
        """
        others = [one for one in self.connections if isinstance(one, HttpProtocol)]
        source = busiest_source(one.source for one in others)
        least = min((one for one in others if one.source == source), key=lambda one: (bool(one._unanswered()), one.used))  # noqa: SLF001
        least.transport.abort()

    @property
    def source(self) -> str:
        """What the client's address counts as."""
        return source_of(self.client[0]) if self.client else ""

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or a part of one."""
        return self._slow is not None or super().is_busy

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._in_time()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that is still not whole has limited time and size."""
        if self._ignores_input or self._answered_again(data):
            return
        self._moved, self._begun, self._plain = False, 0, None
        alone = not (self._in_head and self._size) and not self._in_body
        super().data_received(data)
        if not self._moved and (self._in_head or self._in_body):
            self._size += len(data)
            if self._size > 2 * HEAD_LIMIT and not self.transport.is_closing():
                self.send_400_response("")
        if not self.transport.is_closing():
            self._await_client()
            if alone and self._plain and self._begun == 1 and not self._in_head and len(data) <= MAX_REPEATED_HEAD:
                self._remember(data)

    def _await_client(self) -> None:
        """See that a timer runs if it is the client's turn."""
        if self._unanswered():
            return
        if self._in_head or self._in_body:
            if self._slow is None:
                self._slow = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        else:
            self._in_time()
            if self.timeout_keep_alive_task is None:
                self.await_next(self.timeout_keep_alive)

    def _in_time(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._size, self._moved = True, 0, True
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._size += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field. Those behind a chunked body are none: they came after every check."""
        if self._in_head:
            self._size += len(name) + len(value) + 4
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take the end of the head; an exception here becomes a 400."""
        self._in_time()
        if self._size > HEAD_LIMIT or len(self.pipeline) >= MAX_WAITING:
            raise BadRequestError
        super().on_headers_complete()
        self._in_head, self._in_body, self._size = False, True, 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._at_work = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        self._size, self._moved = 0, True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._in_body = False
        super().on_message_complete()

    # The answers

    def fault(self) -> bytes:
        """Return the JSON of the response to a fault that the application did not answer."""
        return _shown(internal(os.urandom(16).hex()))

    def on_response_complete(self) -> None:
        """Go on to the next request, unless the listener closes."""
        super().on_response_complete()
        if self._stopping:
            self._hang_up()

    def shutdown(self) -> None:
        """End the connection, after the request that runs, because the listener closes."""
        super().shutdown()
        self._stopping = True
        self._hang_up()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(CLOSE_GRACE_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """Note that the client does not read what it is sent."""
        super().pause_writing()
        if self._stalled is None:
            self._stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client reads on."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        super().resume_writing()

    # The short way

    def answered_at_once(self) -> bool:
        """Answer what needs no task; see ``hot``. Everything else goes the way of the application."""
        parser, before = self.parser, cast("RequestResponseCycle | None", self.cycle)
        if (before is not None and not before.response_complete) or self.flow.write_paused or parser.get_method() != b"GET":
            return False
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        plain = self._recognise(self.url, self.headers)
        if plain is None or (answer := self._fast_response(plain)) is None:
            return False
        self.cycle, self._plain = _ANSWERED, plain
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def _remember(self, data: bytes) -> None:
        """Keep what came as a request that can be answered at once."""
        if len(self._repeats) >= MAX_REPEATS:
            self._repeats.clear()
        self._repeats[data] = self._plain

    def _answered_again(self, data: bytes) -> bool:
        """Answer bytes that are known to be one whole request for something that can be answered at once."""
        plain = self._repeats.get(data)
        if plain is None or self._in_head or self._in_body or self.cycle is not _ANSWERED:
            return False
        if self.flow.write_paused or self.transport.is_closing() or (answer := self._fast_response(plain)) is None:
            return False
        self.transport.write(answer)
        self.used = self.loop.time()
        return True

    # What is no HTTP

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, in the shape of every error, and close the connection.

        Where a request before it still awaits its answer nothing is said, for it would be taken for that one's.
        """
        del msg
        unanswered = self._unanswered()
        if self._in_body and unanswered and unanswered[0] is self.cycle:
            del unanswered[0]
        if unanswered:
            self._ignores_input, unanswered[0].keep_alive = True, False
            return
        if not (self._in_body and self.cycle.response_started):
            self.transport.write(_refusal())
        self.transport.close()

    def _unanswered(self) -> list[RequestResponseCycle]:
        """Return the requests that await their answer, the latest first."""
        waiting = [cycle for cycle, _ in self.pipeline]
        if self._at_work is not None and not self._at_work.response_complete:
            waiting.append(self._at_work)
        return waiting


def _shown(refusal: ApiError) -> bytes:
    error = {"details": refusal.details, "message": refusal.message, "type": refusal.type}
    return encode({"error": error, "meta": {"href": "/", "parent": None}})


def _refusal() -> bytes:
    body = _shown(bad_request())
    answer = Response(body, 400, {"Connection": "close"})
    return response_head(400, head(answer, (), len(body), os.urandom(16).hex(), int(time.time()))) + body
