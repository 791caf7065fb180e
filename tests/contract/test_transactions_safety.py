"""Writing and committing without treading on others: entity tags, Idempotency-Key, records of commits (9.9, 13)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from uuid import uuid4

import pytest

from tests.contract.wire import GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, Caller, Reply, canonical, make_user, resumed
from tests.support.server import Server, until

Login = Callable[..., Caller]
DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def tag(content: bytes) -> str:
    return f'"{sha256(content).hexdigest()[:32]}"'


@pytest.mark.parametrize("path", ["/api/configuration", NTP, WEB, USERS, f"{USERS}/-1", "/api/configuration/ssh/connections"])
def test_tag_is_that_of_the_content(admin: Caller, path: str) -> None:
    answer = admin.get(path).ok()
    content = answer.json["body"] if "body" in answer.json else answer.json["items"]
    assert answer.header("ETag") == tag(canonical(content))


def test_write_answers_with_the_tag_of_the_next_read(admin: Caller) -> None:
    put, read = admin.put(NTP, []).ok(), admin.get(NTP)
    assert put.header("ETag") == read.header("ETag") == tag(b"[]")
    post = admin.post(NTP, {"selection": "ip", "value": "127.0.5.1"}).ok(201)
    assert post.header("ETag") == admin.get(NTP).header("ETag")
    made = admin.post(USERS, {"name": "tagged"}).ok(201)
    assert made.header("ETag") == admin.get(made.header("Location")).header("ETag")
    secret = admin.post(PASSWORDS, {"plain": "tagged as well"}).ok(201)
    assert secret.header("ETag") == admin.get(secret.header("Location")).header("ETag")


def test_if_match_lets_only_those_write_who_saw_the_latest(admin: Caller) -> None:
    seen = admin.get(NTP).header("ETag")
    admin.put(NTP, [], headers={"If-Match": seen}).ok()
    for method, value in (("PUT", []), ("POST", {"selection": "ip", "value": "127.0.5.2"})):
        answer = admin.call(method, NTP, value, headers={"If-Match": seen})
        assert answer.is_error(412, "PreconditionFailed").error == {
            "details": {"etag": tag(b"[]"), "resource": NTP},
            "message": "The resource is not the one you read.",
            "type": "PreconditionFailed",
        }
    for good in (tag(b"[]"), f'"x", {tag(b"[]")}', "*"):
        admin.put(NTP, [], headers={"If-Match": good}).ok()


def test_if_match_on_objects_and_collections(admin: Caller) -> None:
    collection = admin.get(USERS).header("ETag")
    path = admin.post(USERS, {"name": "matched"}, headers={"If-Match": collection}).ok(201).header("Location")
    admin.post(USERS, {"name": "late"}, headers={"If-Match": collection}).is_error(412, "PreconditionFailed")
    stale = admin.get(path).header("ETag")
    admin.put(path, {"name": "matched-2"}, headers={"If-Match": stale}).ok()
    admin.delete(path, headers={"If-Match": stale}).is_error(412, "PreconditionFailed")
    admin.delete(path, headers={"If-Match": admin.get(path).header("ETag")}).ok()


def test_tag_is_of_what_the_caller_sees(admin: Caller, login: Login) -> None:
    running = admin.get(NTP).header("ETag")
    admin.put(NTP, []).ok()
    other = login()
    assert other.get(NTP).header("ETag") == running
    other.put(NTP, [], headers={"If-Match": tag(b"[]")}).is_error(412, "PreconditionFailed")
    other.put(NTP, [], headers={"If-Match": running}).ok()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", [NTP, USERS, f"{GROUPS}/-1001", "/api/configuration/datetime", "/api/openapi.json"])
def test_if_none_match_spares_the_body(admin: Caller, method: str, path: str) -> None:
    seen = admin.get(path).header("ETag")
    for header in (seen, f"W/{seen}", f'"x", {seen}', "*"):
        answer = admin.call(method, path, headers={"If-None-Match": header})
        assert (answer.status, answer.body, answer.header("ETag")) == (304, b"", seen)
        assert answer.header("Set-Cookie").startswith("session_id=")
    assert admin.call(method, path, headers={"If-None-Match": '"other"'}).status == 200
    assert admin.connections == 1


def keyed(caller: Caller, key: str, message: str | None = None) -> Reply:
    return caller.commit(message, headers={"Idempotency-Key": key})


def change(caller: Caller) -> None:
    caller.put(WEB, {"timeout": 21 - caller.body(WEB)["timeout"]}).ok()


def revisions(caller: Caller) -> int:
    return int(caller.get("/api/revisions?limit=1").json["items"][0]["key"])


def test_repeated_commit_is_answered_again_and_not_carried_out_again(admin: Caller, login: Login) -> None:
    key = f"change {uuid4()}!"
    change(admin)
    first = keyed(admin, key, "once").ok()
    assert not first.all("Idempotency-Replayed")
    change(admin)
    number = revisions(admin)
    for caller in (admin, login()):  # another login session of the same account asks, too
        again = keyed(caller, key, "once").ok()
        assert again.header("Idempotency-Replayed") == "true"
        assert again.json["body"] == first.json["body"]
        assert {n: again.meta[n] for n in ("commit", "revision")} == {n: first.meta[n] for n in ("commit", "revision")}
    assert revisions(admin) == number
    assert admin.status() == "open"


def test_same_key_for_another_request_is_a_conflict(admin: Caller) -> None:
    key = str(uuid4())
    change(admin)
    keyed(admin, key, "one").ok()
    change(admin)
    keyed(admin, key, "two").is_error(409, "Conflict")
    assert admin.status() == "open"


def test_key_is_of_one_account(admin: Caller, login: Login) -> None:
    key = str(uuid4())
    make_user(admin, "keyed", "a password for keys", "-1002")
    first = keyed(admin, key).ok()
    other = login("keyed", "a password for keys")
    change(other)
    second = keyed(other, key).ok()
    assert not second.all("Idempotency-Replayed")
    assert second.meta["revision"] == first.meta["revision"] + 1
    assert admin.body(f"/api/commits/{key}")["id"] != other.body(f"/api/commits/{key}")["id"]


def test_refusal_is_not_kept(admin: Caller) -> None:
    key = str(uuid4())
    keyed(admin, key).is_error(409, "Conflict", resource=TRANSACTION)
    taken = admin.post(USERS, {"name": "ADMIN"}).ok(201).header("Location")
    keyed(admin, key).refuses("SemanticError", ("duplicate", "/name"))
    admin.put(taken, {"name": f"free-{key[:8]}"}).ok()
    answer = keyed(admin, key).ok()
    assert not answer.all("Idempotency-Replayed")
    assert keyed(admin, key).ok().header("Idempotency-Replayed") == "true"


def test_repeat_waits_for_the_first_to_end(server: Server, admin: Caller) -> None:
    key = str(uuid4())
    change(admin)
    number = revisions(admin)

    def send(_number: int) -> Reply:
        caller = Caller(server)
        caller.cookie = admin.cookie
        try:
            return keyed(caller, key)
        finally:
            caller.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [answer.ok() for answer in pool.map(send, range(4))]
    assert {answer.meta["revision"] for answer in answers} == {number + 1}
    assert sorted(len(answer.all("Idempotency-Replayed")) for answer in answers) == [0, 1, 1, 1]


@pytest.mark.parametrize("key", ["", "x" * 129, "tab\there", "ü"])
def test_key_has_1_to_128_printable_characters(admin: Caller, key: str) -> None:
    change(admin)
    answer = keyed(admin, key)
    assert answer.status == 400
    assert admin.status() == "open"
    keyed(admin, "~" * 128 if key else "!").ok()


def test_record_of_a_commit(admin: Caller) -> None:
    change(admin)
    done = admin.commit("recorded", headers={"Idempotency-Key": "my-own-key"}).ok()
    answer = admin.get(done.meta["commit"]).ok()
    body = answer.json["body"]
    assert answer.json["key"] == body["id"] == done.meta["commit"].rpartition("/")[2]
    assert answer.meta["parent"] == "/api/commits"
    assert re.fullmatch(DATE, body.pop("started"))
    assert re.fullmatch(DATE, body.pop("finished"))
    assert body == {"error": None, "id": answer.json["key"], "revision": done.meta["revision"], "state": "done", "user": "admin"}
    assert admin.get("/api/commits/my-own-key").ok().json["body"]["id"] == answer.json["key"]


def test_record_of_a_refused_commit(admin: Caller) -> None:
    admin.post(USERS, {"name": "admin"}).ok(201)
    admin.commit().is_error(400, "SemanticError")
    newest = admin.get("/api/commits").ok().json["items"][0]
    assert newest["meta"] == {"href": f"/api/commits/{newest['key']}"}
    assert (newest["body"]["state"], newest["body"]["revision"]) == ("failed", None)
    assert newest["body"]["error"]["type"] == "SemanticError"
    assert admin.body(f"/api/commits/{newest['key']}") == newest["body"]


def test_records_are_listed_newest_first(admin: Caller) -> None:
    ids = []
    for _ in range(3):
        change(admin)
        ids.append(admin.commit().ok().meta["commit"].rpartition("/")[2])
    items = admin.get("/api/commits").ok().json["items"]
    assert len(items) <= 100
    assert {item["key"] for item in items[:3]} == set(ids)
    starts = [item["body"]["started"] for item in items]
    assert starts == sorted(starts, reverse=True)


def test_commit_goes_on_when_its_client_goes_away(server: Server, admin: Caller) -> None:
    """The hash of a password keeps the commit busy while the client leaves."""
    make_user(admin, "left-behind", "the password of a deserter")
    content = json.dumps({"status": "commit", "commit_message": "left"}).encode()
    head = (
        f"PUT {TRANSACTION} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\n"
        f"Idempotency-Key: left-alone\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    leaver = Caller(server)
    leaver.connect().sendall(head.encode() + content)
    until(lambda: admin.get("/api/commits/left-alone").status == 200)
    leaver.close()
    until(lambda: admin.body("/api/commits/left-alone")["state"] == "done")
    assert "left-behind" in [user["body"]["name"] for user in admin.get(USERS).json["items"]]
    assert admin.get("/api/revisions?limit=1").json["items"][0]["body"]["commit_message"] == "left"


def ended(caller: Caller, key: str) -> bool:
    return bool(caller.body(f"/api/commits/{key}")["state"] == "done")


def test_a_key_is_known_from_the_moment_its_request_was_read(server: Server, admin: Caller) -> None:
    """Right after the connection was cut, on another one that was there already, while the commit is or is not under way."""
    content = b'{"status":"commit"}'
    for number in range(30):
        change(admin)
        leaver, key = Caller(server), f"cut-{number}-{uuid4()}"
        leaver.get("/api/authentication/login_methods").ok()  # all of the handshake is over
        connection = leaver.connect()
        head = (
            f"PUT {TRANSACTION} HTTP/1.1\r\nHost: localhost\r\nCookie: session_id={admin.cookie}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        connection.sendall(head.encode() + content)
        leaver.close()
        record = admin.get(f"/api/commits/{key}").ok().json
        until(partial(ended, admin, key))
        assert admin.body(f"/api/commits/{key}")["id"] == record["key"]


def test_a_repeated_key_never_shows_another_record_than_the_first(server: Server, admin: Caller) -> None:
    change(admin)
    key = str(uuid4())
    first = keyed(admin, key).ok().meta["commit"].rpartition("/")[2]
    with ThreadPoolExecutor(1) as pool, resumed(server, admin.cookie) as other:
        again = pool.submit(lambda: [keyed(other, key).ok() for _ in range(30)])
        while not again.done():
            assert admin.body(f"/api/commits/{key}")["id"] == first
        assert all(answer.header("Idempotency-Replayed") == "true" for answer in again.result())
