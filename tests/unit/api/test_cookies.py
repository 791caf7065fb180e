"""The one cookie, in the spelling of the contract."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

import pytest

from doorward.api.cookies import cookie_value, removed, renewed
from doorward.listening.http.fields import http_date

NOON = 1_795_255_200  # Sat, 21 Nov 2026 10:00:00 GMT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("session_id=abc", "abc"),
        ("session_id=", ""),
        ("", ""),
        ("other=1", ""),
        ("a=1; session_id=abc; b=2", "abc"),
        ("a=1;session_id=abc", "abc"),
        ("  session_id=abc  ", "abc"),
        ('session_id="abc"', "abc"),
        ("session_id=old; session_id=new", "new"),
        ("Session_ID=abc", ""),
        ("xsession_id=abc", ""),
        ("session_id", ""),
        ("session_id=a=b", "a=b"),
        (";;;=;", ""),
    ],
)
def test_the_value_is_found_among_other_cookies(header: str, value: str) -> None:
    assert cookie_value(header) == value


def test_a_cookie_is_carried_on_in_the_order_that_clients_read() -> None:
    value = "a1f71d030e657634730b9e887cb59a5e56162860"
    assert renewed(value, 600, NOON) == (
        b"session_id=a1f71d030e657634730b9e887cb59a5e56162860; expires=Sat, 21 Nov 2026 10:10:00 GMT; "
        b"HttpOnly; Max-Age=600; Path=/; Secure"
    )


def test_a_cookie_is_taken_away() -> None:
    assert removed() == b"session_id=; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; Secure"


def test_a_date_is_that_of_http_with_two_digits_for_the_day() -> None:
    for seconds in [0, *range(NOON, NOON + 40 * 86400, 33_333), NOON]:
        text = http_date(seconds).decode()
        assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", text)
        assert parsedate_to_datetime(text).timestamp() == seconds
        assert http_date(seconds) == text.encode()
