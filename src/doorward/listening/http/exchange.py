"""One request and its response on a connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from doorward.listening.http.buffers import BUFFERS, BuffersFullError
from doorward.listening.http.fields import response_head


class Exchange(RequestResponseCycle):
    """uvicorn's cycle, but for how the response is written, and with its body counted in the buffers of the process.

    Head and first piece of a response leave together: each write costs a packet, a record of TLS, a wake-up.
    ``source`` is what the client's address counts as.
    """

    _head = b""
    _left: int | None = 0
    """Bytes of the body that are still to come; None: its end is where the application says so."""
    _chunked = False
    _held = 0
    _no_room = False
    source = ""
    fault: Callable[[], bytes]
    """Returns the JSON of the response to a fault that the application did not answer."""

    # The request

    def keep(self, piece: bytes) -> None:
        """Take a piece of the body."""
        if self._no_room:
            return
        if BUFFERS.take(self.source, len(piece)):
            self._held += len(piece)
            self.body += piece
        else:
            self._no_room = True
            self.body.clear()
        self.message_event.set()

    def release(self, size: int | None = None) -> None:
        """Note that bytes of the body are not kept any more; all of them unless told otherwise."""
        size = self._held if size is None else min(size, self._held)
        if size:
            self._held -= size
            BUFFERS.give_back(self.source, size)

    async def receive(self) -> Any:
        """Return the next ASGI message. Raises BuffersFullError."""
        message = None if self._no_room else await super().receive()
        if self._no_room:
            raise BuffersFullError
        return message

    async def run_asgi(self, app: Any) -> None:
        """Have the application answer; what is kept of the body goes at the end, whatever became of it."""
        try:
            await super().run_asgi(app)
        finally:
            self.release()

    # The response

    async def send(self, message: Any) -> None:
        """Send a part of the response, as ASGI says. One without ``content-length`` goes in chunks, as it comes."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.transport.is_closing():  # some time before anybody hears that the connection was lost
            self.disconnected = True
        if self.disconnected:
            return
        if not self.response_started:
            self._begin(message["status"], message["headers"])
        elif not self.response_complete:
            self._go_on(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError("the response is complete already")

    def _begin(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        given = {name.lower(): value for name, value in fields}
        if given.get(b"connection") == b"close":
            self.keep_alive = False
        elif not self.keep_alive:
            fields = [*fields, (b"connection", b"close")]
        length = given.get(b"content-length")
        self._left = None if length is None and may_have_body(status) else int(length or b"0")
        if self.scope["method"] == "HEAD":
            self._left = 0
        elif self._left is None:
            fields = [*fields, *self._framing()]
        self._head = response_head(status, fields)
        self.response_started, self.waiting_for_100_continue = True, False

    def _framing(self) -> list[tuple[bytes, bytes]]:
        """Return the fields of a response whose length nobody knows: in chunks, or for HTTP/1.0 until the connection ends."""
        self._chunked = self.scope["http_version"] == "1.1"
        if self._chunked:
            return [(b"transfer-encoding", b"chunked")]
        was_kept, self.keep_alive = self.keep_alive, False
        return [(b"connection", b"close")] if was_kept else []

    def _go_on(self, piece: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            piece = b""
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the body is not as long as Content-Length says")
        elif self._chunked:
            piece = (b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"") + (b"" if more else b"0\r\n\r\n")
        if self._head or piece:
            self.transport.write(self._head + piece)
            self._head = b""
        if not more:
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()

    def break_off(self) -> None:
        """End the connection in the middle of a response, so that the client sees that something is missing."""
        self.disconnected = True
        self.message_event.set()
        self.transport.close()

    async def send_500_response(self) -> None:
        """Answer a fault, or a request that is given up because the server ends."""
        body = self.fault()
        fields = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json"), (b"connection", b"close")]
        await self.send({"status": 500, "headers": fields})
        await self.send({"body": body})


def may_have_body(status: int) -> bool:
    """Whether a response with a status has a body (RFC 9110, section 6.4.1)."""
    return status >= 200 and status not in {204, 304}  # noqa: PLR2004 - HTTP's numbers
