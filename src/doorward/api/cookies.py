"""The one cookie, in the spelling that real clients can read (protocol, section 7.2), and the time in HTTP's form."""

from __future__ import annotations

from email.utils import formatdate

NAME = "session_id"

_stamps: dict[int, bytes] = {}


def http_date(seconds: int) -> bytes:
    """Return a Unix time as an HTTP date."""
    found = _stamps.get(seconds)
    if found is None:
        if len(_stamps) > 64:  # noqa: PLR2004 - a handful is in use at any moment
            _stamps.clear()
        found = _stamps[seconds] = formatdate(seconds, usegmt=True).encode()
    return found


def cookie_value(header: str) -> str:
    """Return the value of the session cookie in a ``Cookie`` header; "" where there is none, the last where there are several."""
    found = ""
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == NAME:
            found = value.strip('" ')
    return found


def renewed(value: str, seconds: int, now: int) -> bytes:
    """Return the ``Set-Cookie`` that carries a login session on for so many seconds from ``now``."""
    expires = http_date(now + seconds)
    return b"session_id=%b; expires=%b; HttpOnly; Max-Age=%d; Path=/; Secure" % (
        value.encode("latin-1"),
        expires,
        seconds,
    )


def removed() -> bytes:
    """Return the ``Set-Cookie`` that takes the cookie away."""
    return b"session_id=; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; Secure"
