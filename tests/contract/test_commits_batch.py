"""``POST /api/commits``: changes and their commit in one request, all of it or nothing (extension)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.wire import (
    ACCOUNTING,
    GROUPS,
    LOGIN,
    NTP,
    PASSWORDS,
    TRANSACTION,
    USERS,
    WEB,
    ZONE,
    Caller,
    Reply,
    logged_in,
    make_user,
    resumed,
)  # fmt: skip
from tests.support.server import Server

Login = Callable[..., Caller]
COMMITS = "/api/commits"
POLICIES = "/api/configuration/policies/backup_policies"
SECRET = "a long enough password"


def put(path: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"method": "PUT", "path": path, "body": body, **more}


def post(path: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": path, "body": body, **more}


def delete(path: str, **more: Any) -> dict[str, Any]:
    return {"method": "DELETE", "path": path, **more}


def send(caller: Caller, *changes: Any, headers: Any = None, **members: Any) -> Reply:
    return caller.post(COMMITS, {"changes": list(changes), **members}, headers=headers)


def revisions(caller: Caller) -> int:
    return int(caller.get("/api/revisions?limit=1").json["items"][0]["key"])


def other_timeout(caller: Caller) -> dict[str, int]:
    return {"timeout": 21 - caller.body(WEB)["timeout"]}


@pytest.fixture
def nothing_done(admin: Caller) -> Iterator[None]:
    """What a test sends is refused: no revision, no transaction, no other value anywhere."""
    before = (revisions(admin), admin.body(WEB), admin.get(USERS).json["items"])
    yield
    assert (revisions(admin), admin.body(WEB), admin.get(USERS).json["items"]) == before
    assert admin.status() == "closed"


def wrong(reply: Reply) -> list[tuple[Any, ...]]:
    """Change, code and pointer of every problem."""
    return [(problem.get("change"), problem["code"], problem["pointer"]) for problem in reply.error["details"]["errors"]]


# What it does


def test_changes_and_their_commit_are_one_request(admin: Caller) -> None:
    number, timeout = revisions(admin), other_timeout(admin)
    answer = send(
        admin, put(WEB, timeout), put(NTP, []), post(NTP, {"selection": "ip", "value": "127.0.9.1"}), commit_message="why"
    )
    assert answer.ok().json["results"] == [
        {"href": WEB, "key": "webinterface", "status": 200},
        {"href": NTP, "key": "ntp_servers", "status": 200},
        {"href": NTP, "key": "ntp_servers", "status": 201},
    ]
    assert answer.json["body"] == {"commit_message": "optional", "status": "closed"}
    assert answer.json["transaction"] == {"status": "closed"}
    assert answer.meta["revision"] == number + 1
    record = admin.body(answer.meta["commit"])
    assert (record["state"], record["revision"]) == ("done", number + 1)
    assert admin.body(f"/api/revisions/{number + 1}")["commit_message"] == "why"
    assert (admin.body(WEB), admin.body(NTP)) == (timeout, [{"selection": "ip", "value": "127.0.9.1"}])


def test_an_account_and_its_password_fit_into_one_request(admin: Caller, login: Login) -> None:
    name = f"one-{uuid4().hex[:8]}"
    answer = send(
        admin,
        post(PASSWORDS, {"plain": SECRET}, id="pw"),
        post(USERS, {"name": name, "password": "@new:pw"}, id="user.1"),
        post(USERS, {"name": f"{name}-b", "password": None}, id="other"),
        put(f"{USERS}/@new:other", {"name": f"{name}-c", "password": None}),
        post(GROUPS, {"name": name, "members": [{"key": "@new:user.1"}, "@new:other"]}, id="group"),
    ).ok()
    made = [result["key"] for result in answer.json["results"]]
    assert [result["status"] for result in answer.json["results"]] == [201, 201, 201, 200, 201]
    assert made[2] == made[3]
    assert admin.body(f"{USERS}/{made[1]}")["password"]["key"] == made[0]
    assert [member["key"] for member in admin.body(f"{GROUPS}/{made[4]}")["members"]] == [made[1], made[2]]
    login(name, SECRET)


def test_what_is_no_reference_stays_as_it_is(admin: Caller, login: Login) -> None:
    """A password may read like a reference."""
    name, plain = f"odd-{uuid4().hex[:8]}", "@new:password.of.odd"
    send(
        admin,
        post(PASSWORDS, {"plain": SECRET}, id="password.of.odd"),
        post(PASSWORDS, {"plain": plain}, id="p"),
        post(USERS, {"name": name, "password": "@new:p"}),
    ).ok()
    login(name, plain)


def test_what_was_made_can_be_removed_again(admin: Caller) -> None:
    number = revisions(admin)
    answer = send(admin, post(USERS, {"name": "short-lived"}, id="a"), delete(f"{USERS}/@new:a")).ok()
    assert answer.json["results"][1]["status"] == 200
    assert answer.meta["revision"] == number


def test_no_changes_make_no_revision(admin: Caller) -> None:
    number = revisions(admin)
    assert send(admin).ok().meta["revision"] == number
    assert send(admin, put(WEB, admin.body(WEB))).ok().meta["revision"] == number


def test_the_open_transaction_is_left_alone(admin: Caller) -> None:
    admin.put(ZONE, "Asia/Kathmandu").ok()
    answer = send(admin, put(WEB, other_timeout(admin))).ok()
    assert answer.json["transaction"] == {"status": "open"}
    assert [change["path"] for change in admin.changes()] == [ZONE]
    admin.commit().ok()
    assert admin.body(ZONE) == "Asia/Kathmandu"


def test_another_spelling_of_a_path_is_taken(admin: Caller) -> None:
    path = "/api/management/exported_configuration_encryption"
    assert send(admin, put(path, {"encryption": {"enabled": False}})).ok().json["results"][0]["href"].endswith(path[4:])


def test_warnings_name_their_change(admin: Caller) -> None:
    answer = send(admin, put(WEB, other_timeout(admin)), put(WEB, {"timeout": 10, "colour": "red"}), put(NTP, []), colour="red")
    found = [(warning.get("change"), warning["code"], warning["pointer"]) for warning in answer.ok().meta["warnings"]]
    assert (None, "unknown_member", "/colour") in found
    assert (1, "unknown_member", "/colour") in found
    assert any(code == "no_time_source" for _, code, _ in found)


def test_a_thousand_changes(admin: Caller) -> None:
    run = uuid4().hex[:8]
    answer = send(admin, *(post(USERS, {"name": f"u{run}-{number}"}) for number in range(1000))).ok()
    hrefs = [result["href"] for result in answer.json["results"]]
    assert len(set(hrefs)) == 1000
    assert {item["meta"]["href"] for item in admin.get(USERS).json["items"]} >= set(hrefs)
    assert send(admin, *map(delete, hrefs)).ok().meta["revision"] == answer.meta["revision"] + 1


# What it refuses


def test_order_itself_is_checked(admin: Caller, nothing_done: None) -> None:
    admin.post(COMMITS, {}).refuses("InvalidRequestBody", ("missing", "/changes"))
    admin.post(COMMITS, content=b"{").is_error(400, "InvalidRequestBody")
    bad = [
        {"path": WEB, "body": {}}, {"method": "PATCH", "path": WEB, "body": {}}, {"method": "PUT", "path": WEB},
        {"method": "POST", "path": "", "body": 1, "id": "a b"}, 7,
    ]  # fmt: skip
    answer = admin.post(COMMITS, {"changes": bad, "confirm_seconds": 3, "commit_message": 8})
    answer.refuses(
        "InvalidRequestBody",
        ("missing", "/changes/0/method"), ("enum", "/changes/1/method"), ("missing", "/changes/2/body"),
        ("format", "/changes/3/id"), ("length", "/changes/3/path"), ("type", "/changes/4"),
        ("type", "/commit_message"), ("range", "/confirm_seconds"),
    )  # fmt: skip
    send(admin, *[delete(WEB)] * 1001).refuses("InvalidRequestBody", ("length", "/changes"))
    twice = [post(USERS, {"name": "x1"}, id="a"), post(USERS, {"name": "x2"}, id="a")]
    send(admin, *twice).refuses("InvalidRequestBody", ("duplicate", "/changes/1/id"))
    strict = send(admin, {**delete(WEB), "body": 1}, headers={"Prefer": "handling=strict"})
    strict.refuses("InvalidRequestBody", ("unknown_member", "/changes/0/body"))


def test_body_of_at_most_four_mebibytes(admin: Caller, nothing_done: None) -> None:
    rest = 4 * 2**20 - len(json.dumps({"changes": [], "x": ""}, separators=(",", ":")))
    admin.post(COMMITS, {"changes": [], "x": "x" * rest}).ok()
    admin.post(COMMITS, {"changes": [], "x": "x" * (rest + 1)}).is_error(413, "BodyTooLarge", limit=4 * 2**20)


def test_bad_bodies_are_told_all_at_once(admin: Caller, nothing_done: None) -> None:
    answer = send(
        admin, put(WEB, other_timeout(admin)), put(WEB, {"timeout": 0}), post(USERS, {}), put(ZONE, "Mars/Base"),
        put(NTP, [{"selection": "ip", "value": "x"}]),
    )  # fmt: skip
    answer.is_error(400, "InvalidRequestBody", change=1)
    assert wrong(answer)[:2] == [(1, "range", "/timeout"), (2, "missing", "/name")]
    assert (4, "format", "/0/value") in wrong(answer)


def test_meanings_are_told_all_at_once(admin: Caller, nothing_done: None) -> None:
    answer = send(
        admin,
        put(WEB, other_timeout(admin)),
        post(USERS, {"name": "x3", "password": "nowhere"}, id="a"),
        post(GROUPS, {"name": "x3", "members": ["@new:a"]}),
        put(f"{USERS}/@new:a", {"name": "x4"}),
        delete(f"{USERS}/-1"),
        post(GROUPS, {"name": "x5", "members": ["@new:unheard"]}),
        put("/api/cluster/nodes/x", {}),
        post(NTP, [], id="b"),
    )
    answer.is_error(400, "SemanticError", change=1)
    assert wrong(answer) == [
        (1, "unknown_reference", "/password"), (4, "built_in", ""), (5, "unknown_reference", "/members/0"),
        (6, "not_supported", ""), (7, "contradiction", ""),
    ]  # fmt: skip


def test_rules_of_the_commit_name_the_change(admin: Caller, nothing_done: None) -> None:
    answer = send(
        admin, put(WEB, other_timeout(admin)), post(USERS, {"name": "ADMIN"}), post(PASSWORDS, {"plain": "short"}, id="p"),
        post(USERS, {"name": "x6", "password": "@new:p"}),
    )  # fmt: skip
    answer.is_error(400, "SemanticError", change=1)
    assert set(wrong(answer)) == {(1, "duplicate", "/name"), (3, "weak_password", "/password")}


def test_message_that_is_required(admin: Caller) -> None:
    send(admin, put(ACCOUNTING, {"require_commitlog": True})).ok()
    answer = send(admin, put(WEB, other_timeout(admin)), commit_message="  ")
    assert wrong(answer) == [(None, "message_required", "/commit_message")]
    assert answer.error["details"]["errors"][0]["path"] == COMMITS
    send(admin, put(ACCOUNTING, {"require_commitlog": False}), commit_message="no more").ok()


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (put("/api/configuration/nowhere", {}), 404, "NotFound"),
        (put(f"{USERS}/nobody", {"name": "x"}), 404, "NotFound"),
        (put(f"{USERS}/@new:nobody", {"name": "x"}), 404, "NotFound"),
        (put(f"{WEB}/below", {}), 404, "NotFound"),
        (put("/api/configuration/%zz", {}), 400, "BadRequest"),
        (put(USERS, {}), 405, "MethodNotAllowed"),
        (post(WEB, {}), 405, "MethodNotAllowed"),
        (delete(WEB), 405, "MethodNotAllowed"),
        (put(WEB, {"timeout": 9}, if_match='"another"'), 412, "PreconditionFailed"),
    ],
)  # fmt: skip
def test_refusals_of_single_requests(admin: Caller, nothing_done: None, change: Any, status: int, kind: str) -> None:
    answer = send(admin, put(WEB, other_timeout(admin)), change)
    answer.is_error(status, kind, change=1)


def test_if_match_is_compared_with_what_stands_there_by_then(admin: Caller) -> None:
    seen, timeout = admin.get(WEB).header("ETag"), other_timeout(admin)
    answer = send(admin, put(WEB, timeout, if_match=seen), put(WEB, {"timeout": 9}, if_match=seen))
    answer.is_error(412, "PreconditionFailed", change=1, resource=WEB)
    send(admin, put(WEB, timeout, if_match=seen)).ok()
    send(admin, put(WEB, {"timeout": 9}, if_match=seen)).is_error(412, "PreconditionFailed", change=0)
    send(admin, put(WEB, {"timeout": 10}, if_match="*")).ok()


def test_a_pending_confirmation_is_a_conflict(admin: Caller) -> None:
    answer = send(admin, put(WEB, other_timeout(admin)), confirm_seconds=600).ok()
    assert admin.body(answer.meta["commit"])["state"] == "awaiting_confirmation"
    assert 590 < answer.meta["confirm_remaining_seconds"] <= 600
    send(admin, put(WEB, other_timeout(admin))).is_error(409, "Conflict", user="admin")
    admin.put(TRANSACTION, {"status": "confirm"}).ok()
    send(admin, put(WEB, {"timeout": 10})).ok()


def test_a_refusal_is_in_the_records(admin: Caller) -> None:
    key = str(uuid4())
    send(admin, put(WEB, {"timeout": 0}), headers={"Idempotency-Key": key}).is_error(400, "InvalidRequestBody")
    record = admin.body(f"{COMMITS}/{key}")
    assert (record["state"], record["revision"], record["error"]["type"]) == ("failed", None, "InvalidRequestBody")
    again = send(admin, put(WEB, {"timeout": 10}), headers={"Idempotency-Key": key}).ok()
    assert not again.all("Idempotency-Replayed")


# Who may


@pytest.fixture(scope="module")
def jane(server: Server) -> Iterator[Caller]:
    """May write ``basic``, and read all the rest."""
    admin = logged_in(server)
    make_user(admin, "jane", SECRET)
    key = next(item["key"] for item in admin.get(USERS).json["items"] if item["body"]["name"] == "jane")
    admin.post(GROUPS, {"name": "basics", "members": [key]}).ok(201)
    acls = admin.body("/api/configuration/aaa/acls")
    line = {"group": "basics", "objects": ["/special/basic"], "permission": "write"}
    admin.put("/api/configuration/aaa/acls", [*acls, line]).ok()
    admin.commit().ok()
    admin.close()
    caller = logged_in(server, "jane", SECRET)
    yield caller
    caller.close()


def test_each_change_needs_its_right(jane: Caller, nothing_done: None, admin: Caller) -> None:
    change = put(WEB, other_timeout(admin))
    answer = send(jane, change, post(PASSWORDS, {"plain": SECRET}, id="p"), post(USERS, {"name": "x7", "password": "@new:p"}))
    answer.is_error(403, "Unauthorized", change=2, resource=USERS)
    send(jane, change, delete(f"{USERS}/-1")).is_error(403, "Unauthorized", change=1, resource=f"{USERS}/-1")


def test_a_right_is_enough_for_its_part(jane: Caller, admin: Caller) -> None:
    answer = send(jane, put(WEB, other_timeout(admin))).ok()
    assert jane.body(answer.meta["commit"])["user"] == "jane"


def test_who_may_write_nothing_may_not_ask(admin: Caller, login: Login) -> None:
    name = f"idle-{uuid4().hex[:8]}"
    send(admin, post(PASSWORDS, {"plain": SECRET}, id="p"), post(USERS, {"name": name, "password": "@new:p"})).ok()
    send(login(name, SECRET)).is_error(403, "Unauthorized", resource=COMMITS)


def test_without_login(anybody: Caller) -> None:
    send(anybody).is_error(401, "Unauthenticated")


def test_a_browser_needs_its_token(admin: Caller, nothing_done: None) -> None:
    browser = {"User-Agent": "Mozilla/5.0"}
    send(admin, headers=browser).is_error(403, "Unauthorized", header="X-Token")
    token = admin.body("/api/user/info")["token"]
    send(admin, headers={**browser, "X-Token": token}).ok()


def test_a_commit_that_ends_the_own_login_session_is_answered(admin: Caller, login: Login) -> None:
    name = f"own-{uuid4().hex[:8]}"
    group = admin.body(f"{GROUPS}/-1004")
    made = send(
        admin,
        post(PASSWORDS, {"plain": SECRET}, id="p"),
        post(USERS, {"name": name, "password": "@new:p"}, id="u"),
        put(f"{GROUPS}/-1004", {**group, "members": [*group["members"], "@new:u"]}),
    )
    user = made.ok().json["results"][1]["href"]
    caller = login(name, SECRET)
    send(caller, put(user, {"name": f"{name}-2", "password": None})).ok()
    caller.get(LOGIN).is_error(401, "Unauthenticated")


# Sent again, and all together


def test_sent_again_it_is_answered_again(admin: Caller, login: Login) -> None:
    key = str(uuid4())
    changes = [post(USERS, {"name": f"again-{key[:8]}", "colour": 1}, id="a"), put(WEB, {"timeout": 10, "colour": 2})]
    first = send(admin, *changes, headers={"Idempotency-Key": key}).ok()
    for caller in (admin, login()):
        again = send(caller, *changes, headers={"Idempotency-Key": key}).ok()
        assert again.header("Idempotency-Replayed") == "true"
        assert {n: again.json[n] for n in ("body", "results")} == {n: first.json[n] for n in ("body", "results")}
        assert {n: again.meta[n] for n in ("commit", "revision", "warnings")} == {
            n: first.meta[n] for n in ("commit", "revision", "warnings")
        }
    send(admin, *changes, commit_message="x", headers={"Idempotency-Key": key}).is_error(409, "Conflict")
    send(admin, headers={"Idempotency-Key": "é"}).is_error(400, "BadRequest")


def test_same_key_at_the_same_time_is_carried_out_once(server: Server, admin: Caller) -> None:
    key, number = str(uuid4()), revisions(admin)
    changes = [post(USERS, {"name": f"once-{key[:8]}"})]

    def one(_: int) -> Reply:
        with resumed(server, admin.cookie) as caller:
            return send(caller, *changes, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert {json.dumps(answer.ok().json["results"]) for answer in answers} == {json.dumps(answers[0].json["results"])}
    assert revisions(admin) == number + 1


def test_fifty_writers(server: Server, admin: Caller) -> None:
    """No update is lost: each adds one to a number by compare-and-swap, and makes an account of its own beside it."""
    send(admin, put(WEB, {"timeout": 10})).ok()
    number, run = revisions(admin), uuid4().hex[:8]

    def one(index: int) -> int:
        with closing(logged_in(server)) as caller:
            account = post(USERS, {"name": f"w{run}-{index}"})
            while True:
                seen = caller.get(WEB)
                more = put(WEB, {"timeout": seen.json["body"]["timeout"] + 1}, if_match=seen.header("ETag"))
                answer = send(caller, account, more)
                if answer.status != 412:
                    return int(answer.ok().meta["revision"])

    with ThreadPoolExecutor(50) as pool:
        made = list(pool.map(one, range(50)))
    assert sorted(made) == list(range(number + 1, number + 51))
    assert admin.body(WEB) == {"timeout": 60}
    names = [item["body"]["name"] for item in admin.get(USERS).json["items"] if run in item["body"]["name"]]
    assert sorted(names) == sorted(f"w{run}-{index}" for index in range(50))
    send(admin, put(WEB, {"timeout": 10})).ok()
