"""A socket that carries packets: one read, as many packets as came, one write for what they led to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Protocol

from doorward.proxy.ssh.wire.buffers import READ, SLACK, START, shared
from doorward.proxy.ssh.wire.errors import LegError, LostError, ProtocolViolationError
from doorward.proxy.ssh.wire.failures import log_failure
from doorward.proxy.ssh.wire.identification import Identification
from doorward.proxy.ssh.wire.outgoing import Outgoing
from doorward.proxy.ssh.wire.packets import MAX_PACKET, PacketReceiver, Sender
from doorward.proxy.ssh.wire.protection import PAYLOAD

LINGER = 2.0
"""Seconds that a peer is given to close its side once it was sent everything."""
DRAIN = 60.0
"""Seconds that it is given to take what waits."""


class Handler(Protocol):
    """What a wire tells. Exceptions of `LegError` out of ``message`` end the wire."""

    def identified(self, line: bytes) -> None:
        """Take the identification of the peer."""

    def message(self, number: int, plain: memoryview, size: int) -> None:
        """Take a message: ``size`` bytes in ``plain`` from `PAYLOAD` on, good until the call returns."""

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """Take that the peer does not read as fast as we write, or that it does again."""

    def failed(self, error: LegError) -> None:
        """Take the end of the wire; comes once."""


class Wire:
    """One leg's socket, with both directions of packets. ``lines_first``: the peer may send lines before it says who it is."""

    def __init__(self, sock: socket.socket, handler: Handler, *, lines_first: bool) -> None:
        sock.setblocking(False)  # noqa: FBT003 - Python's own
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.receiver = PacketReceiver()
        self.sender = Sender()
        self._sock = sock
        self._fd = sock.fileno()
        self._handler = handler
        self._loop = asyncio.get_running_loop()
        self._buffers = shared()
        self._pending = b""
        self._identification = Identification(lines_first=lines_first)
        self._is_identified = False
        self._holds: set[str] = set()
        self._is_reading = False
        self._outgoing = Outgoing(sock, self)
        self._is_closing = False
        self._linger: asyncio.TimerHandle | None = None
        self.is_open = True
        self.received = 0
        """Bytes read from the socket so far."""

    # --- reading ---

    def start(self) -> None:
        """Begin to read."""
        self._update_reading()

    def hold(self, why: str) -> None:
        """Read nothing more until `release` is called for every reason."""
        self._holds.add(why)
        self._update_reading()

    def release(self, why: str) -> None:
        """Drop a reason not to read."""
        if why in self._holds:
            self._holds.discard(why)
            self._update_reading()
            self._revive()

    def _revive(self) -> None:
        """Handle what was read before a pause; the socket will not tell of it again."""
        if self._pending and self._may_read():
            self._loop.call_soon(self._handle_pending)

    def _handle_pending(self) -> None:
        if self.is_open and self._pending and self._may_read():
            pending = self._pending
            self._buffers.received[START : START + len(pending)] = pending
            self._handle(START + len(pending))

    def _may_read(self) -> bool:
        return self._is_closing or not self._holds

    def _update_reading(self) -> None:
        wanted = self.is_open and self._may_read()
        if wanted != self._is_reading:
            self._is_reading = wanted
            if wanted:
                self._loop.add_reader(self._fd, self._readable)
            else:
                self._loop.remove_reader(self._fd)

    def _readable(self) -> None:
        pending = self._pending
        if len(pending) > MAX_PACKET + SLACK:
            # Read before a pause, whole packets among it: these first, or there is no room for more.
            self._handle_pending()
            return
        begin = START + len(pending)
        received = self._buffers.received
        try:
            count = self._sock.recv_into(received[begin : begin + READ])
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(LostError(f"the connection broke: {error.strerror}"))
            return
        if not count:
            self._fail(LostError("the connection was closed"))
            return
        self.received += count
        if self._is_closing:
            return
        if pending:
            received[START:begin] = pending
        self._handle(begin + count)

    def _handle(self, end: int) -> None:
        """Handle the bytes in the shared buffer up to ``end``."""
        buffers = self._buffers
        received, plain = buffers.received, buffers.plain
        start = START
        buffers.depth += 1
        try:
            if not self._is_identified:
                start = self._identify(received, start, end)
            take, message = self.receiver.take, self._handler.message
            receiver = self.receiver
            while self._is_identified and self.is_open and not self._is_closing:
                stop = take(received, start, end, plain)
                if not stop:
                    break
                start = stop
                message(plain[PAYLOAD], plain, receiver.size)
                if self._holds and self._is_parked():
                    break
        except LegError as error:
            self._pending = b""
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it was: nothing goes on that is not understood
            log_failure("a leg ends by an error of ours", error)
            self._pending = b""
            self._fail(LegError("Internal error"))
        else:
            self._pending = bytes(received[start:end]) if start < end else b""
            self._update_reading()
        finally:
            buffers.depth -= 1
            if buffers.owner is not None:
                buffers.owner.flush()

    def _is_parked(self) -> bool:
        """Whether what was read already has to wait as well. A full peer does not need that; it would only cost copies."""
        return bool(self._holds - {"congested"})

    def _identify(self, received: memoryview, start: int, end: int) -> int:
        """Look for the line that says who the peer is."""
        line, taken = self._identification.take(bytes(received[start:end]))
        if line is not None:
            self._is_identified = True
            self._handler.identified(line)
        return start + taken

    # --- writing ---

    def send_line(self, line: bytes) -> None:
        """Send our identification."""
        self._outgoing.write(memoryview(line + b"\r\n"))

    def send(self, payload: bytes) -> None:
        """Send a message of our own. Raises ProtocolViolationError."""
        own = self._buffers.own
        size = len(payload)
        if size > MAX_PACKET - 256:
            raise ProtocolViolationError("A message is too long to be sent")
        own[PAYLOAD : PAYLOAD + size] = payload
        self.forward(own, size)
        if not self._buffers.depth:
            self.flush()

    def forward(self, plain: memoryview, size: int) -> None:
        """Send the message of ``size`` bytes that lies in ``plain`` at `PAYLOAD`."""
        if not self.is_open or self._is_closing:
            return
        buffers = self._buffers
        if buffers.owner is not self:
            if buffers.owner is not None:
                buffers.owner.flush()
            buffers.owner = self
        sender = self.sender
        if buffers.at + sender.room(size) > len(buffers.out):
            self.flush()
            buffers.owner = self
        buffers.at = sender.put(plain, size, buffers.out, buffers.at)

    def flush(self) -> None:
        """Hand what was made to the kernel."""
        buffers = self._buffers
        if buffers.owner is self:
            end = buffers.at
            buffers.owner = None
            buffers.at = START
            self._outgoing.write(buffers.out[START:end])

    @property
    def is_held(self) -> bool:
        """Whether nothing is read at the moment."""
        return bool(self._holds)

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        host, port = self._sock.getsockname()[:2]
        return str(host), int(port)

    # --- from what is sent: see `SendingSide` ---

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """See `SendingSide`."""
        self._handler.congested(full)

    def emptied(self) -> None:
        """See `SendingSide`."""
        if self._is_closing:
            self._shut()

    def broke(self, error: OSError) -> None:
        """End the wire, but not from inside a call that sends."""
        self._loop.call_soon(self._fail, LostError(f"the connection broke: {error.strerror}"))

    # --- the end ---

    def close(self) -> None:
        """Send what waits, then close; the peer has `LINGER` seconds to take it. What it sends is thrown away."""
        if not self.is_open or self._is_closing:
            return
        if self._buffers.owner is self:
            self.flush()
        self._is_closing = True
        self._pending = b""
        self._linger = self._loop.call_later(DRAIN, self.abort)
        self._update_reading()
        if self._outgoing.is_empty:
            self._shut()

    def _shut(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.abort()
            return
        if self._linger is not None:
            self._linger.cancel()
        self._linger = self._loop.call_later(LINGER, self.abort)

    def abort(self) -> None:
        """Close at once."""
        self._fail(LostError("the connection was given up"))

    def _fail(self, error: LegError) -> None:
        if not self.is_open:
            return
        if not isinstance(error, LostError) and not self._is_closing:
            # The handler says goodbye, with a reason, and closes.
            self._handler.failed(error)
            return
        was_closing = self._is_closing
        if self._buffers.owner is self:
            self._buffers.owner = None
            self._buffers.at = START
        self.is_open = False
        self._update_reading()
        self._outgoing.close()
        if self._linger is not None:
            self._linger.cancel()
        self._sock.close()
        if not was_closing:
            self._handler.failed(error)
        self._handler.congested(False)  # noqa: FBT003 - nobody has to wait for this leg any longer
