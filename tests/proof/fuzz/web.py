"""Requests to a server by plain HTTP: right ones with bodies by chance, and heads that are none."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections import Counter
from random import Random
from typing import Any
from urllib.parse import quote

from tests.proof.fuzz.grammar import TEXTS, garbled, mutated, value, written
from tests.support.server import PASSWORD
from tests.support.waiting import PATIENCE

LEFT_OUT = ("/api/authentication", "/api/live", "/api/user/password", "/api/audit/sessions/follow")
"""What would end the login or lock it, and answers without an end."""
SAMPLES: dict[str, Any] = {
    "/api/transaction": {"status": "open"},
    "/api/transaction/rebase": {"mine": [], "revision": None, "theirs": []},
    "/api/commits": {"changes": [{"body": "Etc/UTC", "method": "PUT", "path": "/api/configuration/datetime/timezone"}]},
    "/api/revisions/{number}/restore": {"paths": ["/api/configuration/datetime"]},
    "/api/user/tokens": {"expires_days": 1, "name": "x", "networks": [], "paths": [], "rights": "read"},
    "/api/cluster/nodes": {"address": "127.0.0.9", "node_id": "0d2a1a52-64a5-4b2f-9c5b-53c8d2f2a111", "psk": "x" * 64},
    "/api/cluster/join_request": {"central_management_address": "127.0.0.9"},
    "/api/ssh-host-keys": {"host": "x", "port": 22, "public_key": "ssh-ed25519 AAAA"},
    "/api/setup": {"administration": {"admin_password": "x"}},
}
TYPES = (
    "application/json",
    "application/octet-stream",
    "text/plain",
    "multipart/form-data; boundary=x",
    "",
    "application/json; charset=x",
)
_EVERY = 200
"""So often a transaction is thrown away."""


class Lost(Exception):
    """The server ended the connection."""


class Line:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._data = b""

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: bytes, *, has_body: bool = True) -> tuple[int, bytes]:
        """Send a request; return status and body. Raises Lost."""
        try:
            self._socket.sendall(request)
            head = self._until(b"\r\n\r\n")
            while (status := int(head[9:12])) == 100:
                head = self._until(b"\r\n\r\n")
            fields = head.lower()
            if not has_body or status in {204, 304}:
                return status, b""
            if b"\r\ntransfer-encoding: chunked" in fields:
                return status, self._chunks()
            if (at := fields.find(b"\r\ncontent-length: ")) < 0:
                raise Lost
            return status, self._take(int(fields[at + 18 : fields.index(b"\r\n", at + 18)]))
        except ConnectionError:
            raise Lost from None

    def garbage(self, data: bytes) -> bytes:
        """Send bytes and no more; return everything that comes back."""
        found = self._data
        try:
            self._socket.sendall(data)
            self._socket.shutdown(socket.SHUT_WR)
            while piece := self._socket.recv(1 << 16):
                found += piece
        except ConnectionError:
            pass
        return found

    def _more(self) -> None:
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise Lost
        self._data += piece

    def _until(self, end: bytes) -> bytes:
        while (at := self._data.find(end)) < 0:
            self._more()
        found, self._data = self._data[: at + len(end)], self._data[at + len(end) :]
        return found

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        found, self._data = self._data[:size], self._data[size:]
        return found

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self._until(b"\r\n"), 16):
            found += self._take(size + 2)[:-2]
        self._take(2)
        return found


class Web:
    """All operations that a server describes. ``feed`` may be called in several threads, each with its chance."""

    def __init__(self, port: int) -> None:
        self.port, self.statuses, self._local = port, Counter[int](), threading.local()
        self.answered = 0
        self.asking: dict[str, bytes] = {}
        """What each thread has sent and not had an answer to."""
        self._log_in()
        _, text = self._line().ask(self._request("GET", "/api/openapi.json", b"", ""))
        described = json.loads(text)["paths"]
        self._operations = [
            (method.upper(), path)
            for path, methods in described.items()
            for method in methods
            if method in {"get", "put", "post", "delete"} and not path.startswith(LEFT_OUT)
        ]
        self._bodies = dict(SAMPLES)
        for method, path in self._operations:
            if method == "GET" and "{" not in path:
                status, text = self._line().ask(self._request("GET", path, b"", ""))
                found = json.loads(text) if status == 200 and text[:1] == b"{" else {}
                self._bodies.setdefault(path, found.get("body"))
                for item in found.get("items", []):
                    self._bodies.setdefault(f"{path}/{{key}}", item.get("body"))
        self._keys = [*TEXTS, "1", "nic1", "head"]

    def feed(self, dice: Random) -> None:
        """Send something. Raises AssertionError where the server failed."""
        self._feed(dice)
        self.answered += 1
        self.asking.pop(threading.current_thread().name, None)

    def _feed(self, dice: Random) -> None:
        if dice.random() < 0.15:
            line = Line(self.port)
            made = self._garbage(dice)
            self.asking[threading.current_thread().name] = made[:3000]
            answer = line.garbage(made)
            line.close()
            assert b"HTTP/1.1 5" not in answer, answer[-2000:]
            return
        count = self._local.count = getattr(self._local, "count", 0) + 1
        method, path = dice.choice(self._operations) if count % _EVERY else ("DELETE", "/api/transaction")
        request, has_body = self._made(dice, method, path)
        self.asking[threading.current_thread().name] = request[:3000]
        try:
            status, text = self._line().ask(request, has_body=has_body)
        except Lost:
            self._local.line.close()
            self._local.line = None
            return
        self.statuses[status] += 1
        assert status < 500, (request[:3000], status, text[:3000])
        if status == 401:
            self._log_in()

    def _made(self, dice: Random, method: str, path: str) -> tuple[bytes, bool]:
        body = b""
        if method in {"PUT", "POST"}:
            sample = self._bodies.get(path)
            found = value(dice) if sample is None else sample
            for _ in range(dice.choice((0, 1, 1, 1, 2, 4))):
                found = mutated(dice, found)
            body = dice.randbytes(dice.choice((0, 1, 100, 70_000))) if dice.random() < 0.03 else written(dice, found)
        for name in [part for part in path.split("/") if part.startswith("{")]:
            path = path.replace(name, quote(dice.choice(self._keys).encode("utf-8", "surrogatepass"), safe=""), 1)
        if dice.random() < 0.1:
            text = quote(dice.choice(TEXTS).encode("utf-8", "surrogatepass"))
            path += f"?{dice.choice(('limit', 'before', 'revision', 'at', 'blame', 'path', 'q', 'x'))}={text}"
        if dice.random() < 0.03:
            method = dice.choice(("HEAD", "OPTIONS", "PATCH", "TRACE", "PUT", "DELETE"))
        media = "application/json" if dice.random() < 0.9 else dice.choice(TYPES)
        return self._request(method, path, body, media, dice), method != "HEAD"

    def _request(self, method: str, path: str, body: bytes, media: str, dice: Random | None = None) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", f"Cookie: session_id={self._cookie}"]
        if media and body:
            lines.append(f"Content-Type: {media}")
        if dice is not None and dice.random() < 0.1:
            lines.append(dice.choice((
                'If-Match: "x"', "If-Match: *", "If-None-Match: *", "Prefer: handling=strict", "X-Background: 1",
                "Idempotency-Key: x",
                "Accept-Encoding: gzip", "Range: bytes=0-", "Accept: text/html", "Prefer: wait=0",
            )))  # fmt: skip
        if body or method in {"PUT", "POST"}:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join((*lines, "", "")).encode() + body

    def _garbage(self, dice: Random) -> bytes:
        method, path = dice.choice(self._operations)
        made = self._made(dice, method, path)[0]
        if dice.random() < 0.2:
            made += self._made(dice, *dice.choice(self._operations))[0]
        return garbled(dice, made)

    def _line(self) -> Line:
        if getattr(self._local, "line", None) is None:
            self._local.line = Line(self.port)
        found: Line = self._local.line
        return found

    def _log_in(self) -> None:
        basic = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        line = Line(self.port)
        line._socket.sendall(f"GET /api/authentication HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n\r\n".encode())
        head = line._until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        self._cookie = head.partition(b"session_id=")[2].partition(b";")[0].decode()
        line.close()
