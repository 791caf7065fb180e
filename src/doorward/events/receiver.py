"""One syslog receiver: the records that wait for it, the connection, the thread that sends."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from doorward.areas.worker import Worker
from doorward.configuration.management import syslog
from doorward.events.syslog import FORMS, Origin, framed
from doorward.events.tap import LogRecord
from doorward.events.tls import NoCertificateError

log = structlog.get_logger()

MAX_WAITING = 10_000
"""Records that wait while a receiver is away; then the oldest are dropped."""

_SOCKET_SECONDS = 10.0
_MAX_PAUSE = 30.0
_STOP_SECONDS = 3.0
_WORD_SECONDS = 0.3
_MUCH = 4096


class SyslogReceiver:
    """A receiver by its block of the configuration. ``context`` makes the TLS context, ``origin`` is asked for every record."""

    def __init__(
        self, block: syslog.Receiver, origin: Callable[[], Origin],
        context: Callable[[syslog.Tls], ssl.SSLContext],
        pause: float = 1.0,
    ) -> None:  # fmt: skip
        self.block = block
        self.address = (block.address.value, block.port)
        self.away: str | None = None
        """Why the receiver can't be reached; None while it can."""
        self.dropped = 0
        """Records that were dropped since the start."""
        self._untold = 0
        self._origin, self._context, self._first_pause = origin, context, pause
        self._form, self._transport = FORMS[block.message_format], block.transport.selection
        self._waiting: deque[LogRecord] = deque()
        self._changing = threading.Lock()
        self._socket: socket.socket | None = None
        self._addresses: deque[Any] = deque()
        """Of a receiver of datagrams: what is left to be tried."""
        self._is_tried = False
        """Whether something was sent to the address that is used."""
        self._worker = Worker("syslog", self._turn, delay=None, last_turn=True, stop_seconds=_STOP_SECONDS)

    def __len__(self) -> int:
        return len(self._waiting) + (self.away is not None)  # one is in the hand of the thread

    def start(self) -> None:
        """Begin to send."""
        self._worker.start()

    def stop(self, *, wait: bool = True) -> None:
        """Send what waits, if the receiver is there, and end."""
        self._worker.stop(wait=wait)

    def put(self, record: LogRecord) -> None:
        """Add a record. Never waits for the receiver."""
        with self._changing:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
                self._untold += 1
            self._waiting.append(record)
        self._worker.wake()

    def _turn(self) -> None:
        """Send what waits. At the end only to a receiver that is there."""
        pause = self._first_pause
        while not (self._worker.is_stopping and self.away) and (record := self._next()) is not None:
            while not self._sent(record):
                if self._worker.rest(pause):
                    return
                pause = min(2 * pause, _MAX_PAUSE)
            pause = self._first_pause
        if self._worker.is_stopping:
            self._disconnect()

    def _next(self) -> LogRecord | None:
        with self._changing:
            return self._waiting.popleft() if self._waiting else None

    def _sent(self, record: LogRecord) -> bool:
        """Send a record; before it, after an outage, how many were dropped."""
        try:
            self._connected()  # first: while the receiver is awaited, more may be dropped
            if (untold := self._untold) > 0:
                self._send(LogRecord(record.at, "warning", "records dropped", {"count": untold}))
                self._untold -= untold
            self._send(record)
        except (OSError, NoCertificateError, ValueError) as error:
            self._disconnect()
            if self.away is None and not self._worker.is_stopping:
                self.away = _reason(error)
                log.warning("syslog receiver away", receiver=f"{self.address[0]}:{self.address[1]}", reason=self.away)
            self.away = _reason(error)
            return False
        if self.away is not None:
            self.away = None
            log.info("syslog receiver back", receiver=f"{self.address[0]}:{self.address[1]}")
        return True

    def _connected(self) -> socket.socket:
        """Return the socket of the receiver; a new one if it has closed the last."""
        if self._socket is None or self._ended(self._socket):
            self._socket = self._connect()
        return self._socket

    def _connect(self) -> socket.socket:
        self._disconnect()
        if self._transport == "udp":
            self._addresses.extend(socket.getaddrinfo(*self.address, type=socket.SOCK_DGRAM))
            return self._next_address()
        plain = socket.create_connection(self.address, _SOCKET_SECONDS)
        try:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            transport = self.block.transport
            if not isinstance(transport, syslog.Tls):
                return plain
            secured = self._context(transport).wrap_socket(plain, server_hostname=self.address[0])
        except BaseException:
            plain.close()
            raise
        try:
            self._check_accepted(secured)
        except BaseException:
            secured.close()
            raise
        return secured

    def _next_address(self) -> socket.socket:
        """Return a socket for the next address of the name to which something can be sent. Raises OSError where none is left."""
        while True:
            family, kind, protocol, _, address = self._addresses.popleft()
            try:
                made = socket.socket(family, kind, protocol)
                try:
                    made.connect(address)
                except OSError:
                    made.close()
                    raise
            except OSError:  # such as an address of IPv6 where there is none
                if not self._addresses:
                    raise
            else:
                return made

    def _is_refused(self, datagrams: socket.socket) -> bool:
        """Whether nobody listens at the address that a first record went to, as far as its machine says so at once."""
        select.select([datagrams], [], [], _WORD_SECONDS)
        return datagrams.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0

    def _check_accepted(self, connection: socket.socket) -> None:
        """Wait for the word of the receiver about our certificate: in TLS 1.3 it comes after the handshake."""
        select.select([connection], [], [], _WORD_SECONDS)
        if self._ended(connection):
            raise ConnectionAbortedError("the receiver refused the connection")

    def _ended(self, connection: socket.socket) -> bool:
        """Whether the other side has closed a stream: what was written after that would be lost without a sign."""
        if self._transport == "udp":
            return False
        try:
            connection.settimeout(0)
            return not connection.recv(_MUCH)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            connection.settimeout(_SOCKET_SECONDS)

    def _send(self, record: LogRecord) -> None:
        connection = self._connected()
        message = self._form(record, self._origin())
        if self._transport != "udp":
            connection.sendall(framed(message))
            return
        is_first, self._is_tried = not self._is_tried, True
        connection.send(message)
        while is_first and self._addresses and self._is_refused(connection):
            connection.close()
            connection = self._socket = self._next_address()
            connection.send(message)  # the same record, which nobody has got

    def _disconnect(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
        self._is_tried = False
        self._addresses.clear()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return str(error.verify_message).rstrip(".")
    if isinstance(error, ssl.SSLError):
        return (error.reason or "TLS failed").lower().replace("_", " ")
    if isinstance(error, socket.gaierror):
        return "the name does not resolve"
    return (isinstance(error, OSError) and error.strerror) or str(error) or "no answer in time"
