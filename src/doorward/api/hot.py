"""The short way for the most frequent request: a logged-in GET of a configuration resource.

A look-up of bytes encoded once for each snapshot; no model is built, no JSON is parsed, no task is started. Everything that is
not plain takes the long way through ``app``, which gives the same answer; a test compares both.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from doorward.access.logins import Logins
from doorward.api.cookies import http_date, renewed
from doorward.api.encoding import encoded
from doorward.transaction.candidate import Running
from doorward.tree.nodes import Branch, WriteOnce
from doorward.tree.registry import Endpoint, Tree
from doorward.tree.snapshot import Snapshot

_COOKIE = b"session_id="
_COOKIE_LENGTH = len(_COOKIE) + 40
_LONG_WAY = frozenset({b"if-none-match", b"expect", b"upgrade", b"transfer-encoding", b"content-length"})
_ids = random.SystemRandom().getrandbits(64)


class Ready(NamedTuple):
    """An answer but for what changes from request to request."""

    head: bytes
    before: bytes
    after: bytes
    length: int
    """Bytes of the body without the number of remaining seconds."""


class HotPath:
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

    def answer(self, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
        """Return the response to a GET by HTTP/1.1, or None where it must take the long way.

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
            elif name in _LONG_WAY:
                return None
        login = self._logins.find(cookie.decode("latin-1")) if cookie else None
        endpoint, open_to_all = found
        if login is None or not (open_to_all or login.rights.may_read(endpoint.privilege, endpoint.path)):
            return None
        snapshot = login.candidate.snapshot if login.candidate else self._running().snapshot
        ready = snapshot.memo.get(endpoint) or _prepare(snapshot, endpoint)
        now, seconds = int(time.time()), self._logins.remaining(login)
        number = b"%d" % seconds
        self.count += 1
        return b"%bcontent-length: %d\r\ndate: %b\r\nset-cookie: %b\r\nx-request-id: %032x\r\n\r\n%b%b%b" % (
            ready.head,
            ready.length + len(number),
            http_date(now),
            renewed(cookie.decode("latin-1"), seconds, now),
            self._random.getrandbits(128),
            ready.before,
            number,
            ready.after,
        )


def _prepare(snapshot: Snapshot, endpoint: Endpoint) -> Ready:
    resource = encoded(snapshot, endpoint, "")
    fields = {
        "allow": ", ".join(endpoint.methods),
        "cache-control": "no-store",
        "content-language": "en",
        "content-type": "application/json",
        "etag": resource.etag,
        "x-content-type-options": "nosniff",
    }
    head = "HTTP/1.1 200 OK\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    ready = Ready(head.encode(), resource.before, resource.after, len(resource.before) + len(resource.after))
    snapshot.memo[endpoint] = ready
    return ready
