"""Two login sessions change things at the same time (sections 8.5 and 8.6, step 3)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.contract.wire import ACCOUNTING, GROUPS, NTP, TRANSACTION, USERS, WEB, ZONE, Caller, make_user, resumed
from tests.support.server import Server

JANE = "the password of jane"


@pytest.fixture(scope="module")
def janes_cookie(server: Server) -> str:
    admin = Caller(server)
    admin.login().ok()
    make_user(admin, "jane", JANE, "-1002", "-1004")
    admin.commit().ok()
    admin.close()
    caller = Caller(server)
    caller.login("jane", JANE).ok()
    caller.close()
    return caller.cookie


@pytest.fixture
def jane(server: Server, janes_cookie: str) -> Iterator[Caller]:
    """Somebody else."""
    with resumed(server, janes_cookie) as caller:
        yield caller


def ip(last: int) -> dict[str, str]:
    return {"selection": "ip", "value": f"127.0.4.{last}"}


def committed(caller: Caller) -> int:
    return int(caller.commit().ok().meta["revision"])


def test_changes_of_different_places_come_together(admin: Caller, jane: Caller) -> None:
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    admin.put(NTP, [ip(1)]).ok()
    jane.put(ZONE, "Asia/Seoul").ok()
    jane.put(WEB, {"timeout": 12}).ok()
    committed(jane)
    committed(admin)
    assert (admin.body(NTP), admin.body(ZONE), admin.body(WEB)) == ([ip(1)], "Asia/Seoul", {"timeout": 12})


def test_new_objects_of_both_are_kept(admin: Caller, jane: Caller) -> None:
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    mine = admin.post(USERS, {"name": "of-admin"}).ok(201).json["key"]
    theirs = jane.post(USERS, {"name": "of-jane"}).ok(201).json["key"]
    committed(jane)
    committed(admin)
    assert [item["key"] for item in admin.get(USERS).json["items"]][-2:] == [theirs, mine]


def test_members_of_one_object_are_places_of_their_own(admin: Caller, jane: Caller) -> None:
    key = admin.post(GROUPS, {"name": "shared"}).ok(201).json["key"]
    user = admin.post(USERS, {"name": "shared-user"}).ok(201).json["key"]
    committed(admin)
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    admin.put(f"{GROUPS}/{key}", {"name": "renamed", "members": []}).ok()
    jane.put(f"{GROUPS}/{key}", {"name": "shared", "members": [user]}).ok()
    committed(jane)
    committed(admin)
    body = admin.body(f"{GROUPS}/{key}")
    assert (body["name"], [member["key"] for member in body["members"]]) == ("renamed", [user])


_fresh = count(100)


def collide(admin: Caller, jane: Caller) -> tuple[int, list[dict[str, str]], str]:
    """Both change the servers, admin the zone as well; jane is first.

    Returns the number of her revision, her servers and the zone of admin.
    """
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    theirs, zone = [ip(next(_fresh))], "Asia/Amman" if admin.body(ZONE) != "Asia/Amman" else "Asia/Aden"
    admin.put(NTP, [ip(10)]).ok()
    admin.put(ZONE, zone).ok()
    jane.put(NTP, theirs).ok()
    return committed(jane), theirs, zone


def test_collision_tells_who_changed_what_and_loses_nothing(admin: Caller, jane: Caller) -> None:
    number, theirs, zone = collide(admin, jane)
    before = jane.body(ZONE)
    changes = admin.changes()
    answer = admin.commit("mine").is_error(409, "Conflict")
    assert answer.error == {
        "details": {
            "conflicts": [{"author": "jane", "path": NTP, "revision": number, "running_value": theirs}],
            "paths": [NTP],
        },
        "message": "1 place was changed by somebody else meanwhile.",
        "type": "Conflict",
    }
    assert admin.status() == "open"
    assert admin.changes() == changes
    assert (admin.body(NTP), admin.body(ZONE)) == ([ip(10)], zone)
    assert (jane.body(NTP), jane.body(ZONE)) == (theirs, before)
    admin.commit("again").is_error(409, "Conflict")


def test_running_value_settles_a_collision_and_keeps_the_rest(admin: Caller, jane: Caller) -> None:
    _, theirs, zone = collide(admin, jane)
    (conflict,) = admin.commit().is_error(409, "Conflict").error["details"]["conflicts"]
    admin.put(NTP, conflict["running_value"]).ok()
    committed(admin)
    assert (admin.body(NTP), admin.body(ZONE)) == (theirs, zone)


def test_starting_again_settles_a_collision(admin: Caller, jane: Caller) -> None:
    _, theirs, _ = collide(admin, jane)
    admin.commit().is_error(409, "Conflict")
    admin.delete(TRANSACTION).ok()
    assert admin.body(NTP) == theirs
    admin.put(NTP, [ip(30)]).ok()
    committed(admin)


def test_same_value_from_both_is_no_collision(admin: Caller, jane: Caller) -> None:
    for caller in (admin, jane):
        caller.put(NTP, [ip(40)]).ok()
        caller.put(ACCOUNTING, {"require_commitlog": False}).ok()
    number = committed(jane)
    assert committed(admin) == number, "nothing is left to change"


def test_every_collision_is_told_sorted_by_path(admin: Caller, jane: Caller) -> None:
    key = admin.post(GROUPS, {"name": "both"}).ok(201).json["key"]
    committed(admin)
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    minutes = jane.body(WEB)["timeout"]
    for caller, more in ((admin, 1), (jane, 2)):
        caller.put(WEB, {"timeout": minutes + more}).ok()
        caller.put(NTP, [ip(50 + more)]).ok()
        caller.put(f"{GROUPS}/{key}", {"name": f"both-{more}"}).ok()
    number = committed(jane)
    answer = admin.commit().is_error(409, "Conflict")
    expected: list[tuple[str, Any]] = [
        (f"{GROUPS}/{key}#name", "both-2"),
        (NTP, [ip(52)]),
        (f"{WEB}#timeout", minutes + 2),
    ]
    details = answer.error["details"]
    assert details["paths"] == [path for path, _ in expected]
    assert details["conflicts"] == [
        {"author": "jane", "path": path, "revision": number, "running_value": value} for path, value in expected
    ]
    assert answer.error["message"] == "3 places were changed by somebody else meanwhile."


def test_object_deleted_by_one_and_changed_by_the_other_collides(admin: Caller, jane: Caller) -> None:
    keys = [admin.post(USERS, {"name": name}).ok(201).json["key"] for name in ("first-gone", "then-gone")]
    committed(admin)
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    jane.delete(f"{USERS}/{keys[0]}").ok()
    jane.put(f"{USERS}/{keys[1]}", {"name": "kept-by-jane"}).ok()
    committed(jane)
    admin.put(f"{USERS}/{keys[0]}", {"name": "kept-by-admin"}).ok()
    admin.delete(f"{USERS}/{keys[1]}").ok()
    conflicts = admin.commit().is_error(409, "Conflict").error["details"]["conflicts"]
    assert {(found["path"], str(found["running_value"])) for found in conflicts} == {
        (f"{USERS}/{keys[0]}", "None"),
        (f"{USERS}/{keys[1]}", str({"name": "kept-by-jane", "password": None})),
    }


def test_object_deleted_by_both_is_no_collision(admin: Caller, jane: Caller) -> None:
    key = admin.post(USERS, {"name": "twice-gone"}).ok(201).json["key"]
    committed(admin)
    for caller in (admin, jane):
        caller.delete(f"{USERS}/{key}").ok()
    committed(jane)
    committed(admin)
    admin.get(f"{USERS}/{key}").is_error(404, "NotFound")


def test_name_taken_meanwhile_is_a_problem_of_the_merged_whole(admin: Caller, jane: Caller) -> None:
    for caller in (admin, jane):
        caller.post(TRANSACTION).ok()
    key = admin.post(USERS, {"name": "Popular"}).ok(201).json["key"]
    jane.post(USERS, {"name": "popular"}).ok(201)
    committed(jane)
    answer = admin.commit().refuses("SemanticError", ("duplicate", "/name"))
    assert answer.error["details"]["errors"][0]["path"] == f"{USERS}/{key}"
    admin.put(f"{USERS}/{key}", {"name": "unpopular"}).ok()
    committed(admin)


def test_reference_to_what_was_deleted_meanwhile_is_a_problem_too(admin: Caller, jane: Caller) -> None:
    key = admin.post(USERS, {"name": "wanted"}).ok(201).json["key"]
    committed(admin)
    group = admin.post(GROUPS, {"name": "wants", "members": [key]}).ok(201).json["key"]
    jane.delete(f"{USERS}/{key}").ok()
    committed(jane)
    answer = admin.commit().is_error(400, "SemanticError")
    problems = [(p["code"], p["path"], p["pointer"]) for p in answer.error["details"]["errors"]]
    assert problems == [("unknown_reference", f"{GROUPS}/{group}", "/members/0")]


def test_plan_shows_collisions_without_touching_anything(admin: Caller, jane: Caller) -> None:
    _, theirs, _ = collide(admin, jane)
    plan = admin.body("/api/transaction/plan")
    assert (plan["conflicts"], plan["changes"], plan["actions"]) == ([NTP], 2, [])
    assert admin.status() == "open"
    assert jane.body(NTP) == theirs


REBASE = f"{TRANSACTION}/rebase"


def test_rebase_solves_collisions_place_by_place_and_keeps_everything_else(admin: Caller, jane: Caller) -> None:
    gone, changed = (admin.post(USERS, {"name": name}).ok(201).json["key"] for name in ("rebased-gone", "rebased-changed"))
    committed(admin)
    number, _, zone = collide(admin, jane)
    jane.delete(f"{USERS}/{gone}").ok()
    jane.put(f"{USERS}/{changed}", {"name": "as-jane-wants"}).ok()
    number = committed(jane)
    admin.put(f"{USERS}/{gone}", {"name": "kept-by-admin"}).ok()
    admin.delete(f"{USERS}/{changed}").ok()
    added = admin.post(USERS, {"name": "rebased-added"}).ok(201).json["key"]
    conflicts = admin.post(REBASE).is_error(409, "Conflict").error["details"]["conflicts"]
    assert [one["path"] for one in conflicts] == sorted([NTP, f"{USERS}/{gone}", f"{USERS}/{changed}"])
    choices = {"mine": [NTP, f"{USERS}/{gone}"], "theirs": [f"{USERS}/{changed}"], "revision": number}
    admin.post(REBASE, choices).ok()
    assert {change["path"] for change in admin.changes()} == {NTP, ZONE, f"{USERS}/{gone}", f"{USERS}/{added}"}
    committed(admin)
    assert (admin.body(NTP), admin.body(ZONE)) == ([ip(10)], zone)
    assert admin.body(f"{USERS}/{gone}")["name"] == "kept-by-admin"
    assert admin.body(f"{USERS}/{changed}")["name"] == "as-jane-wants"
    admin.put(NTP, [ip(next(_fresh))]).ok()  # others of these tests set what stands there now
    committed(admin)


def test_rebase_asks_again_about_what_changed_after_it_was_looked_at(admin: Caller, jane: Caller) -> None:
    number, _, _ = collide(admin, jane)
    jane.put(NTP, [ip(60)]).ok()
    later = committed(jane)
    changes = admin.changes()
    answer = admin.post(REBASE, {"theirs": [NTP], "revision": number}).is_error(409, "Conflict")
    (conflict,) = answer.error["details"]["conflicts"]
    assert (conflict["revision"], conflict["running_value"]) == (later, [ip(60)])
    assert admin.changes() == changes
    admin.post(REBASE, {"theirs": [NTP], "revision": later}).ok()
    assert [change["path"] for change in admin.changes()] == [ZONE]


def test_rebase_refuses_two_choices_for_a_place_and_needs_a_transaction(admin: Caller) -> None:
    admin.post(REBASE).is_error(409, "Conflict")
    admin.put(NTP, [ip(70)]).ok()
    admin.post(REBASE, {"mine": [NTP], "theirs": [NTP]}).refuses("InvalidRequestBody", ("contradiction", "/theirs/0"))
