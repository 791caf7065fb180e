"""A client that shows the bytes, and a look at what every answer of the API must be like."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPResponse
from typing import Any, Self

from tests.support.server import PASSWORD, Server
from tests.support.waiting import PATIENCE

NTP = "/api/configuration/datetime/ntp_servers"
ZONE = "/api/configuration/datetime/timezone"
WEB = "/api/configuration/management/webinterface"
ACCOUNTING = "/api/configuration/management/accounting"
USERS = "/api/configuration/aaa/local_database/users"
GROUPS = "/api/configuration/aaa/local_database/groups"
PASSWORDS = "/api/configuration/passwords"
TRANSACTION = "/api/transaction"
LOGIN = "/api/authentication"
WHOLE = range(590, 601)
"""Seconds that a login session has left which a request has just extended: the request itself may take some of them."""

BEFORE_THE_PATH = {400, 401, 404, 411, 413, 417, 429, 503}
"""Statuses that can be answered before the path is resolved; a 400 and a 503 can also come later."""
USUAL_NAMES = {
    "Accept-Ranges", "Allow", "Cache-Control", "Connection", "Content-Disposition", "Content-Language", "Content-Length",
    "Content-Range", "Content-Security-Policy", "Content-Type", "Date",
    "ETag", "Idempotency-Replayed", "Location", "Preference-Applied", "Retry-After", "Set-Cookie", "Transfer-Encoding",
    "WWW-Authenticate", "X-Accel-Buffering",
    "X-Content-Type-Options", "X-Request-Id",
}  # fmt: skip
"""Header fields of answers, as everybody writes them."""
STREAMED = {"application/x-asciicast", "text/event-stream"}
"""Media types of answers whose length nobody knows beforehand."""
NEVER_ALLOW = {401, 404, 411, 413, 417, 429}

_UNSENT: Any = object()


@dataclass(frozen=True)
class Reply:
    """One answer, byte for byte."""

    method: str
    status: int
    reason: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The one value of a header field that must be there once."""
        (value,) = self.all(name)
        return value

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def meta(self) -> Any:
        return self.json["meta"]

    @property
    def codes(self) -> list[tuple[str, str]]:
        """Code and pointer of every problem of an InvalidRequestBody or SemanticError."""
        return [(problem["code"], problem["pointer"]) for problem in self.error["details"]["errors"]]

    def is_error(self, status: int, kind: str, **details: Any) -> Self:
        """Assert which error this is, and with which details, if any are given."""
        assert (self.status, self.error["type"]) == (status, kind), self.body
        for name, value in details.items():
            assert self.error["details"].get(name) == value, self.body
        return self

    def refuses(self, kind: str, *codes: tuple[str, str]) -> Self:
        """Assert a 400 with exactly these (code, pointer) pairs, in this order."""
        self.is_error(400, kind)
        assert self.codes == list(codes), self.body
        return self

    def ok(self, status: int = 200) -> Self:
        assert self.status == status, self.body
        return self


