"""Looking ahead and going back: plan, revisions, restore (section 13)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.wire import ACCOUNTING, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller

POOL = [{"selection": "fqdn", "value": "pool.ntp.org"}]
PLAN = "/api/transaction/plan"
REVISIONS = "/api/revisions"
Login = Callable[..., Caller]


def ip(last: int) -> dict[str, str]:
    return {"selection": "ip", "value": f"127.0.6.{last}"}


def newest(caller: Caller) -> int:
    return int(caller.get(f"{REVISIONS}?limit=1").ok().json["items"][0]["key"])


def test_plan_without_transaction_is_empty(admin: Caller) -> None:
    answer = admin.get(PLAN).ok()
    assert answer.json["key"] == "plan"
    assert answer.json["body"] == {"actions": [], "changes": 0, "conflicts": [], "problems": [], "warnings": []}
    assert admin.status() == "closed"


def test_plan_names_actions_effects_and_changes(admin: Caller) -> None:
    admin.put(NTP, [ip(1)]).ok()
    admin.put(ZONE, "Asia/Tokyo").ok()
    admin.put(WEB, {"timeout": 11}).ok()
    before = admin.body("/api/time_status")
    plan = admin.get(PLAN).ok().json["body"]
    assert plan["changes"] == 3
    assert (plan["conflicts"], plan["problems"]) == ([], [])
    actions = [(action["action"], action["effect"], action["path"]) for action in plan["actions"]]
    assert actions == [
        ("write sources", "none", NTP),
        ("link /etc/localtime", "none", ZONE),
        ("write /etc/timezone", "none", ZONE),
        ("reload chronyd", "reload", NTP),
        ("schedule core_files", "none", "/api/configuration/troubleshooting"),
    ]
    after = admin.body("/api/time_status")
    assert [s["value"] for s in after["sources"]] == [s["value"] for s in before["sources"]], "the host is not touched"
    assert after["timezone"] == before["timezone"]
    assert admin.status() == "open"


def test_plan_shows_the_problems_of_the_commit(admin: Caller) -> None:
    key = admin.post(USERS, {"name": "ADMIN"}).ok(201).json["key"]
    (problem,) = admin.body(PLAN)["problems"]
    assert (problem["code"], problem["path"], problem["pointer"]) == ("duplicate", f"{USERS}/{key}", "/name")
    (refused,) = admin.commit().error["details"]["errors"]
    assert problem == refused


def test_plan_does_not_ask_for_a_message(admin: Caller) -> None:
    admin.put(ACCOUNTING, {"require_commitlog": True}).ok()
    admin.commit().ok()
    admin.put(ACCOUNTING, {"require_commitlog": False}).ok()
    assert admin.body(PLAN)["problems"] == []
    admin.commit().refuses("SemanticError", ("message_required", "/commit_message"))
    admin.commit("not needed any more").ok()


def test_history_begins_with_the_first_start(admin: Caller) -> None:
    answer = admin.get(f"{REVISIONS}/1").ok()
    body = answer.json["body"]
    assert answer.json["key"] == "1"
    assert answer.meta["parent"] == REVISIONS
    assert (body["parent"], body["author"]) == (None, "doorward")
    assert re.fullmatch(r"[0-9a-f]{64}", body["hash"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["time"])
    assert body.keys() == {"address", "author", "changes", "commit_message", "hash", "parent", "time"}


def test_revisions_come_in_pages_newest_first(admin: Caller) -> None:
    for minutes in (11, 12, 13, 10):
        admin.put(WEB, {"timeout": minutes}).ok()
        admin.commit(f"{minutes} minutes").ok()
    last = newest(admin)

    def page(query: str) -> list[int]:
        items = admin.get(f"{REVISIONS}{query}").ok().json["items"]
        assert all(item["meta"] == {"href": f"{REVISIONS}/{item['key']}"} for item in items)
        return [int(item["key"]) for item in items]

    assert page("") == list(range(last, 0, -1))
    assert page("?limit=2") == [last, last - 1]
    assert page(f"?limit=2&before={last - 1}") == [last - 2, last - 3]
    assert page("?before=1") == []
    assert page("?limit=500&before=999999&other=x") == page("")
    first = admin.get(REVISIONS).json["items"][0]
    assert admin.body(f"{REVISIONS}/{last}") == first["body"]
    assert first["body"]["commit_message"] == "10 minutes"
    assert len({item["body"]["hash"] for item in admin.get(REVISIONS).json["items"]}) == last


def test_changes_of_a_revision_are_those_that_were_committed(admin: Caller) -> None:
    admin.put(NTP, [ip(1), ip(2)]).ok()
    admin.post(USERS, {"name": "historic"}).ok(201)
    changes = admin.changes()
    number = admin.commit().ok().meta["revision"]
    answer = admin.get(f"{REVISIONS}/{number}/changes").ok()
    assert answer.json["changes"] == changes
    assert answer.meta["parent"] == f"{REVISIONS}/{number}"
    assert "transaction" not in answer.meta


def test_plan_names_the_login_sessions_that_a_commit_ends(admin: Caller, login: Login) -> None:
    secret = admin.post(PASSWORDS, {"plain": "a password of her own"}).ok(201).json["key"]
    path = admin.post(USERS, {"name": "leaving", "password": secret}).ok(201).header("Location")
    admin.commit().ok()
    callers = [login("leaving", "a password of her own") for _ in range(2)]
    admin.put(path, {"name": "leaving", "password": secret}).ok()
    assert admin.get(PLAN).ok().json["body"]["actions"] == []
    admin.delete(path).ok()
    action = {"action": "end 2 login sessions of leaving", "effect": "sessions_drop", "path": path}
    assert admin.get(PLAN).ok().json["body"]["actions"] == [action]
    for caller in callers:
        caller.get(TRANSACTION).ok()
    admin.commit().ok()
    for caller in callers:
        caller.get(TRANSACTION).is_error(401, "Unauthenticated")
    admin.post(USERS, {"name": "new"}).ok(201)
    assert admin.get(PLAN).ok().json["body"]["actions"] == []


def test_restore_brings_back_what_was_and_a_commit_makes_it_real(admin: Caller) -> None:
    admin.put(NTP, POOL).ok()
    admin.put(WEB, {"timeout": 10}).ok()
    admin.commit().ok()
    then = newest(admin)
    admin.put(NTP, [ip(7)]).ok()
    admin.commit().ok()
    admin.put(WEB, {"timeout": 20}).ok()
    key = admin.post(USERS, {"name": "made-later"}).ok(201).json["key"]
    admin.commit().ok()
    answer = admin.post(f"{REVISIONS}/{then}/restore").ok()
    assert answer.json["body"]["status"] == "open"
    assert answer.json["transaction"] == {"status": "open"}
    kinds: list[tuple[Any, Any]] = [(change["type"], change["path"]) for change in admin.changes()]
    assert kinds == [("delete", f"{USERS}/{key}"), ("replace", NTP), ("replace", f"{WEB}#timeout")]
    assert admin.body(NTP) == POOL
    number = admin.commit("back").ok().meta["revision"]
    assert number == newest(admin)
    assert (admin.body(NTP), admin.body(WEB)) == (POOL, {"timeout": 10})
    admin.get(f"{USERS}/{key}").is_error(404, "NotFound")
    sources = [source["value"] for source in admin.body("/api/time_status")["sources"]]
    assert sources == ["pool.ntp.org"], "in effect on the host"


def test_restore_takes_back_what_others_committed_since_the_transaction_began(admin: Caller, login: Login) -> None:
    other = login()
    admin.put(WEB, {"timeout": 10}).ok()
    then = admin.commit().ok().meta["revision"]
    admin.put(NTP, [ip(8)]).ok()
    other.put(WEB, {"timeout": 20}).ok()
    other.commit().ok()
    admin.post(f"{REVISIONS}/{then}/restore").ok()
    assert [change["path"] for change in admin.changes()] == [NTP, f"{WEB}#timeout"]
    admin.commit("back").ok()
    assert (admin.body(NTP), admin.body(WEB)) == ([ip(8)], {"timeout": 10})


def test_restore_tells_of_places_that_others_changed_too(admin: Caller, login: Login) -> None:
    other = login()
    then = newest(admin)
    admin.put(WEB, {"timeout": 30}).ok()
    other.put(WEB, {"timeout": 40}).ok()
    number = other.commit().ok().meta["revision"]
    answer = admin.post(f"{REVISIONS}/{then}/restore").is_error(409, "Conflict", paths=[f"{WEB}#timeout"])
    assert [conflict["revision"] for conflict in answer.error["details"]["conflicts"]] == [number]
    assert admin.body(WEB) == {"timeout": 30}, "the transaction is as it was"


def test_restore_of_the_running_revision_changes_nothing(admin: Caller) -> None:
    admin.post(f"{REVISIONS}/{newest(admin)}/restore").ok()
    assert admin.changes() == []


def test_restored_account_has_its_password_again(admin: Caller) -> None:
    plain = "once lost and found again"
    secret = admin.post(PASSWORDS, {"plain": plain}).ok(201).json["key"]
    path = admin.post(USERS, {"name": "lazarus", "password": secret}).ok(201).header("Location")
    then = admin.commit().ok().meta["revision"]
    admin.delete(path).ok()
    admin.commit().ok()
    caller = Caller(admin.server, address="127.0.6.200")
    caller.login("lazarus", plain).is_error(401, "AuthenticationFailure")
    admin.post(f"{REVISIONS}/{then}/restore").ok()
    admin.commit().ok()
    caller.login("lazarus", plain).ok()
    assert admin.body(path)["name"] == "lazarus"
    caller.close()


@pytest.mark.parametrize("number", ["0", "99999", "x", "-1", "1.0", "1e3"])
def test_no_such_revision(admin: Caller, number: str) -> None:
    admin.post(f"{REVISIONS}/{number}/restore").is_error(404, "NotFound", resource=number)
    assert admin.body(TRANSACTION)["status"] == "closed"
