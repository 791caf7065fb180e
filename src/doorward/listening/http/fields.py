"""Header fields as they go out: in their usual capitals, which clients that compare names byte by byte expect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

Fields = Iterable[tuple[bytes, bytes]]

_UNLIKE_TITLES = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_NAMES = 256
"""Different names that are kept; all come from this program, which knows some thirty."""


_dates: dict[int, bytes] = {}


def http_date(seconds: int) -> bytes:
    """Return a Unix time as an HTTP date."""
    found = _dates.get(seconds)
    if found is None:
        if len(_dates) > 64:  # noqa: PLR2004 - a handful is in use at any moment
            _dates.clear()
        found = _dates[seconds] = formatdate(seconds, usegmt=True).encode()
    return found


def standing_fields(request_id: str, now: int) -> list[tuple[bytes, bytes]]:
    """Return the header fields that every response carries whose request is known by an id, at a Unix time."""
    return [
        (b"cache-control", b"no-store"),
        (b"content-language", b"en"),
        (b"date", http_date(now)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id.encode()),
    ]


@lru_cache(_MAX_NAMES)
def usual(name: bytes) -> bytes:
    """Return the name of a header field in its usual capitals: ``Content-Type``, ``X-Request-Id``, ``ETag``."""
    return _UNLIKE_TITLES.get(name.lower()) or b"-".join(part.capitalize() for part in name.split(b"-"))


@lru_cache(_MAX_NAMES)
def status_line(status: int) -> bytes:
    """Return the first line of a response."""
    return b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())


def response_head(status: int, fields: Fields) -> bytes:
    """Return status line and header fields of a response. Raises ValueError where a value would break out of its line."""
    lines = [status_line(status)]
    for name, value in fields:
        if _CONTROL.search(value):
            raise ValueError(f"the header field {name!r} holds a control character")
        lines.append(b"%b: %b\r\n" % (usual(name), value))
    lines.append(b"\r\n")
    return b"".join(lines)
