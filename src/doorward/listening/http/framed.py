"""uvicorn's protocol with strict framing, bodies that are counted, and one timer for idleness."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import uvicorn
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from doorward.host.resources import Listener
from doorward.listening.http.exchange import Exchange
from doorward.listening.http.framing import check_head, split_target
from doorward.listening.sources import source_of

_WIDE_WINDOW = 4 << 20
"""Bytes that a client may send ahead of us where much is expected; the kernel gives what its ``rmem_max`` allows."""


class FramedConnection(HttpToolsProtocol):
    """One connection. A request that is not framed as it must be raises in the parser, which becomes ``send_400_response``.

    ``state`` holds the connections that a listener has for the service; the tasks of requests are the connection's own.
    """

    source = ""
    """What the client's address counts as."""
    peer: bytes | None = None
    """The certificate that the client showed, in DER; the handshake took only those that are trusted."""
    began = 0.0
    """When the connection was made, by the clock of the event loop."""
    used = 0.0
    """When the last request was answered, by the same clock."""
    is_ending = False
    """Whether the connection ends after the request that runs."""

    def __init__(self, config: uvicorn.Config, state: ServerState, listener: Listener) -> None:
        super().__init__(config, state, {"listener": listener}, asyncio.get_running_loop())
        self.tasks = set()
        self._lost: asyncio.Future[None] = self.loop.create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, after the handshake."""
        super().connection_made(transport)
        self.source = source_of(self.client[0]) if self.client else ""
        tls = transport.get_extra_info("ssl_object")
        self.peer = tls.getpeercert(binary_form=True) if tls is not None else None
        self.began = self.used = self.loop.time()
        self._offers = {"expect_much": self.expect_much, "peer": self.peer, "ending": lambda: self.is_ending}

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection; nobody answers the requests that still wait for their turn."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        super().connection_lost(exc)
        while self.pipeline:
            cast("Exchange", self.pipeline.pop()[0]).release()
        if not self._lost.done():
            self._lost.set_result(None)

    async def over(self) -> None:
        """Wait until the connection has ended, and all that its requests began. Cancelled, it ends them: they say so."""
        try:
            await self._lost
            if self.tasks:
                await asyncio.wait(self.tasks)
        except asyncio.CancelledError:
            if not self.tasks:
                self.transport.abort()
            for task in self.tasks:
                task.cancel()
            raise

    # What the parser tells

    def on_headers_complete(self) -> None:
        """Take the end of the head; an exception here becomes a 400."""
        version = self.parser.get_http_version()
        check_head(version, self.headers)
        if self.answered_at_once():
            return
        path, query, host = split_target(self.url)
        if host is not None:  # RFC 9112, section 3.2.2
            self.headers[:] = [(name, host if name == b"host" else value) for name, value in self.headers]
        self.scope |= {"method": self.parser.get_method().decode("ascii"), "raw_path": path, "query_string": query}
        self.scope |= {"path": path.decode("ascii"), "http_version": version}
        before = cast("Exchange | None", self.cycle)
        self.cycle = self._exchange(version)
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def answered_at_once(self) -> bool:
        """Answer the request if that needs no application; False: it takes its way."""
        return False

    def fault(self) -> bytes:
        """Return the JSON of the response to a fault that the application did not answer."""
        return b"{}"

    def _exchange(self, version: str) -> Exchange:
        keep_alive = version != "1.0" and self.parser.should_keep_alive() and not self.parser.should_upgrade()
        made = Exchange(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,  # the parser drops what comes behind a request for another protocol
            on_response=self.on_response_complete,
        )
        made.source, made.fault = self.source, self.fault
        self.scope |= self._offers  # type: ignore[typeddict-item]
        self.scope |= {"release": made.release, "break_off": made.break_off}  # type: ignore[misc]
        return made

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        exchange = cast("Exchange", self.cycle)
        if not exchange.response_complete:
            exchange.keep(body)
            if len(exchange.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()

    def expect_much(self) -> None:
        """Let the client send faster: listeners have a small window, for what is under way takes memory."""
        if not self.transport.is_closing():
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WIDE_WINDOW)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a client may ask for another protocol, and a server need not have it."""

    # Idleness: one timer for all of a connection's requests, which looks how late it is when it comes

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        self.server_state.total_requests += 1
        self.used = self.loop.time()
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.timeout_keep_alive_task is None:
            self.await_next(self.timeout_keep_alive)

    def await_next(self, seconds: float) -> None:
        """Look after so many seconds whether the connection is idle."""
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """Let the timer run: it looks at the time of the last answer."""

    def timeout_keep_alive_handler(self) -> None:
        """End the connection if nothing was asked for so long."""
        left = self.used + self.timeout_keep_alive - self.loop.time()
        if self.is_busy:
            self.await_next(self.timeout_keep_alive)
        elif left > 0:
            self.await_next(left)
        else:
            self.transport.close()

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way."""
        last = cast("Exchange | None", self.cycle)
        return bool(self.pipeline) or (last is not None and not last.response_complete)
