"""One connection to Central Management: TLS, a limit of time for the whole of each call, a limit of size for each answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import zlib
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from doorward.cluster.calls import PREFIX
from doorward.tree.plaintext import plain

PORT = 7443
CONNECT_SECONDS = 5.0
CALL_SECONDS = 15.0
"""How long a call may take that is answered at once; what waits for news may take that much longer."""
ANSWER_LIMIT = 64 << 20
"""Bytes of an answer, compressed and not."""

_CHUNK = 256 << 10
_CODES = {403: "not_accepted", 409: "version_mismatch", 410: "removed", 429: "too_many_attempts"}


class ChannelError(Exception):
    """Central Management can't be asked, or refuses. The text is for the log.

    ``code`` is ``no_answer``, ``pin_mismatch``, ``bad_answer``, or one of Central Management's: ``not_accepted``, ``removed``,
    ``version_mismatch``, ``too_many_attempts``, ``role``, ``not_central``, ``format`` …
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Way(Struct, frozen=True):
    """How to reach Central Management: its addresses, the preferred first; ``source``, where set, is our own listen address."""

    addresses: tuple[str, ...]
    port: int = PORT
    source: str | None = None


class StaleError(Exception):
    """The other side ended the connection before it answered anything."""


class ChannelConnection(http.client.HTTPConnection):
    """A TLS connection to one address, with a limit of time for the whole of each call."""

    def __init__(self, address: str, way: Way, context: ssl.SSLContext) -> None:
        source = (way.source, 0) if way.source else None
        super().__init__(address, way.port, CONNECT_SECONDS, source)
        self.auto_open = 0
        self._tls: ssl.SSLSocket | None = None
        self._certificate: bytes | None = None
        self._is_cut = False
        self._context = context

    def connect(self) -> None:
        """Connect and shake hands. Raises OSError."""
        super().connect()
        _notice_silence(self.sock)
        with self._within(2 * CONNECT_SECONDS):
            self.sock = self._tls = self._context.wrap_socket(self.sock)
        self._certificate = self._tls.getpeercert(binary_form=True)  # raises where there was no handshake
        self._tls.settimeout(None)  # each call has its own limit

    def certificate(self) -> bytes:
        """Return the certificate that the server showed, in DER."""
        return self._certificate or b""

    def ask(self, method: str, target: str, body: bytes | None = None, more: float = 0.0) -> bytes:
        """Make a call and return the body of the answer. Raises Stale or ChannelError.

        It may take ``more`` seconds than a call that is answered at once.
        """
        headers = {"Accept-Encoding": "gzip"} | ({"Content-Type": "application/json"} if body is not None else {})
        with self._within(CALL_SECONDS + more):
            try:
                self.request(method, PREFIX + target, body, headers)
                answer = self.getresponse()
            except (ConnectionError, ssl.SSLError, http.client.NotConnected) as error:
                if self._is_cut:
                    raise ChannelError("no_answer", "the call was ended") from error
                raise StaleError from error
            except (OSError, http.client.HTTPException) as error:
                raise ChannelError("no_answer", _reason(error)) from error
            try:
                with answer:
                    content = _content(answer)
            except (OSError, http.client.HTTPException) as error:
                raise ChannelError("no_answer", _reason(error)) from error
        if answer.status not in {200, 204}:
            raise _refusal(answer.status, content)
        return content

    def cut(self) -> None:
        """End the connection from another thread, whatever is going on."""
        self._is_cut = True
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown(): that would go on in plain text.
            if sock := self._tls or self.sock:
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def _within(self, seconds: float) -> Iterator[None]:
        """Cut the connection when the time is over; a socket has a limit for each piece only, and pieces may drip."""
        timer = threading.Timer(seconds, self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _notice_silence(sock: socket.socket) -> None:
    """Let TCP itself end a connection on which the other side acknowledges nothing, however long the call may take."""
    seconds = max(1, int(CALL_SECONDS))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, seconds * 1000)


def connected(way: Way, context: ssl.SSLContext, certificate: bytes | None = None) -> ChannelConnection:
    """Return a connection to the first address that answers, with the certificate if one is expected. Raises ChannelError."""
    failure = ChannelError("no_answer", "no address of Central Management is known")
    for address in way.addresses:
        connection = ChannelConnection(address, way, context)
        try:
            connection.connect()
            if certificate is None or connection.certificate() == certificate:
                return connection
            raise ssl.SSLCertVerificationError
        except ssl.SSLCertVerificationError:
            failure = ChannelError("pin_mismatch", f"what answers at {address} does not hold the key of Central Management")
        except OSError as error:
            if failure.code == "no_answer":
                failure = ChannelError("no_answer", f"{address}: {_reason(error)}")
        connection.close()
    raise failure


def _content(answer: http.client.HTTPResponse) -> bytes:
    """Read an answer, bounded before and after it is unpacked. Raises ChannelError."""
    unpack = zlib.decompressobj(31) if answer.headers.get("content-encoding") == "gzip" else None
    data, taken = bytearray(), 0
    try:
        while piece := answer.read(_CHUNK):
            taken += len(piece)
            data += unpack.decompress(piece, ANSWER_LIMIT + 1 - len(data)) if unpack else piece
            if max(taken, len(data)) > ANSWER_LIMIT:
                raise ChannelError("bad_answer", f"the answer has more than {ANSWER_LIMIT} bytes")
    except zlib.error as error:
        raise ChannelError("bad_answer", "the answer can't be unpacked") from error
    if answer.length or (unpack and not unpack.eof):  # read() takes an early end for the end
        raise http.client.IncompleteRead(bytes(8), answer.length)
    return bytes(data)


def _refusal(status: int, content: bytes) -> ChannelError:
    try:
        given = msgspec.json.decode(content, type=dict[str, str])
    except (msgspec.DecodeError, RecursionError):
        given = {}
    code = given.get("code") or _CODES.get(status) or ("no_answer" if status >= 500 else "bad_answer")  # noqa: PLR2004 - HTTP's
    return ChannelError(plain(code, 64), plain(f"Central Management answers {status} {given.get('message', '')}", 256))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__)[:256]
