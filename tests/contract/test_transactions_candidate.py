"""A login session's private candidate, its changes and its commit (sections 8.1 to 8.6, 9.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.wire import ACCOUNTING, GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller
from tests.support.server import until

Login = Callable[..., Caller]
POOL = {"selection": "fqdn", "value": "pool.ntp.org"}


def ip(last: int) -> dict[str, str]:
    return {"selection": "ip", "value": f"127.0.3.{last}"}


def test_candidate_is_seen_by_its_own_login_only(admin: Caller, login: Login) -> None:
    other = login()
    before = admin.body(NTP)
    admin.put(NTP, [ip(1)]).ok()
    assert admin.body(NTP) == [ip(1)]
    assert other.body(NTP) == before
    assert other.status() == "closed"
    other.put(NTP, [ip(2)]).ok()
    assert admin.body(NTP) == [ip(1)]
    assert [change["new_value"] for change in other.changes()] == [[ip(2)]]


def test_candidate_stands_still_while_others_commit(admin: Caller, login: Login) -> None:
    other = login()
    admin.post(TRANSACTION).ok()
    minutes = admin.body(WEB)["timeout"]
    other.put(WEB, {"timeout": minutes + 1}).ok()
    other.commit().ok()
    assert admin.body(WEB) == {"timeout": minutes}
    assert admin.changes() == []
    admin.delete(TRANSACTION).ok()
    assert admin.body(WEB) == {"timeout": minutes + 1}


def test_made_object_is_there_for_its_login_only(admin: Caller, login: Login) -> None:
    path = admin.post(USERS, {"name": "private"}).ok(201).header("Location")
    admin.get(path).ok()
    login().get(path).is_error(404, "NotFound")
    admin.delete(TRANSACTION).ok()
    admin.get(path).is_error(404, "NotFound")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'"open"', b'{"status":"open","x":[1]}'])
def test_any_json_opens(admin: Caller, content: bytes) -> None:
    assert admin.post(TRANSACTION, content=content).ok().json["transaction"] == {"status": "open"}


def test_what_is_no_json_does_not_open(admin: Caller) -> None:
    admin.post(TRANSACTION, content=b"{").refuses("InvalidRequestBody", ("invalid_json", ""))
    assert admin.status() == "closed"


def test_write_that_changes_nothing_opens_too(admin: Caller) -> None:
    admin.put(NTP, admin.body(NTP)).ok()
    assert admin.status() == "open"
    assert admin.changes() == []
    assert "changes" not in admin.get(TRANSACTION).meta


def test_refused_write_opens_none_and_changes_nothing(admin: Caller) -> None:
    admin.put(WEB, {"timeout": 0}).is_error(400, "InvalidRequestBody")
    admin.delete(f"{USERS}/-1").is_error(400, "SemanticError")
    admin.put(NTP, [], headers={"If-Match": '"x"'}).is_error(412, "PreconditionFailed")
    assert admin.status() == "closed"
    admin.put(NTP, [ip(1)]).ok()
    admin.post(NTP, [ip(2), ip(1)]).is_error(400, "InvalidRequestBody")
    assert admin.body(NTP) == [ip(1)]


def change(kind: str, path: str, **values: Any) -> dict[str, Any]:
    return {"path": path, "type": kind, **values}


def test_changes_are_the_net_difference_sorted_by_path(admin: Caller) -> None:
    zone = admin.body(ZONE)
    minutes = admin.body(WEB)["timeout"]
    admin.put(WEB, {"timeout": minutes + 7}).ok()
    admin.put(ZONE, "Asia/Tokyo").ok()
    key = admin.post(USERS, {"name": "made"}).ok(201).json["key"]
    admin.put(f"{GROUPS}/-1001", {"name": "basic-view", "members": [key]}).ok()
    admin.put(ACCOUNTING, {"require_commitlog": True}).ok()
    answer = admin.get("/api/transaction/changes").ok()
    member = {"key": key, "meta": {"href": f"{USERS}/{key}"}}
    assert answer.json["changes"] == [
        change("replace", f"{GROUPS}/-1001#members", old_value=[], new_value=[member]),
        change("create", f"{USERS}/{key}", new_value={"name": "made", "password": None}),
        change("replace", ZONE, old_value=zone, new_value="Asia/Tokyo"),
        change("replace", f"{ACCOUNTING}#require_commitlog", old_value=False, new_value=True),
        change("replace", f"{WEB}#timeout", old_value=minutes, new_value=minutes + 7),
    ]
    meta = {"href": "/api/transaction/changes", "parent": TRANSACTION, "transaction": TRANSACTION}
    assert answer.meta == {**meta, "remaining_seconds": answer.meta["remaining_seconds"]}
    admin.put(ZONE, zone).ok()
    admin.put(WEB, {"timeout": minutes}).ok()
    admin.put(ACCOUNTING, {"require_commitlog": False}).ok()
    admin.put(f"{GROUPS}/-1001", {"name": "basic-view", "members": []}).ok()
    admin.delete(f"{USERS}/{key}").ok()
    assert admin.changes() == []
    assert "changes" not in admin.get(TRANSACTION).meta


def test_list_of_the_same_elements_is_a_reorder(admin: Caller) -> None:
    before = [ip(1), ip(2), POOL]
    admin.put(NTP, before).ok()
    admin.commit().ok()
    admin.put(NTP, before[::-1]).ok()
    assert admin.changes() == [change("reorder", NTP, old_order=before, new_order=before[::-1])]
    admin.put(NTP, [ip(2), ip(1)]).ok()
    assert admin.changes() == [change("replace", NTP, old_value=before, new_value=[ip(2), ip(1)])]
    admin.put(NTP, [POOL]).ok()
    admin.commit().ok()


def test_deleted_and_renamed_objects_among_the_changes(admin: Caller) -> None:
    keys = [admin.post(USERS, {"name": name}).ok(201).json["key"] for name in ("to-go", "to-rename")]
    admin.commit().ok()
    admin.delete(f"{USERS}/{keys[0]}").ok()
    admin.put(f"{USERS}/{keys[1]}", {"name": "renamed"}).ok()
    expected = [
        change("delete", f"{USERS}/{keys[0]}", old_value={"name": "to-go", "password": None}),
        change("replace", f"{USERS}/{keys[1]}#name", old_value="to-rename", new_value="renamed"),
    ]
    assert admin.changes() == sorted(expected, key=lambda found: found["path"])
    admin.commit().ok()


def test_secret_is_in_no_change_and_vanishes_with_its_owner(admin: Caller) -> None:
    plain = "a secret that nobody may see"
    secret = admin.post(PASSWORDS, {"plain": plain}).ok(201).header("Location")
    path = admin.post(USERS, {"name": "owner", "password": secret.rpartition("/")[2]}).ok(201).header("Location")
    assert {found["path"] for found in admin.changes()} == {path, secret}
    assert plain not in admin.get("/api/transaction/changes").body.decode()
    admin.commit().ok()
    body = admin.body(secret)
    assert (body["form"], body["owner"]) == ("hash", path)
    admin.put(path, {"name": "owner", "password": None}).ok()
    admin.commit().ok()
    admin.get(secret).is_error(404, "NotFound")


def test_answer_of_a_post_to_a_list_is_the_whole_list(admin: Caller) -> None:
    admin.put(NTP, [POOL]).ok()
    one = admin.post(NTP, ip(1)).ok(201)
    assert one.header("Location") == one.meta["href"] == NTP
    assert one.json["body"] == [POOL, ip(1)]
    more = admin.post(NTP, [ip(2), ip(3)]).ok(201)
    assert more.json["body"] == admin.body(NTP) == [POOL, ip(1), ip(2), ip(3)]
    assert admin.post(NTP, []).ok(201).json["body"] == more.json["body"]


def test_values_are_kept_in_canonical_form(admin: Caller) -> None:
    sent = [{"selection": "fqdn", "value": "Time.INVALID."}, {"selection": "ip", "value": "2001:DB8:0:0::1"}]
    kept = [{"selection": "fqdn", "value": "time.invalid"}, {"selection": "ip", "value": "2001:db8::1"}]
    answer = admin.put(NTP, sent).ok()
    assert answer.json["body"] == kept
    assert admin.put(NTP, kept).ok().header("ETag") == answer.header("ETag")


def test_commit_makes_a_revision_with_author_and_message(admin: Caller) -> None:
    before = int(admin.get("/api/revisions?limit=1").json["items"][0]["key"])
    admin.put(WEB, {"timeout": 30}).ok()
    answer = admin.commit("half an hour").ok()
    assert answer.json["body"] == {"commit_message": "optional", "status": "closed"}
    assert answer.meta["revision"] == before + 1
    assert answer.meta["commit"].startswith("/api/commits/")
    revision = admin.body(f"/api/revisions/{before + 1}")
    assert revision["author"] == "admin"
    assert revision["address"] == "127.0.0.1"
    assert revision["commit_message"] == "half an hour"
    assert revision["changes"] == 1
    assert revision["parent"] == before
    admin.put(WEB, {"timeout": 10}).ok()
    admin.commit().ok()


def test_zone_commit_warns_of_other_programs(admin: Caller) -> None:
    admin.put(ZONE, "Africa/Nairobi").ok()
    answer = admin.commit().ok()
    assert ("other_processes", ZONE) in {(warning["code"], warning["path"]) for warning in answer.meta["warnings"]}
    assert admin.body("/api/time_status")["timezone"] == {
        "abbreviation": "EAT", "name": "Africa/Nairobi", "utc_offset_seconds": 10800,
    }  # fmt: skip


def test_commit_warns_of_names_that_do_not_resolve_and_of_no_server_at_all(admin: Caller) -> None:
    entry = {"selection": "fqdn", "value": "later.invalid"}

    def warned() -> bool:
        """The commit tells what the background has found out by then; it never waits for it."""
        admin.put(NTP, [entry]).ok()
        return "unresolved_name" in [w["code"] for w in admin.body("/api/transaction/plan")["warnings"]]

    until(warned)
    answer = admin.commit().ok()
    (warning,) = answer.meta["warnings"]
    assert (warning["code"], warning["path"], warning["pointer"]) == ("unresolved_name", NTP, "/0/value")
    admin.put(NTP, []).ok()
    assert "no_time_source" in [warning["code"] for warning in admin.commit().ok().meta["warnings"]]
    assert admin.body("/api/time_status")["sources"] == []
    admin.put(NTP, [POOL]).ok()
    admin.commit().ok()


def test_writes_of_one_session_wait_for_each_other(admin: Caller) -> None:
    """Two connections with one cookie append at the same time; nothing is lost."""
    admin.put(NTP, []).ok()
    twin = Caller(admin.server)
    twin.cookie = admin.cookie
    requests = []
    for caller, last in ((admin, 1), (twin, 2)):
        content = f'{{"selection":"ip","value":"127.0.3.{last}"}}'
        fields = f"Host: localhost\r\nCookie: session_id={admin.cookie}\r\nContent-Length: {len(content)}"
        requests.append((caller, f"POST {NTP} HTTP/1.1\r\n{fields}\r\n\r\n{content}".encode()))
    for caller, request in requests:
        caller.connect().sendall(request[:-1])
    for caller, request in requests:
        caller.connect().sendall(request[-1:])
    for caller in (admin, twin):
        caller.send(b"", "POST").ok(201)
    assert sorted(entry["value"] for entry in admin.body(NTP)) == ["127.0.3.1", "127.0.3.2"]
    twin.close()
