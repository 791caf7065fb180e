"""Limits of size and time on a connection, and what is said where no application can answer."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from doorward.host.resources import Listener
from doorward.listening.http.framed import FramedConnection
from doorward.listening.http.framing import BadRequestError
from doorward.listening.http.options import CLOSE_GRACE_SECONDS, HEAD_LIMIT, MAX_WAITING, STALLED_SECONDS, HttpOptions


class LimitedConnection(FramedConnection):
    """Adds limits, and errors in the shape of the service.

    A timer runs whenever it is the client's turn, so that nobody keeps a connection for nothing: for the head of a request, for
    a body whose answer is out already, for the next request, and for reading an answer. While the application works, or waits
    for a body, the time is the application's to limit.
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

    def __init__(self, config: uvicorn.Config, state: ServerState, listener: Listener, options: HttpOptions) -> None:
        super().__init__(config, state, listener)
        self._options = options

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; the first head is awaited."""
        super().connection_made(transport)
        self._options.make_room(self, cast("set[LimitedConnection]", self.connections))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._in_time()
        self.resume_writing()
        super().connection_lost(exc)

    def abort(self) -> None:
        """End it at once."""
        self.transport.abort()

    @property
    def is_closing(self) -> bool:
        """Whether the connection ends."""
        return self.transport.is_closing()

    @property
    def is_asking(self) -> bool:
        """Whether a request has come in part, or none yet."""
        return self._slow is not None

    @property
    def is_unanswered(self) -> bool:
        """Whether a request awaits its answer."""
        return bool(self._unanswered())

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or a part of one."""
        return self._slow is not None or super().is_busy

    def data_received(self, data: bytes) -> None:
        """Take bytes; a head that is still not whole has limited time and size."""
        if self._ignores_input:
            return
        self._moved = False
        super().data_received(data)
        if not self._moved and (self._in_head or self._in_body):
            self._size += len(data)
            if self._size > 2 * HEAD_LIMIT and not self.transport.is_closing():
                self.send_400_response("")
        if not self.transport.is_closing():
            self._await_client()

    # The client's turn

    def _await_client(self) -> None:
        """See that a timer runs if it is the client's turn."""
        if self._unanswered():
            return
        if self._in_head or self._in_body:
            self._await_head()
        else:
            self._in_time()
            if self.timeout_keep_alive_task is None:
                self.await_next(self.timeout_keep_alive)

    def _await_head(self) -> None:
        if self._slow is None:
            end = self.transport.abort if self._options.is_hurried else self.transport.close
            self._slow = self.loop.call_later(self._options.head_seconds, end)

    def _in_time(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

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

    # What the parser tells

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head, self._size, self._moved = True, 0, True

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target; an exception here becomes a 400. Raises BadRequestError."""
        self._size += len(url)
        if self._size > HEAD_LIMIT:
            raise BadRequestError
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field. Those behind a chunked body are none: they came after every check. Raises BadRequestError."""
        if self._in_head:
            self._size += len(name) + len(value) + 4
            if self._size > HEAD_LIMIT:
                raise BadRequestError
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Take the end of the head. Raises BadRequestError."""
        self._in_time()
        if self._size > HEAD_LIMIT or len(self.pipeline) >= MAX_WAITING:  # what came in pieces may have grown between them
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

    # The end

    def on_response_complete(self) -> None:
        """Go on to the next request, unless the connection ends."""
        super().on_response_complete()
        if self.is_ending or self._options.is_hurried:
            self._hang_up()

    def shutdown(self) -> None:
        """End the connection, after the request that runs."""
        super().shutdown()
        self.is_ending = True
        self._options.ending()
        self._hang_up()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(CLOSE_GRACE_SECONDS, self.transport.abort)

    # Where no application answers

    def fault(self) -> bytes:
        """Return the JSON of the response to a fault that the application did not answer."""
        return self._options.errors.fault()

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
            self.transport.write(self._options.errors.malformed())
        self.transport.close()
        if self._options.is_hurried:
            self._hang_up()

    def _unanswered(self) -> list[RequestResponseCycle]:
        """Return the requests that await their answer, the latest first."""
        waiting = [cycle for cycle, _ in self.pipeline]
        if self._at_work is not None and not self._at_work.response_complete:
            waiting.append(self._at_work)
        return waiting
