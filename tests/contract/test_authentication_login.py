"""Logging in and out, and what ends a login session (section 7)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.wire import LOGIN, NTP, PASSWORDS, USERS, WEB, Caller, basic, logged_in, make_user
from tests.support.server import PASSWORD, Server, running, until

REMOVED = "session_id=; expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; Max-Age=0; Path=/; Secure"
SECRET = "correct horse: battery staple"
REFUSED = {
    "details": {"resource": LOGIN},
    "message": "The credentials were not accepted.",
    "type": "AuthenticationFailure",
}
Login = Callable[..., Caller]


def encoded(credentials: bytes) -> str:
    return b64encode(credentials).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic ",
        "Basic !!!",
        f"Basic {encoded(b'admin')}",
        f"Basic {encoded(b':')}",
        f"Basic {encoded('admin:grün'.encode('latin-1'))}",
        f"Bearer {encoded(PASSWORD.encode())}",
        basic("nobody", PASSWORD),
        basic("admin", PASSWORD + " "),
        basic("a" * 257, PASSWORD),
        basic("admin", "x" * 1025),
    ],
)
def test_all_refused_credentials_are_answered_alike(server: Server, authorization: str, request: pytest.FixtureRequest) -> None:
    number = request.node.callspec.indices["authorization"]
    caller = Caller(server, address=f"127.0.1.{number + 1}")
    answer = caller.get(LOGIN, headers={"Authorization": authorization})
    assert (answer.status, answer.error) == (401, REFUSED)
    assert answer.meta == {"href": LOGIN, "parent": "/api"}
    assert not answer.all("Set-Cookie")
    caller.close()


def test_live_cookie_without_credentials_is_no_new_session(admin: Caller) -> None:
    cookie = admin.cookie
    answer = admin.get(LOGIN).ok()
    assert answer.json == {"meta": {"href": LOGIN, "parent": "/api", "remaining_seconds": 600}}
    assert admin.cookie == cookie


def test_refused_credentials_beside_a_live_cookie_leave_it_alive(server: Server, admin: Caller) -> None:
    stranger = Caller(server, address="127.0.1.101")
    stranger.cookie = admin.cookie
    answer = stranger.login(password="wrong")
    assert (answer.status, answer.error) == (401, REFUSED)
    assert not answer.all("Set-Cookie")
    stranger.get(NTP).ok()
    stranger.close()


@pytest.mark.parametrize("credentials", [True, False])
@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("login_method=nothing", ["login_method"]),
        ("login_method=", ["login_method"]),
        ("type=kerberos", ["type"]),
        ("type=&login_method=x", ["login_method", "type"]),
    ],
)
def test_unknown_method_or_type_is_an_invalid_query(
    anybody: Caller, query: str, parameters: list[str], credentials: bool
) -> None:
    headers = {"Authorization": basic("admin", "wrong")} if credentials else {}
    for _ in range(3):  # never counted as a failed login
        answer = anybody.get(f"{LOGIN}?{query}", headers=headers).is_error(400, "InvalidQuery")
        assert sorted(problem["parameter"] for problem in answer.error["details"]["errors"]) == parameters


@pytest.mark.parametrize("query", ["type=x509", "type=x509&login_method=local"])
def test_login_by_certificate_does_not_look_at_the_password(server: Server, query: str) -> None:
    caller = Caller(server, address="127.0.1.102")
    answer = caller.login(target=f"{LOGIN}?{query}")
    assert (answer.status, answer.error) == (401, REFUSED)
    assert caller.get(f"{LOGIN}?{query}").status == 401
    caller.close()


def test_other_parameters_are_ignored(anybody: Caller) -> None:
    anybody.login(target=f"{LOGIN}?return=//evil.invalid&x=1&return=2").ok()


def test_account_without_password_cannot_log_in(server: Server, admin: Caller) -> None:
    admin.post(USERS, {"name": "locked", "password": None}).ok(201)
    admin.commit().ok()
    caller = Caller(server, address="127.0.1.103")
    for password in ("", "null", "None"):
        assert caller.login("locked", password).error == REFUSED
    caller.close()


def test_logout_takes_cookie_and_transaction_away(login: Login) -> None:
    caller, other = login(), login()
    caller.put(NTP, []).ok()
    cookie = caller.cookie
    answer = caller.delete(LOGIN).ok()
    assert answer.json == {"meta": {"href": LOGIN, "parent": "/api"}}
    assert answer.header("Set-Cookie") == REMOVED
    caller.cookie = cookie
    caller.get(NTP).is_error(401, "Unauthenticated")
    caller.delete(LOGIN).is_error(401, "Unauthenticated")
    other.get(NTP).ok()


def test_logout_needs_a_login(anybody: Caller) -> None:
    anybody.delete(LOGIN).is_error(401, "Unauthenticated")


@pytest.mark.parametrize("cookie", ["", "x", "0" * 40, "A" * 40, "ü", "a" * 8000])
def test_cookie_that_is_no_login_session(anybody: Caller, cookie: str) -> None:
    answer = anybody.get(NTP, headers={"Cookie": f"session_id={cookie}"}).is_error(401, "Unauthenticated")
    assert not answer.all("Set-Cookie")


def used_up(caller: Caller) -> int:
    """Wait for some seconds of a login session to pass, more than a request takes, and return those that are left."""

    def less() -> int:
        answer = caller.get("/api/info").ok()
        assert not answer.all("Set-Cookie")
        left: int = answer.meta["remaining_seconds"]
        return left if left < 598 else 0

    waited: int = until(less)
    return waited


def test_info_shows_what_is_left_and_extends_nothing(login: Login) -> None:
    caller = login()
    left = used_up(caller)
    assert caller.get("/api/info").meta["remaining_seconds"] <= left
    caller.get("/api/setup").ok()
    assert caller.get("/api/info").meta["remaining_seconds"] <= left
    answer = caller.get(NTP).ok()
    assert left < answer.meta["remaining_seconds"] <= 600
    assert f"; Max-Age={answer.meta['remaining_seconds']}; " in answer.header("Set-Cookie")
    assert left < caller.get("/api/info").meta["remaining_seconds"] <= 600


@pytest.mark.parametrize(
    ("status", "kind", "target", "headers"),
    [
        (400, "BadRequest", "/api/%zz", {}),
        (411, "LengthRequired", NTP, {"Content-Length": ""}),
        (413, "BodyTooLarge", NTP, {"Content-Length": "1048577"}),
        (417, "ExpectationFailed", NTP, {"Expect": "a reply"}),
    ],
)
def test_requests_refused_before_the_login_is_looked_for_extend_it(
    login: Login, status: int, kind: str, target: str, headers: dict[str, str]
) -> None:
    caller = login()
    left = used_up(caller)
    sent = {"Host": "localhost", "Cookie": f"session_id={caller.cookie}", "Content-Length": "0"} | headers
    lines = [f"PUT {target} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items() if value), "", ""]
    answer = caller.send("\r\n".join(lines).encode(), "PUT").is_error(status, kind)
    assert left < answer.meta["remaining_seconds"] <= 600
    assert f"; Max-Age={answer.meta['remaining_seconds']}; " in answer.header("Set-Cookie")


def test_info_tells_strangers_less(server: Server, admin: Caller, anybody: Caller) -> None:
    few = anybody.get("/api/info").ok()
    assert few.json["body"].keys() == {"domainname", "hostname", "nickname", "plugin_sdk_version", "support_link"}
    assert few.meta == {"href": "/api/info", "parent": "/api"}
    full = admin.body("/api/info")
    more = {"analytics_enabled", "build_date", "config_hash", "firmware_version", "product", "roles", "version"}
    assert full.keys() == few.json["body"].keys() | more
    assert full["product"].keys() == {"name", "version"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", full["build_date"])
    assert re.fullmatch(r"[0-9a-f]{32}", full["config_hash"])


def test_timeout_counts_for_every_session_from_its_next_request(login: Login) -> None:
    caller, other = login(), login()
    for minutes in (1, 600, 10):
        caller.put(WEB, {"timeout": minutes}).ok()
        assert caller.commit().ok().meta["remaining_seconds"] == minutes * 60
        answer = other.get(NTP).ok()
        assert answer.meta["remaining_seconds"] == minutes * 60
        assert f"; Max-Age={minutes * 60}; " in answer.header("Set-Cookie")


def test_a_session_has_at_most_what_is_left_of_its_hours(login: Login) -> None:
    caller = login()
    caller.put(WEB, {"timeout": 1440}).ok()
    answer = caller.commit().ok()
    assert 43200 - 60 < answer.meta["remaining_seconds"] <= 43200
    caller.put(WEB, {"session_hours": 1, "timeout": 1440}).ok()
    caller.commit().ok()
    answer = caller.get(NTP).ok()
    assert 3600 - 60 < answer.meta["remaining_seconds"] <= 3600
    assert f"; Max-Age={answer.meta['remaining_seconds']}; " in answer.header("Set-Cookie")
    caller.put(WEB, {"session_hours": 168, "timeout": 1440}).ok()
    assert caller.commit().ok().meta["remaining_seconds"] == 86400
    caller.put(WEB, {"timeout": 10}).ok()
    caller.commit().ok()


def test_the_hours_of_a_session_are_shown_only_where_they_are_not_the_usual_ones(login: Login) -> None:
    caller = login()
    plain = caller.get(WEB).ok()
    assert plain.json["body"] == {"timeout": 10}
    other = caller.put(WEB, {"session_hours": 24, "timeout": 10}).ok()
    assert other.json["body"] == {"session_hours": 24, "timeout": 10}
    assert other.header("ETag") != plain.header("ETag")
    assert [(change["path"], change["type"]) for change in caller.changes()] == [(f"{WEB}#session_hours", "create")]
    usual = caller.put(WEB, {"session_hours": 12, "timeout": 10}).ok()
    assert (usual.json["body"], usual.header("ETag")) == ({"timeout": 10}, plain.header("ETag"))
    assert caller.changes() == []
    caller.put(WEB, {"session_hours": 24, "timeout": 10}).ok()
    caller.commit().ok()
    left_out = caller.put(WEB, {"timeout": 10}).ok()
    assert (left_out.json["body"], left_out.header("ETag")) == ({"timeout": 10}, plain.header("ETag"))
    assert [(change["path"], change["type"]) for change in caller.changes()] == [(f"{WEB}#session_hours", "delete")]
    caller.commit().ok()
    for wrong in (0, 169):
        caller.put(WEB, {"session_hours": wrong, "timeout": 10}).refuses("InvalidRequestBody", ("range", "/session_hours"))


def changes_of_an_account(caller: Caller, key: str, change: str) -> None:
    path = f"{USERS}/{key}"
    if change == "removed":
        caller.delete(path).ok()
        return
    body = caller.body(path)
    if change == "renamed":
        body["name"] += "-new"
    elif change == "locked":
        body["password"] = None
    else:
        body["password"] = caller.post(PASSWORDS, {"plain": SECRET[::-1]}).ok(201).json["key"]
    caller.put(path, body).ok()


@pytest.mark.parametrize("change", ["removed", "renamed", "locked", "new password"])
def test_change_of_an_account_ends_its_sessions_at_the_commit(server: Server, admin: Caller, login: Login, change: str) -> None:
    name = "ends-" + change.replace(" ", "-")
    key = make_user(admin, name, SECRET, "-1002")
    bystander = make_user(admin, f"{name}-bystander", SECRET[1:], "-1002")
    admin.commit().ok()
    first, second, unharmed = login(name, SECRET), login(name, SECRET), login(f"{name}-bystander", SECRET[1:])
    first.put(NTP, []).ok()
    changes_of_an_account(admin, key, change)
    first.get(NTP).ok()  # not before the commit
    admin.commit().ok()
    for caller in (first, second):
        answer = caller.get(NTP).is_error(401, "Unauthenticated")
        assert not answer.all("Set-Cookie")
        caller.put(NTP, []).is_error(401, "Unauthenticated")
    unharmed.get(NTP).ok()
    stranger = Caller(server, address="127.0.1.104")
    assert stranger.login(name, SECRET).status == 401
    if change in {"renamed", "new password"}:
        now = (f"{name}-new", SECRET) if change == "renamed" else (name, SECRET[::-1])
        assert login(*now).body("/api/user/info")["name"] == now[0]
    stranger.close()
    admin.delete(f"{USERS}/{bystander}").ok()
    admin.commit().ok()


def test_new_password_of_admin_ends_the_session_that_sets_it(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        caller = logged_in(server)
        secret = caller.post(PASSWORDS, {"plain": SECRET}).ok(201).json["key"]
        caller.put(f"{USERS}/-1", {"name": "admin", "password": secret}).ok()
        answer = caller.commit().ok()
        assert answer.json["body"]["status"] == "closed"
        assert not answer.all("Set-Cookie")
        caller.get(NTP).is_error(401, "Unauthenticated")
        caller.login().is_error(401, "AuthenticationFailure")
        caller.login("admin", SECRET).ok()
        caller.close()
