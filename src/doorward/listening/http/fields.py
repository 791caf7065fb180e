"""Header fields as they go out: in their usual capitals, which clients that compare names byte by byte expect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus

Fields = Iterable[tuple[bytes, bytes]]

_UNLIKE_TITLES = {b"etag": b"ETag", b"www-authenticate": b"WWW-Authenticate"}
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_NAMES = 256
"""Different names that are kept; all come from this program, which knows some thirty."""


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
