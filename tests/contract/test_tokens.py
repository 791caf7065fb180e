"""Tokens in place of logins, and the own password (trust, section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.wire import LOGIN, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller, logged_in, make_user
from tests.support.server import PASSWORD, Server, running, until

Login = Callable[..., Caller]
OWN, ALL, OWN_PASSWORD = "/api/user/tokens", "/api/tokens", "/api/user/password"
ZONES = ("Europe/Budapest", "Europe/Vienna")
FORMER, LATER = "the former password of jane", "the later password of jane"


def token(caller: Caller, **wanted: Any) -> str:
    order = {"name": "of a test", "expires_days": 1, "rights": "own"} | wanted
    return str(caller.post(OWN, order).ok(201).json["body"]["token"])


class Bearer(Caller):
    """A client that brings a token, and no cookie."""

    def __init__(self, server: Server, text: str, *, address: str = "127.0.0.1") -> None:
        super().__init__(server, address=address)
        self.text = text

    def call(self, method: str, target: str, *value: Any, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.text}"} | dict(options.pop("headers", None) or {})
        reply = super().call(method, target, *value, headers=headers, **options)
        assert not reply.all("Set-Cookie"), "a token gets no cookie"
        return reply


@pytest.fixture
def other_zone(admin: Caller) -> str:
    """A time zone that is not set."""
    return next(zone for zone in ZONES if zone != admin.body(ZONE))


def test_a_token_is_shown_once_and_listed_without_it(admin: Caller) -> None:
    answer = admin.post(OWN, {"name": "mine", "expires_days": 3, "rights": "read", "networks": ["10.1.2.3/8", "::1"]}).ok(201)
    body, key = answer.json["body"], answer.json["key"]
    assert answer.header("Location") == f"{OWN}/{key}"
    assert body["token"].startswith("dw_")
    assert len(body["token"]) == 46
    assert body["networks"] == ["10.0.0.0/8", "::1/128"]
    del body["token"]
    assert admin.body(f"{OWN}/{key}") == body
    assert body["last_used"] is None
    for path in (OWN, f"{ALL}?user=ADMIN"):
        assert {"body": body, "key": key} in [
            {k: item[k] for k in ("body", "key")} for item in admin.get(path).ok().json["items"]
        ]
    assert key not in [item["key"] for item in admin.get(f"{ALL}?user=jane").ok().json["items"]]
    admin.delete(f"{ALL}/{key}").ok()
    admin.get(f"{OWN}/{key}").is_error(404, "NotFound")


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("expires_days", 0, "range"),
        ("expires_days", 367, "range"),
        ("rights", "write", "enum"),
        ("name", "", "length"),
        ("paths", ["/configuration"], "format"),
        ("paths", ["/api/../etc"], "format"),
        ("networks", ["10.0.0.0/33"], "format"),
    ],
)
def test_what_no_token_can_be_like_is_refused(admin: Caller, member: str, value: Any, code: str) -> None:
    order = {"name": "x", "expires_days": 1, "rights": "own", member: value}
    answer = admin.post(OWN, order).is_error(400, "InvalidRequestBody")
    assert [found for found, _ in answer.codes] == [code]
    assert answer.codes[0][1].startswith(f"/{member}")


def test_a_token_stands_for_a_login_without_cookie_and_without_x_token(admin: Caller, other_zone: str, server: Server) -> None:
    bearer = Bearer(server, token(admin))
    admin.put(ZONE, other_zone).ok()  # in a transaction that the token has no part in
    browser = {"User-Agent": "Mozilla/5.0"}
    assert bearer.get(LOGIN).ok().meta["remaining_seconds"] > 0
    assert bearer.body("/api/user/info")["name"] == "admin"
    assert bearer.status() == "closed"
    bearer.put(ZONE, "Asia/Tokyo", headers=browser).ok()
    assert (bearer.status(), admin.body(ZONE)) == ("open", other_zone)
    bearer.delete(LOGIN).ok()
    assert bearer.status() == "closed"
    bearer.put(ZONE, "Asia/Tokyo").ok()
    bearer.commit("by a token").ok()
    admin.delete(TRANSACTION).ok()
    assert admin.body(ZONE) == "Asia/Tokyo"
    assert admin.get("/api/revisions?limit=1").json["items"][0]["body"]["author"] == "admin"
    until(lambda: any(item["body"]["last_used"] for item in admin.get(OWN).json["items"]))
    bearer.close()


def test_a_token_beats_a_cookie_and_a_bad_one_is_refused_uncounted(admin: Caller, server: Server) -> None:
    good = token(admin)
    for bad in (good[:-1] + ("a" if good[-1] != "a" else "b"), good[:-1], "dw_", f"{good} "[::-1].strip()[::-1] + "x"):
        for path in (ZONE, "/api/info", LOGIN):
            for _ in range(4):
                answer = admin.get(path, headers={"Authorization": f"Bearer {bad}"}).is_error(401, "Unauthenticated")
                assert answer.header("WWW-Authenticate") == 'Bearer realm="Doorward", error="invalid_token"'
    admin.login().ok()  # nothing was counted: the address is not blocked
    for ignored in ("Bearer something-else", "Basic bm9ib2R5Om5vdGhpbmc="):
        admin.get(ZONE, headers={"Authorization": ignored}).ok()
    with_cookie = Caller(server)
    with_cookie.cookie = good
    with_cookie.get(ZONE).is_error(401, "Unauthenticated")
    with_cookie.close()


def test_a_reading_token_changes_nothing(admin: Caller, server: Server) -> None:
    bearer = Bearer(server, token(admin, rights="read"))
    assert bearer.get("/api/metrics").ok().body.startswith(b"# HELP")
    bearer.get(WEB).ok()
    limits = {"code": "token_limits"}
    bearer.put(ZONE, "Asia/Tokyo").is_error(403, "Unauthorized", **limits)
    bearer.post(TRANSACTION).is_error(403, "Unauthorized", **limits)
    bearer.post("/api/commits", {"changes": []}).is_error(403, "Unauthorized", **limits)
    bearer.delete(f"{USERS}/-1").is_error(403, "Unauthorized", **limits)
    bearer.close()


def test_a_token_for_some_paths_reaches_no_others(admin: Caller, other_zone: str, server: Server) -> None:
    bearer = Bearer(server, token(admin, paths=["/api/configuration/datetime/"]))
    bearer.get(NTP).ok()
    for path in ("/api/configuration", "/api/configuration/datetimes", WEB, "/api/user/info", "/api/revisions"):
        answer = bearer.get(path)
        assert answer.status in {403, 404}, path
    bearer.put(WEB, {}).is_error(403, "Unauthorized", code="token_limits")
    bearer.put(ZONE, other_zone).ok()
    assert [change["path"] for change in bearer.changes()] == [ZONE]
    bearer.commit().ok()
    changes = [
        {"method": "PUT", "path": ZONE, "body": "UTC"},
        {"method": "POST", "path": PASSWORDS, "body": {"plain": "long enough"}},
    ]
    bearer.post("/api/commits", {"changes": changes}).is_error(403, "Unauthorized", change=1)
    bearer.post("/api/commits", {"changes": changes[:1]}).ok()
    assert admin.body(ZONE) == "UTC"
    bearer.close()


def test_a_token_is_good_from_its_networks_alone(admin: Caller, server: Server) -> None:
    text = token(admin, networks=["127.0.0.8/29"])
    here, there = Bearer(server, text, address="127.0.0.9"), Bearer(server, text)
    here.get(ZONE).ok()
    there.get(ZONE).is_error(401, "Unauthenticated")
    here.close()
    there.close()


def test_what_takes_a_person_takes_no_token(admin: Caller, server: Server) -> None:
    bearer = Bearer(server, token(admin))
    key = admin.get(OWN).json["items"][0]["key"]
    for method, path in (
        ("GET", OWN), ("POST", OWN), ("DELETE", f"{OWN}/{key}"), ("GET", ALL), ("DELETE", f"{ALL}/{key}"), ("PUT", OWN_PASSWORD),
        ("POST", "/api/cluster/promote"), ("POST", "/api/cluster/join_request"), ("POST", "/api/cluster/nodes"),
        ("POST", "/api/backup/restores"), ("POST", "/api/revisions/1/restore"),
    ):  # fmt: skip
        bearer.call(method, path, *([{}] if method in {"POST", "PUT"} else [])).is_error(
            403, "Unauthorized", code="takes_a_person"
        )
    bearer.close()


def test_a_removed_token_ends_with_its_transaction(admin: Caller, server: Server) -> None:
    bearer = Bearer(server, token(admin))
    key = admin.get(OWN).json["items"][0]["key"]
    bearer.put(ZONE, "Asia/Tokyo").ok()
    admin.delete(f"{OWN}/{key}").ok()
    bearer.get(ZONE).is_error(401, "Unauthenticated")
    bearer.commit().is_error(401, "Unauthenticated")
    bearer.close()


@pytest.fixture
def jane(admin: Caller, login: Login) -> Caller:
    """A login session of an account that may do nothing, made anew for each test."""
    found = [item["key"] for item in admin.get(USERS).json["items"] if item["body"]["name"] == "jane"]
    for key in found:
        admin.delete(f"{USERS}/{key}").ok()
    make_user(admin, "jane", FORMER)
    admin.commit().ok()
    return login("jane", FORMER)


def test_everybody_changes_the_own_password(admin: Caller, jane: Caller, login: Login, server: Server) -> None:
    second, bearer = login("jane", FORMER), Bearer(server, token(jane))
    bearer.get("/api/user/info").ok()
    admin.put(ZONE, "Asia/Tokyo").ok()  # somebody's open transaction is left alone
    revision = jane.put(OWN_PASSWORD, {"current": FORMER, "new": LATER}).ok().meta["revision"]
    assert admin.status() == "open"
    assert admin.get(f"/api/revisions/{revision}").json["body"]["author"] == "jane"
    jane.get("/api/user/info").ok()
    until(lambda: second.get("/api/user/info").status == 401)
    bearer.get("/api/user/info").is_error(401, "Unauthenticated")
    login("jane", LATER).get("/api/user/info").ok()
    jane.put(OWN_PASSWORD, {"current": LATER, "new": FORMER}).ok()
    jane.get("/api/user/info").ok()
    bearer.close()


def test_bad_changes_of_the_own_password_are_refused(admin: Caller, jane: Caller) -> None:
    jane.put(OWN_PASSWORD, {"current": LATER, "new": LATER}).refuses("SemanticError", ("wrong_password", "/current"))
    jane.put(OWN_PASSWORD, {"current": FORMER}).refuses("InvalidRequestBody", ("missing", "/new"))
    settings = "/api/configuration/aaa/settings"
    before = admin.body(settings)
    policy = {
        "enabled": True,
        "expiration_days": None,
        "minimum_length": 20,
        "minimum_classes": 1,
        "dictionary_check": False,
        "remembered_passwords": 0,
    }
    admin.put(settings, {**before, "password_policy": {**before["password_policy"], **policy}}).ok()
    admin.commit().ok()
    jane.put(OWN_PASSWORD, {"current": FORMER, "new": "short"}).refuses("SemanticError", ("weak_password", "/new"))
    jane.get("/api/user/info").ok()
    admin.put(settings, before).ok()
    admin.commit(confirm_seconds=60).ok()
    jane.put(OWN_PASSWORD, {"current": FORMER, "new": LATER}).is_error(409, "Conflict", user="admin")
    admin.put(TRANSACTION, {"status": "confirm"}).ok()


def test_a_wrong_current_password_counts_as_a_failed_login(jane: Caller, admin: Caller, login: Login) -> None:
    guesser = Caller(jane.server, address="127.0.0.77")
    guesser.cookie = jane.cookie
    answers = [guesser.put(OWN_PASSWORD, {"current": f"guess {n}", "new": LATER}).status for n in range(30)]
    assert answers[0] == 400
    assert answers[-1] == 429
    guesser.close()


def test_tokens_end_with_their_account_and_outlive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("tokens") / "state") as server:
        admin = logged_in(server)
        make_user(admin, "jane", FORMER)
        admin.commit().ok()
        jane = logged_in(server, "jane", FORMER)
        texts = token(admin), token(jane)
        jane.close()
        used = Bearer(server, texts[0])
        used.get(ZONE).ok()
        used.close()
        admin.close()
        server.kill()
        server.start()
        mine, hers = (Bearer(server, text) for text in texts)
        hers.get("/api/user/info").ok()
        mine.put(
            USERS + "/" + next(i["key"] for i in mine.get(USERS).json["items"] if i["body"]["name"] == "jane"),
            {"name": "joan", "password": None},
        )
        mine.commit().ok()
        hers.get("/api/user/info").is_error(401, "Unauthenticated")
        admin = logged_in(server, "admin", PASSWORD)
        assert {item["body"]["user"] for item in admin.get(ALL).json["items"]} == {"admin"}
        for caller in (mine, hers, admin):
            caller.close()
