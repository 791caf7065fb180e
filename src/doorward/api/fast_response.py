"""The short way for the most frequent request: a logged-in GET of a configuration resource.

A look-up of bytes encoded once for each snapshot; no model is built, no JSON is parsed, no task is started. Everything that is
not plain takes the long way through ``app``, which gives the same answer; a test compares both.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from doorward.access.logins import Logins
from doorward.access.tokens import token_in
from doorward.api.cookies import renewed
from doorward.api.encoding import encoded
from doorward.listening.http.fields import http_date, response_head
from doorward.transaction.candidate import Running
from doorward.tree.nodes import Branch, WriteOnce
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Snapshot

_COOKIE = b"session_id="
_COOKIE_LENGTH = len(_COOKIE) + 40
_LONG_WAY = frozenset({b"if-none-match", b"expect", b"upgrade", b"transfer-encoding", b"content-length", b"x-background"})
_ids = random.SystemRandom().getrandbits(64)


class Ready(NamedTuple):
    """An answer but for what changes from request to request."""

    head: bytes
    before: bytes
    after: bytes
    length: int
    """Bytes of the body without the number of remaining seconds."""


@dataclass(slots=True, eq=False)
class PlainRequest:
    """A request for which an answer may be at hand; kept by a connection as long as its client may send the same bytes again.

    ``fields`` are the header fields that change with time alone, as they were in the second ``now``.
    """

    endpoint: Endpoint
    open_to_all: bool
    cookie: str = field(repr=False)
    now: int = 0
    seconds: int = 0
    fields: bytes = field(default=b"", repr=False)


class FastResponses:
    """Answers what it can answer at once, with the bytes of a whole HTTP/1.1 response."""

    def __init__(self, tree: Tree, running: Callable[[], Running], logins: Logins) -> None:
        self._running, self._logins = running, logins
        self._endpoints = {
            endpoint.path.encode(): (endpoint, isinstance(endpoint.node, Branch))
            for endpoint in tree.configuration
            if not isinstance(endpoint.node, WriteOnce)
        }
        self._random = random.Random(_ids)  # noqa: S311 - ids of requests are no secret
        self.count = 0
        """Answers given; for the metrics."""

    def plain(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> PlainRequest | None:
        """Return what a GET by HTTP/1.1 asks for; None where it must take the long way.

        ``target`` is the request target as it came, ``headers`` the fields with names in lower case.
        """
        found = self._endpoints.get(target)
        if found is None:
            return None
        cookie = b""
        for name, value in headers:
            if name == b"cookie":
                if cookie or len(value) != _COOKIE_LENGTH or not value.startswith(_COOKIE):
                    return None
                cookie = value[len(_COOKIE) :]
            elif (name == b"authorization" and token_in(value.decode("latin-1")) is not None) or name in _LONG_WAY:
                return None
        return PlainRequest(*found, cookie.decode("latin-1")) if cookie else None

    def answer(self, plain: PlainRequest) -> bytes | None:
        """Return the whole response, or None where the request must take the long way."""
        login, endpoint = self._logins.find(plain.cookie), plain.endpoint
        if login is None or not (plain.open_to_all or login.rights.may_read(endpoint.privilege, endpoint.path)):
            return None
        snapshot = login.candidate.snapshot if login.candidate else self._running().snapshot
        ready = snapshot.memo.get(endpoint) or _prepare(snapshot, endpoint)
        now, seconds = int(time.time()), self._logins.remaining(login)
        if plain.now != now or plain.seconds != seconds:
            plain.now, plain.seconds = now, seconds
            plain.fields = b"Date: %b\r\nSet-Cookie: %b\r\n" % (http_date(now), renewed(plain.cookie, seconds, now))
        number = b"%d" % seconds
        self.count += 1
        return b"%bContent-Length: %d\r\n%bX-Request-Id: %032x\r\n\r\n%b%b%b" % (
            ready.head,
            ready.length + len(number),
            plain.fields,
            self._random.getrandbits(128),
            ready.before,
            number,
            ready.after,
        )


def _prepare(snapshot: Snapshot, endpoint: Endpoint) -> Ready:
    resource = encoded(snapshot, endpoint, "")
    fields = [
        (b"allow", ", ".join(endpoint.methods).encode()),
        (b"cache-control", b"no-store"),
        (b"content-language", b"en"),
        (b"content-type", b"application/json"),
        (b"etag", resource.etag.encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    ready = Ready(response_head(200, fields)[:-2], resource.before, resource.after, len(resource.before) + len(resource.after))
    snapshot.memo[endpoint] = ready
    return ready
