"""Accounts, groups, rights and login settings, as an administrator meets them (configuration contract, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.wire import GROUPS, LOGIN, NTP, PASSWORDS, TRANSACTION, USERS, ZONE, Caller, logged_in, make_user
from tests.support.server import PASSWORD, QUICK, Server, running, until

ACLS = "/api/configuration/aaa/acls"
SETTINGS = "/api/configuration/aaa/settings"
SECRET = "a long enough password"
LATER = {"DAYS_LATER": "40"}
Login = Callable[..., Caller]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("accounts") / "state", launcher=QUICK, environment=LATER) as server:
        yield server


@pytest.fixture(autouse=True)
def fresh(server: Server) -> Iterator[None]:
    """Everything back to the first revision, except that logins are not slowed down by a test that made them fail."""
    yield
    caller = logged_in(server, address="127.0.0.99")
    caller.post("/api/revisions/1/restore").ok()
    caller.commit("back to the default").ok()
    caller.close()


def line(group: str, *objects: str, permission: str = "read") -> dict[str, Any]:
    return {"group": group, "objects": list(objects), "permission": permission}


def group(caller: Caller, name: str, *members: str) -> str:
    return str(caller.post(GROUPS, {"members": list(members), "name": name}).ok(201).json["key"])


def settings(caller: Caller, **blocks: Any) -> None:
    caller.put(SETTINGS, {name: {"enabled": True} | members for name, members in blocks.items()}).ok()
    caller.commit("login settings").ok()


def give(caller: Caller, user: str, name: str, password: str) -> None:
    """Put a new password into an account."""
    secret = caller.post(PASSWORDS, {"plain": password}).ok(201).json["key"]
    caller.put(f"{USERS}/{user}", {"name": name, "password": secret}).ok()


# Rights


def test_from_nothing_to_a_user_with_rights(admin: Caller, login: Login) -> None:
    jane = make_user(admin, "jane", SECRET)
    group(admin, "clocks", jane)
    rights = [line("clocks", "/api/configuration/datetime", permission="write"), line("clocks", "/special/changelog")]
    admin.post(ACLS, rights).ok(201)
    admin.commit("jane minds the clock").ok()
    caller = login("jane", SECRET)
    assert caller.body("/api/user/info") | {"token": ""} == {
        "acls": rights, "groups": ["clocks"], "login_method": "local", "name": "jane", "token": "",
    }  # fmt: skip
    caller.put(ZONE, "Asia/Tokyo").ok()
    caller.commit("by jane").ok()
    assert caller.get("/api/revisions?limit=1").ok().json["items"][0]["body"]["author"] == "jane"
    path = "/api/configuration/management/webinterface"
    caller.get(path).is_error(403, "Unauthorized", resource=path)
    caller.put(ACLS, []).is_error(403, "Unauthorized", resource=ACLS)


def test_rights_of_all_groups_come_together(admin: Caller, login: Login) -> None:
    jane = make_user(admin, "jane", SECRET, "-1001", "-1009")
    group(admin, "writers", jane)
    admin.post(ACLS, line("writers", NTP, "/special/ssh", permission="write")).ok(201)
    admin.commit("jane is in three groups").ok()
    caller = login("jane", SECRET)
    assert caller.body("/api/user/info")["groups"] == ["basic-view", "ssh-view", "writers"]
    caller.get(ZONE).ok()
    caller.put(ZONE, "Asia/Tokyo").is_error(403, "Unauthorized")
    caller.put(NTP, []).ok()
    caller.put("/api/configuration/ssh/options", {"gssapi": {"enabled": True}}).is_error(400, "SemanticError")
    caller.get("/api/configuration/telnet/options").is_error(403, "Unauthorized")


def test_a_new_list_takes_effect_at_once(admin: Caller, login: Login) -> None:
    make_user(admin, "jane", SECRET, "-1001")
    admin.commit("jane may look").ok()
    jane = login("jane", SECRET)
    jane.get(ZONE).ok()
    admin.put(ACLS, [line("basic-view", "/special/auth")]).ok()
    jane.get(ZONE).ok()
    admin.commit("basic-view is for accounts now").ok()
    jane.get(ZONE).is_error(403, "Unauthorized")
    jane.get(ACLS).ok()
    assert jane.body("/api/user/info")["acls"] == [line("basic-view", "/special/auth")]


def test_membership_takes_effect_at_once(admin: Caller, login: Login) -> None:
    key = make_user(admin, "jane", SECRET)
    admin.commit("jane").ok()
    jane = login("jane", SECRET)
    jane.get(ZONE).is_error(403, "Unauthorized")
    admin.put(f"{GROUPS}/-1001", {"members": [key], "name": "basic-view"}).ok()
    admin.commit("jane may look").ok()
    jane.get(ZONE).ok()
    assert jane.body("/api/user/info")["groups"] == ["basic-view"]


def test_rights_that_go_back_by_themselves_are_gone_for_live_sessions(server: Server, admin: Caller, login: Login) -> None:
    """Also what no account commits takes effect at once: here the return of a commit that nobody confirmed."""
    key = make_user(admin, "jane", SECRET)
    admin.commit("jane").ok()
    jane = login("jane", SECRET)
    admin.put(f"{GROUPS}/-1001", {"members": [key], "name": "basic-view"}).ok()
    admin.commit("jane may look for a while", confirm_seconds=600).ok()
    jane.get(ZONE).ok()
    server.end_trial()
    until(lambda: admin.get("/api/revisions?limit=1").json["items"][0]["body"]["author"] == "doorward", 60)
    jane.get(ZONE).is_error(403, "Unauthorized")


def test_a_rollback_takes_rights_away_at_once(admin: Caller, login: Login) -> None:
    key = make_user(admin, "jane", SECRET)
    before = admin.commit("jane").ok().meta["revision"]
    admin.put(f"{GROUPS}/-1002", {"members": [key], "name": "basic-write"}).ok()
    admin.commit("jane may change the basics").ok()
    jane = login("jane", SECRET)
    jane.put(ZONE, "Asia/Tokyo").ok()
    admin.post(f"/api/revisions/{before}/restore").ok()
    admin.commit("back").ok()
    jane.put(ZONE, "Asia/Tokyo").is_error(403, "Unauthorized")
    jane.get(TRANSACTION).ok()


# What a transaction may still change


def test_what_may_no_longer_be_changed_is_not_committed(admin: Caller, login: Login) -> None:
    key = make_user(admin, "jane", SECRET, "-1002")
    group(admin, "policies", key)
    admin.post(ACLS, line("policies", "/api/configuration/datetime/timezone", permission="write")).ok(201)
    admin.commit("jane").ok()
    jane = login("jane", SECRET)
    jane.put(NTP, []).ok()
    jane.put(ZONE, "Asia/Tokyo").ok()
    admin.put(f"{GROUPS}/-1002", {"members": [], "name": "basic-write"}).ok()
    admin.commit("jane minds the time zone only").ok()
    refused = jane.commit().is_error(403, "Unauthorized", paths=[NTP], resource=TRANSACTION)
    assert refused.error["message"] == "The transaction changes what this account may no longer change."
    assert jane.status() == "open", "nothing is lost in silence"
    assert [change["path"] for change in jane.changes()] == [ZONE], "nor shown to whom it may not be"
    problems = jane.body(f"{TRANSACTION}/plan")["problems"]
    assert [(problem["code"], problem["path"]) for problem in problems] == [("privilege_required", NTP)]
    jane.delete(TRANSACTION).ok()
    jane.put(ZONE, "Asia/Tokyo").ok()
    jane.commit("what is left").ok()


def test_rights_that_come_back_let_the_transaction_go_on(admin: Caller, login: Login) -> None:
    key = make_user(admin, "jane", SECRET, "-1002")
    admin.commit("jane").ok()
    jane = login("jane", SECRET)
    jane.put(ZONE, "Asia/Tokyo").ok()
    admin.put(f"{GROUPS}/-1002", {"members": [], "name": "basic-write"}).ok()
    admin.commit("no longer").ok()
    jane.commit().is_error(403, "Unauthorized", resource=TRANSACTION)
    admin.put(f"{GROUPS}/-1002", {"members": [key], "name": "basic-write"}).ok()
    admin.commit("again").ok()
    jane.commit("late").ok()


def test_what_follows_from_an_allowed_delete_needs_no_right_of_its_own(admin: Caller, login: Login) -> None:
    keeper, other = make_user(admin, "keeper", SECRET), make_user(admin, "other", SECRET, "-1001", "-1009")
    group(admin, "keepers", keeper)
    admin.post(ACLS, line("keepers", USERS, permission="write")).ok(201)
    admin.commit("the keeper minds accounts, not groups").ok()
    caller = login("keeper", SECRET)
    caller.delete(f"{USERS}/{other}").ok()
    caller.commit("and they leave their groups").ok()
    assert admin.body(f"{GROUPS}/-1001")["members"] == []


def test_names_of_groups_are_compared_exactly(admin: Caller, login: Login) -> None:
    jane = make_user(admin, "jane", SECRET)
    group(admin, "Basic-View", jane)
    admin.commit("a group of almost the same name").ok()
    caller = login("jane", SECRET)
    caller.get(ZONE).is_error(403, "Unauthorized")
    assert caller.body("/api/user/info")["acls"] == []


def test_lines_are_written_like_any_list(admin: Caller) -> None:
    present = admin.body(ACLS)
    added = [line("search", "/special/pol"), line("search", NTP, ZONE, permission="write")]
    reply = admin.post(ACLS, added[0]).ok(201)
    assert reply.header("Location") == ACLS
    assert reply.json["body"] == [*present, added[0]]
    assert admin.post(ACLS, added[1:]).ok(201).json["body"] == [*present, *added]
    assert [(change["path"], change["type"]) for change in admin.changes()] == [(ACLS, "replace")]
    admin.put(ACLS, present).ok()
    assert admin.changes() == []


def test_wrong_lines_are_pointed_at_as_they_were_sent(admin: Caller) -> None:
    wrong = line("search", "/special/pol", "/special/everything", permission="all")
    found = [("format", "/objects/1"), ("enum", "/permission")]
    admin.post(ACLS, wrong).refuses("InvalidRequestBody", *found)
    admin.post(ACLS, [line("search", "/special/pol"), wrong]).refuses("InvalidRequestBody", *[(c, f"/1{at}") for c, at in found])
    admin.put(ACLS, [wrong]).refuses("InvalidRequestBody", *[(c, f"/0{at}") for c, at in found])
    admin.post(ACLS, admin.body(ACLS)[0]).refuses("InvalidRequestBody", ("duplicate", ""))
    assert admin.status() == "closed"


def test_a_group_that_does_not_exist_is_refused_at_the_commit(admin: Caller) -> None:
    admin.put(ACLS, [line("search", "/special/pol"), line("nobody", "/special/pol")]).ok()
    reply = admin.commit("for nobody").refuses("SemanticError", ("unknown_reference", "/1/group"))
    assert reply.error["details"]["errors"][0]["path"] == ACLS
    assert admin.status() == "open"
    group(admin, "nobody")
    admin.commit("for nobody, who exists").ok()


def test_a_group_with_rights_cannot_be_deleted(admin: Caller) -> None:
    key = group(admin, "clocks")
    admin.post(ACLS, line("clocks", NTP)).ok(201)
    admin.commit("clocks").ok()
    reply = admin.delete(f"{GROUPS}/{key}").refuses("SemanticError", ("referenced", ""))
    assert reply.error["details"]["errors"] == [
        {"code": "referenced", "message": f"Still used by {ACLS}.", "path": f"{GROUPS}/{key}", "pointer": ""}
    ]
    assert admin.status() == "closed"
    admin.put(f"{GROUPS}/{key}", {"name": "watches"}).ok()
    admin.commit("another name").refuses("SemanticError", ("unknown_reference", "/27/group"))
    admin.put(ACLS, admin.body(ACLS)[:-1]).ok()
    admin.delete(f"{GROUPS}/{key}").ok()
    admin.commit("no clocks").ok()
    admin.get(f"{GROUPS}/{key}").is_error(404, "NotFound")


def test_a_deleted_account_leaves_its_groups(admin: Caller) -> None:
    jane = make_user(admin, "jane", SECRET, "-1001", "-1003")
    admin.commit("jane").ok()
    admin.delete(f"{USERS}/{jane}").ok()
    changed = [change["path"] for change in admin.changes() if change["type"] == "replace"]
    assert changed == [f"{GROUPS}/-1001#members", f"{GROUPS}/-1003#members"]
    admin.commit("no jane").ok()
    assert admin.body(f"{GROUPS}/-1001")["members"] == []


# The last administrator


@pytest.fixture(params=["admin", "jane"])
def somebody(request: pytest.FixtureRequest, admin: Caller, login: Login) -> Caller:
    """Who tries: admin, or an account that may write everything about accounts."""
    make_user(admin, "jane", SECRET, "-1004")
    admin.commit("jane minds the accounts").ok()
    return admin if request.param == "admin" else login("jane", SECRET)


def test_admin_stays(somebody: Caller, login: Login) -> None:
    path = f"{USERS}/-1"
    present = somebody.body(path)
    somebody.delete(path).refuses("SemanticError", ("built_in", ""))
    somebody.put(path, present | {"name": "root"}).refuses("SemanticError", ("built_in", "/name"))
    somebody.put(path, present | {"name": "Admin"}).refuses("SemanticError", ("built_in", "/name"))
    assert somebody.status() == "closed"
    for body in ({"name": "admin", "password": None}, {"name": "admin"}):
        somebody.put(path, body).ok()
        reply = somebody.commit("no password").refuses("SemanticError", ("required_with", "/password"))
        assert reply.error["details"]["errors"][0]["path"] == path
    somebody.delete(TRANSACTION).ok()
    login()


def test_nobody_else_gets_the_name_of_admin(somebody: Caller) -> None:
    key = somebody.post(USERS, {"name": "ADMIN"}).ok(201).json["key"]
    reply = somebody.commit("a second admin").refuses("SemanticError", ("duplicate", "/name"))
    assert reply.error["details"]["errors"][0]["path"] == f"{USERS}/{key}"


@pytest.mark.parametrize("name", ["doorward", "Central-Management", "SYSTEM"])
def test_names_of_the_appliance_itself_are_reserved(somebody: Caller, name: str) -> None:
    somebody.post(USERS, {"name": name}).refuses("SemanticError", ("reserved", "/name"))
    key = somebody.post(USERS, {"name": "doorwarden"}).ok(201).json["key"]
    somebody.put(f"{USERS}/{key}", {"name": name}).refuses("SemanticError", ("reserved", "/name"))


def test_a_new_account_of_a_used_name_inherits_no_commits(admin: Caller, login: Login) -> None:
    first = make_user(admin, "jane", SECRET, "-1002")
    admin.commit("the first jane").ok()
    jane = login("jane", SECRET)
    jane.put(ZONE, "Asia/Tokyo").ok()
    key = {"Idempotency-Key": "mine"}
    done = jane.commit("by the first", headers=key).ok().meta
    assert jane.get("/api/commits/mine").ok().json["key"] == done["commit"].rpartition("/")[2]
    admin.delete(f"{USERS}/{first}").ok()
    admin.commit("gone").ok()
    second = make_user(admin, "jane", SECRET, "-1002")
    admin.commit("the second jane").ok()
    assert first != second
    jane = login("jane", SECRET)
    jane.get("/api/commits/mine").is_error(404, "NotFound")
    jane.get(done["commit"]).is_error(404, "NotFound")
    assert jane.get("/api/commits").ok().json["items"] == []
    jane.put(ZONE, "Europe/Budapest").ok()
    again = jane.commit("by the first", headers=key).ok()
    assert not again.all("Idempotency-Replayed")
    assert again.meta["revision"] > done["revision"]
    assert admin.body(ZONE) == "Europe/Budapest"


def test_a_renamed_account_keeps_its_commits(admin: Caller, login: Login) -> None:
    key = make_user(admin, "jane", SECRET, "-1002")
    admin.commit("jane").ok()
    jane = login("jane", SECRET)
    jane.put(ZONE, "Asia/Tokyo").ok()
    jane.commit(headers={"Idempotency-Key": "mine"}).ok()
    admin.put(f"{USERS}/{key}", {**admin.body(f"{USERS}/{key}"), "name": "joan"}).ok()
    admin.commit("renamed").ok()
    joan = login("joan", SECRET)
    assert joan.get("/api/commits/mine").ok().json["body"]["user"] == "jane"
    assert len(joan.get("/api/commits").ok().json["items"]) == 1


def test_admin_cannot_share_a_password(somebody: Caller, login: Login) -> None:
    jane = next(item for item in somebody.get(USERS).json["items"] if item["body"]["name"] == "jane")
    somebody.put(f"{USERS}/-1", {"name": "admin", "password": jane["body"]["password"]}).ok()
    somebody.commit("as jane").refuses("SemanticError", ("referenced_twice", "/password"))
    login()


def test_admin_needs_no_line(somebody: Caller, login: Login) -> None:
    somebody.put(ACLS, []).ok()
    somebody.commit("nobody may do anything").ok()
    caller = login()
    caller.put(ZONE, "Asia/Tokyo").ok()
    caller.commit("but admin").ok()


def test_no_policy_shuts_admin_out(somebody: Caller, login: Login) -> None:
    policy = {"enabled": True, "expiration_days": 1, "minimum_length": 150, "minimum_classes": 4, "remembered_passwords": 24}
    somebody.put(SETTINGS, {"password_policy": policy}).ok()
    somebody.commit("impossible").ok()
    caller = login()
    caller.put(SETTINGS, {}).ok()
    caller.commit("possible").ok()


# Login settings


def test_guessing_is_stopped_by_the_figures_that_were_committed(admin: Caller, server: Server) -> None:
    settings(admin, bruteforce_protection={"failures": 2, "block_seconds": 50})
    guesser = Caller(server, address="127.0.0.71")
    for _ in range(2):
        guesser.login(password="wrong").is_error(401, "AuthenticationFailure")
    reply = guesser.login().is_error(429, "TooManyRequests")
    assert 1 <= int(reply.header("Retry-After")) <= 50
    settings(admin, bruteforce_protection={"failures": 2, "block_seconds": 1})
    until(lambda: guesser.login().status == 200, what="the shorter block")
    guesser.close()


def test_without_protection_nobody_is_blocked(admin: Caller, server: Server) -> None:
    settings(admin, bruteforce_protection={"failures": 1, "block_seconds": 86400})
    guesser = Caller(server, address="127.0.0.72")
    guesser.login(password="wrong").is_error(401, "AuthenticationFailure")
    guesser.login().is_error(429, "TooManyRequests")
    settings(admin, bruteforce_protection={"enabled": False})
    for _ in range(12):
        guesser.login(password="wrong").is_error(401, "AuthenticationFailure")
    guesser.login().ok()
    guesser.close()


def test_a_weak_password_is_refused_at_the_commit(admin: Caller) -> None:
    settings(admin, password_policy={"minimum_length": 8, "minimum_classes": 4})
    key = make_user(admin, "jane", "7q4wz")
    reply = admin.commit("a weak one").refuses("SemanticError", *[("weak_password", "/password")] * 2)
    assert reply.error["details"]["errors"] == [
        {"code": "weak_password", "message": message, "path": f"{USERS}/{key}", "pointer": "/password"}
        for message in (
            "At least 8 characters are needed.",
            "At least 4 of lower case, upper case, digits and others are needed.",
        )
    ]
    assert b"7q4wz" not in reply.body
    give(admin, key, "jane", "Abc-1234")
    admin.commit("a strong one").ok()


def test_a_password_does_not_come_back(admin: Caller, login: Login) -> None:
    settings(admin, password_policy={"remembered_passwords": 2})
    jane = make_user(admin, "jane", SECRET)
    admin.commit("jane").ok()
    give(admin, jane, "jane", f"{SECRET} 2")
    admin.commit("another one").ok()
    give(admin, jane, "jane", SECRET)
    reply = admin.commit("the first again").refuses("SemanticError", ("weak_password", "/password"))
    assert SECRET.encode() not in reply.body
    give(admin, jane, "jane", f"{SECRET} 3")
    admin.commit("a third one").ok()
    give(admin, jane, "jane", SECRET)
    admin.commit("the first again").ok()
    login("jane", SECRET)


def test_a_commit_that_is_taken_back_brings_the_password_back(admin: Caller, login: Login) -> None:
    settings(admin, password_policy={"remembered_passwords": 24})
    jane = make_user(admin, "jane", SECRET)
    admin.commit("jane").ok()
    revision = admin.get("/api/revisions?limit=1").json["items"][0]["key"]
    give(admin, jane, "jane", f"{SECRET} 2")
    admin.commit("another one").ok()
    admin.post(f"/api/revisions/{revision}/restore").ok()
    admin.commit("as it was").ok()
    login("jane", SECRET)


def test_going_back_to_an_earlier_password_is_told(admin: Caller) -> None:
    jane = make_user(admin, "jane", SECRET)
    before = admin.commit("jane").ok().meta["revision"]
    give(admin, jane, "jane", "another long password")
    admin.commit("a new password").ok()
    answer = admin.post(f"/api/revisions/{before}/restore").ok()
    assert answer.meta["warnings"] == [{
        "code": "other_password", "message": "An earlier password counts afterwards, not the one of now: jane.",
        "path": USERS, "pointer": "",
    }]  # fmt: skip
    assert [found["code"] for found in admin.body(f"{TRANSACTION}/plan")["warnings"]].count("other_password") == 1
    done = admin.commit("back").ok()
    assert [found["code"] for found in done.meta["warnings"]] == ["other_password"]


def test_going_back_without_another_password_is_not_warned_of(admin: Caller) -> None:
    make_user(admin, "jane", SECRET)
    before = admin.commit("jane").ok().meta["revision"]
    admin.put(ZONE, "Asia/Tokyo").ok()
    admin.commit().ok()
    assert "warnings" not in admin.post(f"/api/revisions/{before}/restore").ok().meta


def test_an_expired_password_is_refused_like_a_wrong_one(admin: Caller, login: Login, server: Server) -> None:
    settings(admin, password_policy={"expiration_days": 41})
    jane = make_user(admin, "jane", SECRET)
    admin.commit("jane").ok()
    login("jane", SECRET)
    settings(admin, password_policy={"expiration_days": 40})
    caller = Caller(server)
    wrong, expired = (caller.login("jane", password).is_error(401, "AuthenticationFailure") for password in ("wrong", SECRET))
    assert expired.body == wrong.body
    assert expired.all("WWW-Authenticate") == wrong.all("WWW-Authenticate")
    until(lambda: any("password expired" in entry and "jane" in entry for entry in server.errors), what="the reason in the log")
    login("admin", PASSWORD)
    settings(admin, password_policy={"expiration_days": None})
    caller.login("jane", SECRET).ok()
    caller.close()
    assert admin.body(f"{USERS}/{jane}")["name"] == "jane"


def test_settings_that_are_off_show_nothing_else(admin: Caller) -> None:
    reply = admin.put(SETTINGS, {"password_policy": {"enabled": False, "minimum_length": 3}}).ok()
    assert reply.json["body"]["password_policy"] == {"enabled": False}
    assert [warning["code"] for warning in reply.meta["warnings"]] == ["hidden_member"]
    admin.get(LOGIN).ok()
