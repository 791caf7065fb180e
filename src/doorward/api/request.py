"""One request as the resources see it, and the answer they give."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any
from urllib.parse import parse_qsl, unquote_to_bytes

from msgspec import Struct

from doorward.access.logins import LoginSession
from doorward.access.rights import Allowed, always
from doorward.access.tokens import token_in
from doorward.api import errors
from doorward.tree.jsontext import MAX_MEMBERS, decode

BODY_LIMIT = 1 << 20
"""Bytes of a JSON body (protocol, section 12)."""

BATCH_LIMIT = 4 << 20
"""Bytes of changes that are sent together with their commit."""

UPLOAD_LIMIT = 64 << 20
"""Bytes of an upload."""

ANONYMOUS_LIMIT = 64 << 10
"""Bytes of a body of whoever is not logged in."""

Receive = Callable[[], Awaitable[Any]]

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


_WAIT_SECONDS = 60


def _nothing_to_check() -> None:
    """Stand for the check of a request that no application has admitted."""


class DisconnectedError(Exception):
    """The client went away before its request was whole."""


class LocalFile(Struct, frozen=True):
    """A file of this machine to be sent piece by piece; ``remove``: it is gone afterwards, whatever became of the answer."""

    path: Path
    remove: bool = False

    def discard(self) -> None:
        """Remove the file if nobody else needs it."""
        if self.remove:
            self.path.unlink(missing_ok=True)


class OpenFile(Struct, frozen=True):
    """A part of a file that is open, to be sent piece by piece; it is closed afterwards. A file that is shorter breaks off."""

    file: IO[bytes]
    start: int
    size: int


class StreamedBody(Struct, frozen=True):
    """A body that is made as it is sent, and whose length nobody knows.

    ``pieces`` ends it; an exception out of it breaks it off, so that the client sees that something is missing. It is closed in
    any case, also where the client goes away. None asks whether the client is still there.
    """

    pieces: AsyncGenerator[bytes | None, None]


@dataclass(slots=True)
class Response:
    """What a resource answers: a JSON object whose ``meta`` still lacks ``remaining_seconds``, ready bytes, a file, a stream."""

    content: dict[str, Any] | bytes | LocalFile | OpenFile | StreamedBody = field(repr=False)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cookie: str | None = field(default=None, repr=False)
    """The value of a cookie to set; "" takes it away; None: the one that came is renewed."""

    @property
    def meta(self) -> dict[str, Any]:
        """``meta`` of an answer that is a JSON object."""
        if not isinstance(self.content, dict):
            raise TypeError("Only a JSON object has meta.")
        found: dict[str, Any] = self.content["meta"]
        return found


@dataclass
class Request:
    """A request whose path could be decoded. ``segments`` are those below ``/``, percent-decoded once, none empty."""

    method: str
    segments: tuple[str, ...]
    scope: Mapping[str, Any] = field(repr=False)
    receive: Receive
    id: str
    login: LoginSession | None = None
    cookie: str = field(default="", repr=False)
    extended: bool = False
    """Whether the request moved the end of the login session."""
    allow: tuple[str, ...] = ()
    check_again: Callable[[], None] = _nothing_to_check
    """Raises 401 or 403 where the login session, or the right, that the request was admitted by is no longer there. The
    application sets it; it is called whenever time may have passed: when the body has arrived, when the turn has come."""
    is_allowed: Allowed = always
    """Whether the account still has the right that the request needs. In any thread, also long after the answer: for work that
    goes on by itself."""

    @cached_property
    def href(self) -> str:
        """The clean path."""
        return _joined(self.segments)

    @property
    def parent(self) -> str | None:
        """The clean path of the parent; None for ``/api`` and for ``/api/configuration``."""
        if len(self.segments) <= 1 or self.segments == ("api", "configuration"):
            return None
        return _joined(self.segments[:-1])

    @cached_property
    def headers(self) -> dict[str, str]:
        """Header fields by lower-case name; the first of a name counts, cookies are joined."""
        found: dict[str, str] = {}
        for name, value in self.scope["headers"]:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            if key == "cookie" and key in found:
                found[key] += "; " + text
            else:
                found.setdefault(key, text)
        return found

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters by name; the first of a name counts."""
        pairs = parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        return dict(reversed(pairs))

    @property
    def address(self) -> str:
        """The address of the TCP peer."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def member(self) -> LoginSession:
        """The login session, where the resource needs one."""
        if self.login is None:
            raise LookupError("Nobody is logged in, and the resource said that it needs no login.")
        return self.login

    @property
    def bearer(self) -> str | None:
        """The token that the request brings in place of a cookie, whether it is good or not."""
        return token_in(self.headers.get("authorization", ""))

    @property
    def strict(self) -> bool:
        """Whether unknown members shall be errors."""
        return "handling=strict" in self._preferences

    @property
    def wait_seconds(self) -> int:
        """How long the client would wait for the end of what goes on (RFC 7240, section 4.3), a minute at most; 0: not at all."""
        texts = [text.removeprefix("wait=") for text in self._preferences if text.startswith("wait=")]
        return next((min(int(text), _WAIT_SECONDS) for text in texts if text.isascii() and text.isdecimal() and len(text) < 7), 0)  # noqa: PLR2004 - more digits than any time has

    @property
    def _preferences(self) -> list[str]:
        return self.headers.get("prefer", "").lower().replace(" ", "").replace(";", ",").split(",")

    async def read(self, limit: int = BODY_LIMIT) -> bytes:
        """Return the whole body. Raises 413 beyond the limit, and what ``check_again`` raises."""
        body = bytearray()
        async for data in self._pieces(limit):
            body += data
        return bytes(body)

    def _limited(self, limit: int) -> int:
        return min(limit, ANONYMOUS_LIMIT) if self.login is None else limit

    async def pieces(self, limit: int) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises 413 beyond the limit, and after the last piece what ``check_again`` raises."""
        release: Callable[[int], None] | None = self.scope.get("release")
        async for data in self._pieces(limit):
            yield data
            if release is not None:
                release(len(data))

    async def _pieces(self, limit: int) -> AsyncIterator[bytes]:
        limit, size, more = self._limited(limit), 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise DisconnectedError
            data: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(data)
            if size > limit:
                raise errors.too_large(limit)
            yield data
        self.check_again()

    async def drain(self, limit: int = UPLOAD_LIMIT) -> None:
        """Read the body to its end and throw it away. Raises 413 beyond the limit."""
        async for _ in self.pieces(limit):
            pass

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[LoginSession]:
        """Wait for the turn of a request that writes in its login session, and give that. Raises what ``check_again`` raises."""
        login = self.member
        async with login.writing:
            if login.ended:
                raise errors.unauthenticated(self.href)
            self.check_again()
            yield login

    def decoded(self, body: bytes) -> Any:
        """Return a body as a JSON value. Raises InvalidBody where it is empty or not JSON."""
        return decode(body, MAX_MEMBERS)

    def check_media_type(self, accepted: tuple[str, ...]) -> None:
        """Raise 415 unless the body is of an accepted media type, or does not say what it is, or is empty."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        empty = self.headers.get("content-length") == "0"
        json = "application/json" in accepted and kind.endswith("+json")
        if kind and not empty and not json and kind not in accepted:
            raise errors.unsupported_media_type(accepted)


def is_named(header: str | None, present: str) -> bool:
    """Whether an If-Match or If-None-Match field names the entity tag."""
    if header is None:
        return False
    return header.strip() == "*" or present in [tag.strip().removeprefix("W/") for tag in header.split(",")]


def _joined(segments: tuple[str, ...]) -> str:
    """Return a path; a slash inside a segment, as in a fingerprint, stays escaped."""
    return "/" + "/".join(segment.replace("/", "%2F") for segment in segments)


@lru_cache(maxsize=256)  # thousands of changes in one request have the same path
def path_segments(raw_path: bytes) -> tuple[str, ...] | None:
    """Return the segments of a raw path, percent-decoded once, empty ones left out; None where it can't be decoded."""
    if _BAD_ESCAPE.search(raw_path):
        return None
    try:
        return tuple(unquote_to_bytes(segment).decode("utf-8") for segment in raw_path.split(b"/") if segment)
    except UnicodeDecodeError:
        return None
