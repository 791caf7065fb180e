"""The connections of the node channel: HTTP over pinned TLS, with limits of number, size and time."""

from __future__ import annotations

import asyncio

import msgspec

from doorward.access.guard import busiest_source, source_of
from doorward.http.connection import HttpConnection
from doorward.http.fields import response_head
from doorward.http.framing import BadRequestError

HEAD_SECONDS = 10.0
HEAD_LIMIT = 16 << 10
"""Bytes of request line and header fields."""
MAX_ANONYMOUS, MAX_OF_ONE = 64, 8
"""Connections at one time: without a certificate of all and of one source, each for one attempt to pair, and of one node."""
CLOSE_GRACE_SECONDS = 0.5
"""How long a client may take to answer the end of TLS; one that goes on sending never does."""

_FIELDS = [(b"content-type", b"application/json"), (b"connection", b"close")]


def _error(code: str, message: str) -> bytes:
    return msgspec.json.encode({"code": code, "message": message})


class ChannelProtocol(HttpConnection):
    """One connection. Adds the certificate of the peer, and limits of the head."""

    peer: bytes | None = None
    """The certificate that the other side showed, in DER; the handshake took only those that are pinned."""

    _began = 0.0
    """When the connection was made, by the clock of the event loop."""
    _head = 0
    _ending = False
    _slow: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, after the handshake."""
        super().connection_made(transport)
        self.peer = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
        self._began = self.loop.time()
        if self.peer is None:
            self._make_room()
        elif sum(one.peer == self.peer for one in self._others()) >= MAX_OF_ONE:
            transport.abort()
        self._slow = self.loop.call_later(HEAD_SECONDS, transport.abort)

    def _others(self) -> list[ChannelProtocol]:
        return [one for one in self.connections if isinstance(one, ChannelProtocol) and one is not self]

    def _make_room(self) -> None:
        """End connections without a certificate where there are too many: of the source that has the most, of this one first.

        So a source that keeps all of them takes nobody else's room. Of its own those go first that have asked nothing yet, then
        the oldest.
        """
        others = [one for one in self._others() if one.peer is None and not one.transport.is_closing()]
        others.sort(key=lambda one: (one._slow is None, one._began))  # noqa: SLF001 - one of its own kind
        own = [one for one in others if one.source == self.source]
        if len(own) >= MAX_OF_ONE:
            own[0].transport.abort()
        elif len(others) >= MAX_ANONYMOUS:
            busiest = busiest_source(one.source for one in others)
            next(one for one in others if one.source == busiest).transport.abort()

    @property
    def source(self) -> str:
        """What the address of the other side counts as."""
        return source_of(self.client[0]) if self.client else ""

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head that is still not whole are counted."""
        super().data_received(data)
        if self._slow is not None and not self.transport.is_closing():
            self._head += len(data)
            if self._head > HEAD_LIMIT:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self.scope |= {"ending": lambda: self._ending, "peer": self.peer}  # type: ignore[misc]
        if self._slow is None:
            self._slow = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        """Take the end of the head; an exception here becomes a 400."""
        self._head_arrived()
        if sum(len(name) + len(value) for name, value in self.headers) + len(self.url) > HEAD_LIMIT:
            raise BadRequestError
        if not self.url.startswith(b"/"):
            raise BadRequestError
        super().on_headers_complete()

    def fault(self) -> bytes:
        """Return the JSON of the response to a fault that the channel did not answer."""
        return _error("internal", "An internal error; it is logged.")

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or a part of one."""
        return self._slow is not None or super().is_busy

    def on_response_complete(self) -> None:
        """Go on to the next request, or end."""
        super().on_response_complete()
        self._hang_up()

    def shutdown(self) -> None:
        """End the connection, after the request that runs, because the listener closes; who waits gets nothing."""
        super().shutdown()
        self._ending = True
        self.config.app.announce()  # type: ignore[union-attr]
        self._hang_up()

    def _hang_up(self) -> None:
        if self.transport.is_closing():
            self.loop.call_later(CLOSE_GRACE_SECONDS, self.transport.abort)

    def _head_arrived(self) -> None:
        self._head = 0
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP and close the connection."""
        del msg
        body = _error("bad_request", "Not HTTP as agreed.")
        self.transport.write(response_head(400, [*_FIELDS, (b"content-length", b"%d" % len(body))]) + body)
        self.transport.close()
        self._hang_up()
