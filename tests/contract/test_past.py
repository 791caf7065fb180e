"""The configuration as it was, who set what, parts of revisions, and the signed head (trust, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from doorward.store.anchor import Anchor
from tests.contract.wire import GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller

REVISIONS = "/api/revisions"
ACLS = "/api/configuration/aaa/acls"
Login = Callable[..., Caller]


def ip(last: int) -> dict[str, str]:
    return {"selection": "ip", "value": f"127.0.6.{last}"}


def committed(caller: Caller, *puts: tuple[str, Any], message: str | None = None) -> int:
    for path, body in puts:
        caller.put(path, body).ok()
    return int(caller.commit(message).ok().meta["revision"])


def refuses(caller: Caller, target: str, *wrong: tuple[str, str]) -> None:
    reply = caller.get(target).is_error(400, "InvalidQuery")
    assert [(one["code"], one["parameter"]) for one in reply.error["details"]["errors"]] == list(wrong)


@pytest.fixture(scope="module")
def jane() -> dict[str, str]:
    return {"password": "a password of her own"}


@pytest.fixture
def reader(admin: Caller, login: Login, jane: dict[str, str]) -> Caller:
    """Somebody who may read the history, accounts, and nothing else."""
    if "key" not in jane:
        secret = admin.post(PASSWORDS, {"plain": jane["password"]}).ok(201).json["key"]
        jane["key"] = admin.post(USERS, {"name": "jane", "password": secret}).ok(201).json["key"]
        admin.post(GROUPS, {"name": "readers", "members": [jane["key"]]}).ok(201)
        rights = [{"group": "readers", "objects": ["/special/changelog", WEB], "permission": "read"}]
        admin.put(ACLS, [*admin.body(ACLS), *rights]).ok()
        admin.commit().ok()
    return login("jane", jane["password"])


def account(admin: Caller, name: str, group: str, *lines: dict[str, Any]) -> str:
    """Make an account in a group of its own, with these lines of rights; return its password."""
    password = f"a long password of {name}"
    secret = admin.post(PASSWORDS, {"plain": password}).ok(201).json["key"]
    key = admin.post(USERS, {"name": name, "password": secret}).ok(201).json["key"]
    admin.post(GROUPS, {"name": group, "members": [key]}).ok(201)
    admin.put(ACLS, [*admin.body(ACLS), *lines]).ok()
    admin.commit().ok()
    return password


def test_a_resource_is_shown_as_it_was(admin: Caller) -> None:
    first = committed(admin, (WEB, {"timeout": 11}), (NTP, [ip(1)]))
    second = committed(admin, (WEB, {"timeout": 12}))
    admin.put(WEB, {"timeout": 13}).ok()  # an open transaction has no part in it
    answer = admin.get(f"{WEB}?revision={first}").ok()
    assert answer.json["body"] == {"timeout": 11}
    assert answer.meta["revision"] == first
    assert answer.meta["href"] == WEB
    assert answer.meta.keys() - {"revision"} == admin.get(WEB).meta.keys()
    assert admin.body(f"{WEB}?revision={second}") == {"timeout": 12}
    assert admin.get(f"{WEB}?revision={first}", headers={"If-None-Match": answer.header("ETag")}).status == 304
    assert admin.call("HEAD", f"{WEB}?revision={first}").status == 200
    assert "revision" not in admin.get(WEB).meta
    admin.delete("/api/transaction").ok()


def test_a_resource_is_shown_as_it_was_at_a_time(admin: Caller) -> None:
    number = committed(admin, (WEB, {"timeout": 14}))
    time = admin.body(f"{REVISIONS}/{number}")["time"]
    assert admin.get(f"{WEB}?at={time}").ok().meta["revision"] == number
    for spelled in (time.replace("Z", ".75Z"), time.replace("Z", "+00:00"), time.replace("Z", "%2B00:00"), time.lower()):
        assert admin.get(f"{WEB}?at={spelled}").ok().meta["revision"] == number, spelled
    assert admin.get(f"{WEB}?at=2999-01-01T00:00:00-05:00").ok().meta["revision"] == number
    refuses(admin, f"{WEB}?at=2001-01-01T00:00:00Z", ("range", "at"))


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("revision=0", [("range", "revision")]),
        ("revision=x", [("range", "revision")]),
        ("revision=99999999999999999999", [("range", "revision")]),
        ("revision=99999", [("range", "revision")]),
        ("at=yesterday", [("format", "at")]),
        ("at=2026-11-21T10:00:00", [("format", "at")]),
        ("at=2026-13-21T10:00:00Z", [("format", "at")]),
        ("at=0001-01-01T00:00:00%2B14:00", [("format", "at")]),
        ("revision=1&at=2999-01-01T00:00:00Z", [("contradiction", "at")]),
        ("blame=yes&other=1", [("type", "blame"), ("unknown_parameter", "other")]),
    ],
)
def test_what_names_no_revision_is_refused(admin: Caller, query: str, wrong: list[tuple[str, str]]) -> None:
    refuses(admin, f"{WEB}?{query}", *wrong)


def test_writes_take_no_revision(admin: Caller) -> None:
    admin.put(f"{WEB}?revision=1", {"timeout": 10}).is_error(400, "InvalidQuery")
    admin.post(f"{USERS}?at=2999-01-01T00:00:00Z", {"name": "x"}).is_error(400, "InvalidQuery")


def test_objects_and_collections_are_shown_as_they_were(admin: Caller) -> None:
    secret = admin.post(PASSWORDS, {"plain": "a password that is long"}).ok(201).json["key"]
    key = admin.post(USERS, {"name": "here.today", "password": secret}).ok(201).json["key"]
    there = committed(admin)
    admin.delete(f"{USERS}/{key}").ok()
    gone = committed(admin)
    admin.get(f"{USERS}/{key}").is_error(404, "NotFound")
    answer = admin.get(f"{USERS}/{key}?revision={there}").ok()
    assert answer.json["body"]["name"] == "here.today"
    assert answer.json["body"]["password"]["meta"]["href"] == f"{PASSWORDS}/{secret}"
    assert answer.meta["last"] == f"{USERS}/{key}"
    assert key in [item["key"] for item in admin.get(f"{USERS}?revision={there}").ok().json["items"]]
    assert key not in [item["key"] for item in admin.get(f"{USERS}?revision={gone}").ok().json["items"]]
    admin.get(f"{USERS}/{key}?revision={gone}").is_error(404, "NotFound", resource=key)
    owner = admin.body(f"{PASSWORDS}/{secret}?revision={there}")
    assert owner
    admin.get(f"{PASSWORDS}/{secret}?revision=1").is_error(404, "NotFound")
    branch = admin.get("/api/configuration/datetime?revision=1").ok()
    assert branch.json["items"] == admin.get("/api/configuration/datetime").json["items"]


def test_blame_names_who_set_what_and_when(admin: Caller) -> None:
    first = committed(admin, (WEB, {"timeout": 21, "session_hours": 7}))
    second = committed(admin, (WEB, {"timeout": 22, "session_hours": 7}))
    answer = admin.get(f"{WEB}?blame=true").ok()
    assert answer.json["body"] == {"session_hours": 7, "timeout": 22}
    blamed = answer.meta["blame"]
    assert {where: one["revision"] for where, one in blamed.items()} == {"/session_hours": first, "/timeout": second}
    assert {one["author"] for one in blamed.values()} == {"admin"}
    assert blamed["/timeout"]["time"] == admin.body(f"{REVISIONS}/{second}")["time"]
    assert admin.get(f"{WEB}?blame=true&revision={first}").ok().meta["blame"]["/timeout"]["revision"] == first
    assert admin.get(f"{ZONE}?blame=true").ok().meta["blame"][""]["author"] == "doorward"
    assert "blame" not in admin.get(f"{WEB}?blame=false").ok().meta
    refuses(admin, f"{USERS}?blame=true", ("unsuitable", "blame"))
    refuses(admin, "/api/configuration?blame=true", ("unsuitable", "blame"))


def test_revisions_of_a_path_are_those_that_changed_it(admin: Caller) -> None:
    def numbers(path: str, more: str = "") -> list[int]:
        return [int(item["key"]) for item in admin.get(f"{REVISIONS}?path={path}{more}").ok().json["items"]]

    zone = committed(admin, (ZONE, "Asia/Tokyo"))
    web = committed(admin, (WEB, {"timeout": 31}))
    both = committed(admin, (ZONE, "Etc/UTC"), (WEB, {"timeout": 32}))
    assert numbers(ZONE)[:2] == [both, zone]
    assert numbers("/api/configuration/datetime")[:2] == [both, zone]
    assert numbers(WEB, "&limit=2") == [both, web]
    assert numbers(WEB, f"&limit=1&before={both}") == [web]
    assert numbers("/api/configuration")[:3] == [both, web, zone]
    key = admin.post(USERS, {"name": "with.a.past"}).ok(201).json["key"]
    made = committed(admin)
    assert numbers(f"{USERS}/{key}") == [made]
    assert numbers(f"{USERS}/nobody") == []
    for path in ("", "/api", "/api/configuration/nowhere", f"{WEB}/x", "datetime"):
        refuses(admin, f"{REVISIONS}?path={path}", ("path", "path"))


def test_any_two_revisions_have_a_difference(admin: Caller) -> None:
    first = committed(admin, (WEB, {"timeout": 41}), (NTP, [ip(1)]))
    committed(admin, (WEB, {"timeout": 42}), (NTP, [ip(2)]))
    last = committed(admin, (WEB, {"timeout": 43}), (NTP, [ip(1)]))

    def changes(number: int, since: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = admin.get(f"{REVISIONS}/{number}/changes?since={since}").ok().json["changes"]
        return found

    assert changes(last, first) == [{"new_value": 43, "old_value": 41, "path": f"{WEB}#timeout", "type": "replace"}]
    assert changes(first, last) == [{"new_value": 41, "old_value": 43, "path": f"{WEB}#timeout", "type": "replace"}]
    assert changes(last, last) == []
    assert changes(last, last - 1) == admin.get(f"{REVISIONS}/{last}/changes").json["changes"]
    for since in ("0", "x", str(last + 1)):
        refuses(admin, f"{REVISIONS}/{last}/changes?since={since}", ("range", "since"))


def test_a_part_of_a_revision_can_be_restored(admin: Caller) -> None:
    then = committed(admin, (WEB, {"timeout": 51}), (NTP, [ip(1)]), (ZONE, "Asia/Tokyo"))
    committed(admin, (WEB, {"timeout": 52}), (NTP, [ip(2)]), (ZONE, "Etc/UTC"))
    admin.post(f"{REVISIONS}/{then}/restore", {"paths": ["/api/configuration/datetime/"]}).ok()
    assert [change["path"] for change in admin.changes()] == [NTP, ZONE]
    admin.commit().ok()
    assert (admin.body(ZONE), admin.body(WEB)) == ("Asia/Tokyo", {"timeout": 52})


def test_who_may_write_a_part_may_restore_it(admin: Caller, login: Login) -> None:
    may_write = {"group": "keepers", "objects": ["/special/changelog", NTP, ZONE], "permission": "write"}
    pat = login("pat", account(admin, "pat", "keepers", may_write))
    then = committed(admin, (WEB, {"timeout": 51}), (NTP, [ip(3)]), (ZONE, "Asia/Tokyo"))
    committed(admin, (WEB, {"timeout": 52}), (NTP, [ip(4)]), (ZONE, "Etc/UTC"))
    pat.post(f"{REVISIONS}/{then}/restore", {"paths": ["/api/configuration/datetime", ZONE]}).ok()
    assert [change["path"] for change in pat.changes()] == [NTP, ZONE]
    pat.commit().ok()
    assert (admin.body(ZONE), admin.body(NTP), admin.body(WEB)) == ("Asia/Tokyo", [ip(3)], {"timeout": 52})
    pat.post(f"{REVISIONS}/{then}/restore", {"paths": [WEB]}).is_error(403, "Unauthorized", paths=[], hidden={"paths": 1})
    pat.post(f"{REVISIONS}/{then}/restore").is_error(403, "Unauthorized", resource=f"{REVISIONS}/{then}/restore")
    assert pat.status() == "closed"


def test_a_restore_of_more_than_one_may_write_changes_nothing(admin: Caller, login: Login) -> None:
    lines = [
        {"group": "zoners", "objects": [ZONE], "permission": "write"},
        {"group": "zoners", "objects": ["/special/changelog", NTP], "permission": "read"},
    ]
    sue = login("sue", account(admin, "sue", "zoners", *lines))
    then = committed(admin, (WEB, {"timeout": 53}), (NTP, [ip(5)]), (ZONE, "Asia/Tokyo"))
    committed(admin, (WEB, {"timeout": 54}), (NTP, [ip(6)]), (ZONE, "Etc/UTC"))
    sue.put(ZONE, "Europe/Vienna").ok()
    order = {"paths": ["/api/configuration/datetime", WEB]}
    sue.post(f"{REVISIONS}/{then}/restore", order).is_error(403, "Unauthorized", paths=[NTP], hidden={"paths": 1})
    assert [change["new_value"] for change in sue.changes()] == ["Europe/Vienna"]
    sue.delete(TRANSACTION).ok()


def test_an_old_password_comes_back_with_every_right_alone(admin: Caller, login: Login) -> None:
    may_write = {"group": "hirers", "objects": ["/special/changelog", "/special/auth"], "permission": "write"}
    ida = login("ida", account(admin, "ida", "hirers", may_write))
    account(admin, "ron", "leavers")
    [key] = [item["key"] for item in admin.get(USERS).json["items"] if item["body"]["name"] == "ron"]
    old = admin.body(f"{USERS}/{key}")["password"]["key"]
    then = int(admin.get(f"{REVISIONS}?limit=1").json["items"][0]["key"])
    admin.put(f"{USERS}/{key}", {"name": "ron", "password": None}).ok()
    committed(admin)
    ida.post(f"{REVISIONS}/{then}/restore", {"paths": [f"{USERS}/{key}"]}).is_error(
        403, "Unauthorized", paths=[f"{PASSWORDS}/{old}"]
    )
    admin.post(f"{REVISIONS}/{then}/restore", {"paths": [f"{USERS}/{key}"]}).ok()
    admin.commit().ok()
    assert admin.body(f"{USERS}/{key}")["password"]["key"] == old


def test_paths_of_a_restore_are_of_the_configuration(admin: Caller) -> None:
    paths = [WEB, "/api/cluster/nodes", "/api/configuration/nowhere", 7, "/api/configuration"]
    admin.post(f"{REVISIONS}/1/restore", {"paths": paths}).refuses("InvalidRequestBody", ("type", "/paths/3"))
    paths.pop(3)
    admin.post(f"{REVISIONS}/1/restore", {"paths": paths}).refuses(
        "InvalidRequestBody", ("path", "/paths/1"), ("path", "/paths/2")
    )
    assert admin.status() == "closed"


def test_the_head_is_signed(admin: Caller) -> None:
    number = committed(admin, (WEB, {"timeout": 61}))
    body = admin.body(f"{REVISIONS}/head")
    assert body.keys() == {"hash", "number", "public_key", "signature", "time"}
    assert body["number"] == number
    assert body["hash"] == admin.body(f"{REVISIONS}/{number}")["hash"]
    assert Anchor(**body).is_genuine


def test_the_past_is_read_by_the_rights_of_now(admin: Caller, reader: Caller) -> None:
    number = committed(admin, (WEB, {"timeout": 71}), (ZONE, "Asia/Tokyo"))
    assert reader.body(f"{WEB}?revision={number}") == {"timeout": 71}
    assert reader.get(f"{WEB}?blame=true").ok().meta["blame"]
    reader.get(f"{ZONE}?revision={number}").is_error(403, "Unauthorized")
    reader.get(f"{REVISIONS}?path={ZONE}").is_error(403, "Unauthorized")
    assert [item["key"] for item in reader.get(f"{REVISIONS}?path=/api/configuration&limit=1").ok().json["items"]] == [
        str(number)
    ]
    secret = admin.get(f"{USERS}/-1").json["body"]["password"]["key"]
    admin.get(f"{PASSWORDS}/{secret}?revision={number}").ok()
    reader.get(f"{PASSWORDS}/{secret}?revision={number}").is_error(403, "Unauthorized")


def test_who_may_not_read_the_history_sees_no_past(admin: Caller, login: Login) -> None:
    secret = admin.post(PASSWORDS, {"plain": "a password of his own"}).ok(201).json["key"]
    key = admin.post(USERS, {"name": "joe", "password": secret}).ok(201).json["key"]
    admin.post(GROUPS, {"name": "present", "members": [key]}).ok(201)
    admin.put(ACLS, [*admin.body(ACLS), {"group": "present", "objects": [WEB], "permission": "read"}]).ok()
    admin.commit().ok()
    joe = login("joe", "a password of his own")
    joe.get(WEB).ok()
    for query in ("revision=1", "at=2999-01-01T00:00:00Z", "blame=true"):
        joe.get(f"{WEB}?{query}").is_error(403, "Unauthorized")
