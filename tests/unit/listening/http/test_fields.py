"""The names of header fields, and that nothing breaks out of its line."""

from __future__ import annotations

import pytest

from doorward.listening.http.fields import response_head, usual


@pytest.mark.parametrize(
    "name",
    [b"ETag", b"WWW-Authenticate", b"Set-Cookie", b"X-Request-Id", b"Content-Type", b"X-Content-Type-Options", b"Allow", b"Date"],
)
def test_usual_capitals(name: bytes) -> None:
    assert usual(name.lower()) == usual(name.upper()) == usual(name) == name


def test_a_head() -> None:
    head = response_head(404, [(b"content-length", b"0"), (b"etag", b'"x"')])
    assert head == b'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nETag: "x"\r\n\r\n'


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x", b"a\nb", b"a\0b", b"a\x7fb"])
def test_control_characters_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="location"):
        response_head(303, [(b"location", value)])