def canonical(value: Any) -> bytes:
    """JSON as the wire has it: UTF-8, sorted, no blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def check_shape(reply: Reply) -> None:
    """Assert what holds for every answer of the API, whatever was asked (sections 1, 2, 7 and 10)."""
    assert {name for name, _ in reply.headers} <= USUAL_NAMES
    assert reply.header("Cache-Control") == "no-store"
    assert reply.header("Content-Language") == "en"
    assert reply.header("X-Content-Type-Options") == "nosniff"
    assert re.fullmatch(r"[0-9a-f]{32}", reply.header("X-Request-Id"))
    assert reply.header("Date").endswith(" GMT")
    assert not reply.all("Content-Encoding")
    cookies = reply.all("Set-Cookie")
    assert len(cookies) <= 1
    assert all(cookie.startswith("session_id=") for cookie in cookies)
    if reply.status in NEVER_ALLOW:
        assert not reply.all("Allow"), reply.status
    elif reply.status not in BEFORE_THE_PATH:
        methods = reply.header("Allow").split(", ")
        assert methods == sorted(methods)
        assert "OPTIONS" in methods
    assert bool(reply.all("WWW-Authenticate")) == (reply.status == 401)
    assert bool(reply.all("Retry-After")) == (reply.status in {429, 503})
    if reply.status == 304:
        assert not reply.all("Content-Length")
        assert reply.body == b""
        return
    kind = reply.header("Content-Type")
    if kind in STREAMED or (reply.all("Transfer-Encoding") and reply.all("Content-Disposition")):
        assert reply.method == "HEAD" or reply.header("Transfer-Encoding") == "chunked"
        assert not reply.all("Content-Length")
        return
    length = int(reply.header("Content-Length"))
    if reply.method == "HEAD":
        assert reply.body == b""
        return
    assert length == len(reply.body)
    if kind.startswith("text/plain; version=") or reply.all("Content-Disposition"):  # figures for Prometheus; files
        return
    assert kind == "application/json"
    _check_json(reply)


def _check_json(reply: Reply) -> None:
    value = reply.json
    assert isinstance(value, dict)
    if reply.status >= 400:
        check_error(value)
    elif "openapi" not in value:
        assert reply.body == canonical(value), "not canonical"
        assert {"href", "parent"} <= value["meta"].keys()
    _check_names(value)


def check_error(value: Mapping[str, Any]) -> None:
    """Assert the one shape of errors."""
    assert value.keys() == {"error", "meta"}
    assert value["error"].keys() == {"details", "message", "type"}
    assert isinstance(value["error"]["details"], dict)
    assert re.fullmatch(r"[A-Z][A-Za-z]+", value["error"]["type"])
    assert re.fullmatch(r"[^\n<>]{5,}\.", value["error"]["message"]), value["error"]["message"]
    assert {"href", "parent"} <= value["meta"].keys() <= {"href", "parent", "remaining_seconds"}


def _check_names(value: Any) -> None:
    """Assert that no object holds two names that differ only in case."""
    if isinstance(value, dict):
        folded = [name.casefold() for name in value]
        assert len(set(folded)) == len(folded)
        for member in value.values():
            _check_names(member)
    elif isinstance(value, list):
        for element in value:
            _check_names(element)


class Caller:
    """A client with one connection and one cookie. Sends no header that it was not told, ``Host`` apart."""

    def __init__(self, server: Server, *, address: str = "127.0.0.1", tls: ssl.TLSVersion | None = None) -> None:
        self.server, self._address, self._tls = server, address, tls
        self._socket: ssl.SSLSocket | None = None
        self.connections = 0
        self.cookie = ""

    def connect(self) -> ssl.SSLSocket:
        """Return the connection, a new one where there is none."""
        if self._socket is None:
            context = ssl.create_default_context(cafile=str(self.server.certificate))
            if self._tls is not None:
                context.maximum_version = self._tls
            peer = ("127.0.0.1", self.server.port)
            plain = socket.create_connection(peer, timeout=PATIENCE, source_address=(self._address, 0))
            self._socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
            self.connections += 1
        return self._socket

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def send(self, data: bytes, method: str = "GET") -> Reply:
        """Send bytes as they are and return the answer."""
        connection = self.connect()
        with suppress(BrokenPipeError, ConnectionResetError):  # the server may answer before it has read everything
            connection.sendall(data)
        with HTTPResponse(connection, method=method) as response:
            response.begin()
            body = response.read()
            reply = Reply(method, response.status, response.reason, response.getheaders(), body)
            if response.will_close:
                self.close()
        check_shape(reply)
        for cookie in reply.all("Set-Cookie"):
            self.cookie = cookie.partition(";")[0].partition("=")[2]
        return reply

    def call(
        self,
        method: str,
        target: str,
        value: Any = _UNSENT,
        *,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send a request; ``value`` is sent as JSON, ``content`` as it is. POST and PUT always have a length."""
        given = {"Host": f"127.0.0.1:{self.server.port}"}
        if self.cookie:
            given["Cookie"] = f"session_id={self.cookie}"
        if value is not _UNSENT:
            content = canonical(value)
            given["Content-Type"] = "application/json"
        given |= headers or {}
        if content is None and method in {"POST", "PUT"}:
            content = b""
        if content is not None and not {"Transfer-Encoding", "Content-Length"} & given.keys():
            given["Content-Length"] = str(len(content))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in given.items())]
        head = "".join(line + "\r\n" for line in lines) + "\r\n"
        return self.send(head.encode() + (content or b""), method)

    def get(self, target: str, **options: Any) -> Reply:
        return self.call("GET", target, **options)

    def post(self, target: str, value: Any = _UNSENT, **options: Any) -> Reply:
        return self.call("POST", target, value, **options)

    def put(self, target: str, value: Any = _UNSENT, **options: Any) -> Reply:
        return self.call("PUT", target, value, **options)

    def delete(self, target: str, **options: Any) -> Reply:
        return self.call("DELETE", target, **options)

    def body(self, target: str) -> Any:
        return self.get(target).ok().json["body"]

    def login(self, user: str = "admin", password: str = PASSWORD, target: str = LOGIN) -> Reply:
        return self.get(target, headers={"Authorization": basic(user, password)})

    def status(self) -> str:
        return str(self.body(TRANSACTION)["status"])

    def changes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/api/transaction/changes").ok().json["changes"]
        return found

    def commit(self, message: str | None = None, *, headers: Mapping[str, str] | None = None, **members: Any) -> Reply:
        order = {"status": "commit"} | ({} if message is None else {"commit_message": message}) | members
        return self.put(TRANSACTION, order, headers=headers)


def logged_in(server: Server, user: str = "admin", password: str = PASSWORD, *, address: str = "127.0.0.1") -> Caller:
    """Return a client with a login session of its own."""
    caller = Caller(server, address=address)
    caller.login(user, password).ok()
    return caller


@contextmanager
def resumed(server: Server, cookie: str) -> Iterator[Caller]:
    """Give a client of a login session that exists, and leave it without transaction."""
    caller = Caller(server)
    caller.cookie = cookie
    yield caller
    caller.cookie = cookie
    caller.delete(TRANSACTION)
    caller.close()


def chunked(content: bytes, size: int = 65536) -> bytes:
    """Return a body in chunked coding."""
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def make_user(caller: Caller, name: str, password: str, *groups: str) -> str:
    """Put an account into the caller's transaction, as a member of groups given by key. Returns its key."""
    secret = caller.post(PASSWORDS, {"plain": password}).ok(201).json["key"]
    key = str(caller.post(USERS, {"name": name, "password": secret}).ok(201).json["key"])
    for group in groups:
        body = caller.body(f"{GROUPS}/{group}")
        caller.put(f"{GROUPS}/{group}", {**body, "members": [*body["members"], key]}).ok()
    return key
