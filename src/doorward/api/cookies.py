"""The one cookie, in the spelling that real clients can read (protocol, section 7.2)."""

from __future__ import annotations

from doorward.listening.http.fields import http_date

NAME = "session_id"


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
