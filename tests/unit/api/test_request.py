"""What a request is to the resources: path, header fields, query, body."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.api.errors import ApiError
from doorward.api.request import DisconnectedError, Request, path_segments
from doorward.tree.problems import InvalidBody, Problem


def request(*headers: tuple[str, str], query: str = "", messages: list[dict[str, Any]] | None = None, **scope: Any) -> Request:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    left = list(messages or [])

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    segments = scope.pop("segments", ("api",))
    return Request("GET", segments, {"headers": raw, "query_string": query.encode(), **scope}, receive, "id")


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/", ()),
        (b"", ()),
        (b"/api", ("api",)),
        (b"//api///x//", ("api", "x")),
        (b"/api/", ("api",)),
        (b"/a%20b", ("a b",)),
        (b"/a%2Fb/c", ("a/b", "c")),
        (b"/a%2fb", ("a/b",)),
        (b"/%2561", ("%61",)),
        (b"/%C3%A9", ("\u00e9",)),
        ("/\u00e9".encode(), ("\u00e9",)),
        (b"/a+b", ("a+b",)),
        (b"/a/../b/./c", ("a", "..", "b", ".", "c")),
        (b"/%2e%2e", ("..",)),
        (b"/A/a", ("A", "a")),
        (b"/%00", ("\x00",)),
        (b"/%ff", None),
        (b"/%C3", None),
        (b"/%ED%A0%80", None),
        (b"/\xff", None),
        (b"/a%", None),
        (b"/a%2", None),
        (b"/a%zz", None),
        (b"/%%41", None),
    ],
)
def test_a_path_is_decoded_once_segment_by_segment(raw: bytes, segments: tuple[str, ...] | None) -> None:
    assert path_segments(raw) == segments


@given(st.binary(max_size=60))
def test_any_path_is_decoded_or_refused(raw: bytes) -> None:
    segments = path_segments(raw)
    assert segments is None or all(segment for segment in segments)


@pytest.mark.parametrize(
    ("segments", "href", "parent"),
    [
        (("api", "a/b", "c"), "/api/a%2Fb/c", "/api/a%2Fb"),
        (("api",), "/api", None),
        (("api", "info"), "/api/info", "/api"),
        (("api", "configuration"), "/api/configuration", None),
        (("api", "configuration", "aaa"), "/api/configuration/aaa", "/api/configuration"),
        ((), "/", None),
    ],
)
def test_links_of_a_path(segments: tuple[str, ...], href: str, parent: str | None) -> None:
    made = request(segments=segments)
    assert (made.href, made.parent) == (href, parent)


def test_the_first_field_of_a_name_counts_and_cookies_are_joined() -> None:
    made = request(("X-Token", "a"), ("x-token", "b"), ("Cookie", "a=1"), ("cookie", "session_id=x"), ("Name", "j\xe9"))
    assert made.headers["x-token"] == "a"
    assert made.headers["cookie"] == "a=1; session_id=x"
    assert made.headers["name"] == "j\xe9"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=1&a=2", {"a": "1"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("q=*:*", {"q": "*:*"}),
        ("a=%20x+y", {"a": " x y"}),
        ("a=%ff", {"a": "\ufffd"}),
    ],
)
def test_query_parameters(query: str, found: dict[str, str]) -> None:
    assert request(query=query).query == found


@pytest.mark.parametrize(
    ("prefer", "strict"),
    [
        ("handling=strict", True),
        ("Handling=Strict", True),
        ("respond-async, handling=strict", True),
        ("handling=strict; wait=10", True),
        ("handling = strict", True),
        ("handling=lenient", False),
        ("xhandling=strict", False),
        ("", False),
    ],
)
def test_strict_handling_is_asked_for_by_a_preference(prefer: str, strict: bool) -> None:
    assert request(("Prefer", prefer)).strict is strict


def test_the_address_is_that_of_the_connection() -> None:
    assert request(("X-Forwarded-For", "10.0.0.1"), client=("192.0.2.1", 50000)).address == "192.0.2.1"
    assert request(client=None).address == ""


@pytest.mark.parametrize(
    ("kind", "length", "accepted"),
    [
        ("application/json", "5", True),
        ("application/json; charset=latin1", "5", True),
        ("APPLICATION/JSON", "5", True),
        ("application/merge-patch+json", "5", True),
        ("x/y+json;a=b", "5", True),
        ("", "5", True),
        (None, "5", True),
        ("text/plain", "0", True),
        ("text/plain", "5", False),
        ("application/jsonx", "5", False),
        ("application/x-www-form-urlencoded", "5", False),
        ("text/plain", None, False),
    ],
)
def test_the_media_type_is_json_or_nothing(kind: str | None, length: str | None, accepted: bool) -> None:
    fields = [("Content-Type", kind)] * (kind is not None) + [("Content-Length", length)] * (length is not None)
    made = request(*[(name, value) for name, value in fields if value is not None])
    if accepted:
        made.check_media_type(("application/json",))
    else:
        with pytest.raises(ApiError, match="415"):
            made.check_media_type(("application/json",))


def test_a_body_comes_in_parts() -> None:
    made = request(messages=[part(b"[1,", more=True), part(b"", more=True), part(b"2]")])
    assert asyncio.run(made.read()) == b"[1,2]"


def test_a_body_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert asyncio.run(request(messages=[part(b"x" * 5, more=True), part(b"x" * 5)]).read(10)) == b"x" * 10
    with pytest.raises(ApiError) as caught:
        asyncio.run(request(messages=[part(b"x" * 5, more=True), part(b"x" * 6, more=True)]).read(10))
    assert (caught.value.status, caught.value.details) == (413, {"limit": 10})


def test_a_client_that_goes_away_sends_no_body() -> None:
    for reading in ("read", "drain"):
        made = request(messages=[part(b"x", more=True), {"type": "http.disconnect"}])
        with pytest.raises(DisconnectedError):
            asyncio.run(getattr(made, reading)())


def test_an_upload_is_read_to_its_end_and_thrown_away() -> None:
    left = [part(b"x" * 5, more=True), part(b"x" * 5)]
    asyncio.run(request(messages=left).drain(10))
    with pytest.raises(ApiError, match="413"):
        asyncio.run(request(messages=[part(b"x" * 11)]).drain(10))


def test_a_body_that_is_no_json_is_refused_with_its_problems() -> None:
    assert request().decoded(b'{"a":1}') == {"a": 1}
    with pytest.raises(InvalidBody) as caught:
        request().decoded(b'{"a":1,"a":2}')
    assert list(caught.value.problems) == [Problem("duplicate_member", "Named more than once.", "/a")]
    with pytest.raises(InvalidBody):
        request().decoded(b"")


@pytest.mark.parametrize("kind", ["application/octet-stream", "Multipart/Form-Data; boundary=x", ""])
def test_other_media_types_are_taken_where_they_are_expected(kind: str) -> None:
    request(("Content-Type", kind)).check_media_type(("application/octet-stream", "multipart/form-data"))


@pytest.mark.parametrize("kind", ["application/json", "x/y+json", "text/plain"])
def test_refused_media_type_names_the_accepted_ones(kind: str) -> None:
    accepted = ("application/octet-stream", "multipart/form-data")
    with pytest.raises(ApiError, match="415") as refused:
        request(("Content-Type", kind)).check_media_type(accepted)
    assert refused.value.details == {"accepted": list(accepted)}


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("handling=strict; wait=10", 10),
        ("Wait = 7", 7),
        ("wait=0", 0),
        ("wait=3600", 60),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("wait=", 0),
        ("wait=9999999999999999999", 0),
        ("await=10", 0),
        ("", 0),
    ],
)
def test_how_long_a_client_would_wait(prefer: str, seconds: int) -> None:
    assert request(("Prefer", prefer)).wait_seconds == seconds
