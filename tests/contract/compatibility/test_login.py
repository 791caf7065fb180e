"""What real clients need of logging in: numbers 13 to 24 of the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.wire import LOGIN, NTP, USERS, Caller, logged_in, make_user
from tests.support.server import QUICK, Server, running

CHALLENGE = 'Basic realm="Doorward"'


def test_13_without_credentials_there_is_a_challenge(anybody: Caller) -> None:
    assert anybody.get(LOGIN).is_error(401, "Unauthenticated").header("WWW-Authenticate") == CHALLENGE


def test_14_challenged_client_tries_again_with_basic(anybody: Caller) -> None:
    anybody.get(LOGIN).is_error(401, "Unauthenticated")
    assert anybody.login().ok().header("Set-Cookie").startswith("session_id=")


def test_15_basic_sent_at_once_logs_in(anybody: Caller) -> None:
    assert anybody.login().ok().header("Set-Cookie").startswith("session_id=")
    assert anybody.body("/api/user/info")["name"] == "admin"


def test_16_body_of_a_login_is_an_object(anybody: Caller) -> None:
    meta = {"href": LOGIN, "parent": "/api", "remaining_seconds": 600}
    assert anybody.login().ok().json == {"meta": meta}


def test_17_wrong_password_is_told_at_the_first_try(server: Server) -> None:
    caller = Caller(server, address="127.0.0.17")
    answer = caller.login(password="wrong").is_error(401, "AuthenticationFailure")
    assert answer.header("WWW-Authenticate") == CHALLENGE
    assert answer.error["message"]
    assert not answer.all("Set-Cookie")
    caller.close()


@pytest.mark.parametrize("query", ["login_method=local", "type=basic", "type=basic&login_method=local"])
def test_18_built_in_account_logs_in_by_method(anybody: Caller, query: str) -> None:
    anybody.login(target=f"{LOGIN}?{query}").ok()


def test_18_every_listed_method_logs_in_an_account_that_it_covers(anybody: Caller) -> None:
    for method in anybody.get(f"{LOGIN}/login_methods").ok().json["login_methods"]:
        anybody.login(target=f"{LOGIN}?login_method={method['name']}").ok()


def test_19_return_is_no_redirect(anybody: Caller) -> None:
    answer = anybody.login(target=f"{LOGIN}?return=%2Fapi%2Fauthentication&login_method=local").ok()
    assert answer.header("Set-Cookie").startswith("session_id=")
    assert not answer.all("Location")


def test_21_login_methods_need_no_login(anybody: Caller) -> None:
    answer = anybody.get(f"{LOGIN}/login_methods").ok()
    assert answer.json == {
        "login_methods": [{"default": True, "description": "Local accounts", "name": "local", "types": ["basic"]}],
        "meta": {"href": f"{LOGIN}/login_methods", "parent": LOGIN},
    }
    assert not answer.all("Set-Cookie")


def test_22_credentials_are_utf_8(server: Server, admin: Caller) -> None:
    password = "Grüße-aus-Köln-№7"
    make_user(admin, "umlaut", password)
    admin.commit().ok()
    umlaut = logged_in(server, "umlaut", password)
    assert umlaut.body("/api/user/info")["name"] == "umlaut"
    umlaut.close()
    assert [user["body"]["name"] for user in admin.get(USERS).json["items"]] == ["admin", "umlaut"]


def test_23_login_beside_a_live_cookie_leaves_the_first_session_alone(admin: Caller) -> None:
    first = admin.cookie
    admin.put(NTP, []).ok()
    admin.login().ok()
    second = admin.cookie
    assert second != first
    assert admin.body("/api/transaction")["status"] == "closed"
    assert admin.body(NTP) != []
    admin.cookie = first
    assert admin.body("/api/transaction")["status"] == "open"
    assert admin.body(NTP) == []
    admin.cookie = second
    admin.get(NTP).ok()


def test_24_no_client_ever_logs_out(tmp_path: Path) -> None:
    with running(tmp_path / "state", launcher=QUICK) as server:
        first = logged_in(server)
        first.put(NTP, []).ok()
        other = Caller(server)
        cookies = set()
        for _ in range(500):
            other.login().ok()
            cookies.add(other.cookie)
        assert len(cookies) == 500
        assert first.body(NTP) == [], "the transaction of the first login session is there"
        for caller in (first, other):
            caller.close()
