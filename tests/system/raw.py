"""A TLS connection whose bytes a test writes itself."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from http.client import HTTPResponse
from typing import Any, Self

from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE

BASIC = "Authorization: Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


class Raw:
    """A connection to a server."""

    def __init__(self, server: Server, *, version: ssl.TLSVersion | None = None, address: str = "127.0.0.1") -> None:
        context = ssl.create_default_context(cafile=str(server.certificate))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE, source_address=(address, 0))
        try:
            self.socket = context.wrap_socket(plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        """Send a request head of these lines, and a body."""
        self.socket.sendall("".join(f"{line}\r\n" for line in (*lines, "Host: localhost", "")).encode() + body)

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """Read one answer: status, header fields in lower case, body as a JSON value."""
        found = HTTPResponse(self.socket)
        found.fp = _Unbuffered(self.socket)  # type: ignore[assignment]
        found.begin()
        body = found.read()
        return found.status, {name.lower(): value for name, value in found.getheaders()}, json.loads(body)

    def log_in(self) -> str:
        """Log in; the header line with the cookie."""
        self.send("GET /api/authentication HTTP/1.1", BASIC)
        status, fields, _ = self.answer()
        assert status == 200
        return "Cookie: " + fields["set-cookie"].partition(";")[0]

    def ends_though(self, piece: bytes) -> bool:
        """Send a piece, and tell whether the other side has closed."""
        self.socket.settimeout(0.05)
        try:
            self.socket.sendall(piece)
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLEOFError):
            return True

    def closed(self) -> bool:
        """Wait until the other side has closed, which it must do without a word."""
        try:
            return self.socket.recv(1) == b""
        except (ConnectionResetError, ssl.SSLEOFError):
            return True


class _Unbuffered:
    """A file on a socket that never takes more than it is asked for, so that the next answer stays whole."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readline(self, limit: int = -1) -> bytes:
        line = b""
        while not line.endswith(b"\n") and len(line) != limit:
            byte = self._connection.recv(1)
            if not byte:
                break
            line += byte
        return line

    def read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            part = self._connection.recv(size - len(found))
            if not part:
                break
            found += part
        return found

    def close(self) -> None:
        """The connection stays."""

    def flush(self) -> None:
        """Nothing is kept back."""
