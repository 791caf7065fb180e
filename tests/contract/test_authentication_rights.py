"""Who may do what: groups, ACL objects, the X-Token (sections 7.4, 9.3 and 11)."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator

import pytest

from tests.contract.wire import GROUPS, NTP, PASSWORDS, TRANSACTION, USERS, WEB, ZONE, Caller, Reply, make_user
from tests.support.server import until

Login = Callable[..., Caller]
PASSWORD_OF_ALL = "one password for all of them"
MEMBERS = {"nobody": (), "viewer": ("-1001",), "writer": ("-1002",), "auditor": ("-1006",), "keeper": ("-1004", "-1002")}
ACLS = "/api/configuration/aaa/acls"
BUNDLES = "/api/troubleshooting/support-bundle"
BRANCHES = ("/api", "/api/configuration", "/api/configuration/aaa", "/api/configuration/datetime", "/api/user")
BASIC = (NTP, ZONE, WEB, "/api/configuration/network/naming", "/api/health_status", "/api/time_status")
AUTH = (ACLS, USERS, f"{USERS}/-1", GROUPS, f"{GROUPS}/-1001", "/api/configuration/aaa/settings")
POLICIES = ("/api/configuration/policies/time_policies", "/api/configuration/policies/time_policies/-100")
HISTORY = ("/api/revisions", "/api/revisions/1", "/api/revisions/1/changes")
EVERYBODY = (
    "/api/commits",
    "/api/user/info",
    TRANSACTION,
    "/api/transaction/changes",
    "/api/info",
    "/api/openapi.json",
    "/api/metrics",
)


@pytest.fixture(scope="module")
def cookies(server: object) -> dict[str, str]:
    """Cookies of the accounts, filled as they are needed; logging in takes time."""
    return {}


@pytest.fixture
def people(admin: Caller, login: Login, cookies: dict[str, str]) -> Iterator[dict[str, Caller]]:
    if not cookies:
        for name, groups in MEMBERS.items():
            make_user(admin, name, f"{PASSWORD_OF_ALL} {name}", *groups)
        admin.commit().ok()
        for name in MEMBERS:
            cookies[name] = login(name, f"{PASSWORD_OF_ALL} {name}").cookie
    callers = {}
    for name, cookie in cookies.items():
        callers[name] = Caller(admin.server)
        callers[name].cookie = cookie
    yield callers
    for caller in callers.values():
        caller.delete(TRANSACTION)
        caller.close()


def unauthorized(answer: Reply, path: str, verb: str) -> None:
    assert answer.is_error(403, "Unauthorized").error == {
        "details": {"resource": path},
        "message": f"This account may not {verb} the resource.",
        "type": "Unauthorized",
    }
    assert answer.meta["remaining_seconds"] > 0


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("nobody", ()),
        ("viewer", BASIC),
        ("writer", BASIC),
        ("auditor", HISTORY),
        ("keeper", (*AUTH, *BASIC)),
    ],
)
def test_reading_needs_the_right_to_read(people: dict[str, Caller], name: str, readable: tuple[str, ...]) -> None:
    caller = people[name]
    for path in (*BRANCHES, *EVERYBODY, *readable):
        caller.get(path).ok()
    for path in {*BASIC, *AUTH, *POLICIES, *HISTORY} - set(readable):
        unauthorized(caller.get(path), path, "read")
        assert caller.call("HEAD", path).status == 403


def test_the_document_of_the_api_knows_what_is_refused(people: dict[str, Caller], anybody: Caller) -> None:
    document = people["nobody"].get("/api/openapi.json").ok().json
    described = {path: methods["get"]["responses"] for path, methods in document["paths"].items() if "get" in methods}
    for path in [path for path in described if "{" not in path and path != "/api/live"]:  # that one does not end
        for caller in (people["nobody"], anybody):
            assert str(caller.get(path).status) in described[path], path
    assert str(anybody.get("/api/authentication?type=x").status) in described["/api/authentication"]


def test_branches_show_everything_to_everybody(people: dict[str, Caller], admin: Caller) -> None:
    for path in BRANCHES:
        assert people["nobody"].get(path).body == admin.get(path).body


WRITES = {NTP: [], ZONE: "Etc/UTC", WEB: {"timeout": 10}, f"{GROUPS}/-1001": {"name": "basic-view"}, ACLS: []}


@pytest.mark.parametrize("name", ["nobody", "viewer", "auditor"])
def test_without_a_right_to_write_there_is_no_transaction(people: dict[str, Caller], name: str) -> None:
    caller = people[name]
    unauthorized(caller.post(TRANSACTION), TRANSACTION, "change")
    for path, value in WRITES.items():
        unauthorized(caller.put(path, value), path, "change")
    unauthorized(caller.put(NTP, content=b"{", headers={"Content-Type": "text/plain"}), NTP, "change")
    unauthorized(caller.post(NTP, {}), NTP, "change")
    unauthorized(caller.post(PASSWORDS, {"plain": "nothing to keep it for"}), PASSWORDS, "change")
    unauthorized(caller.post(USERS, {"name": "x"}), USERS, "change")
    unauthorized(caller.delete(f"{USERS}/-1"), f"{USERS}/-1", "change")
    unauthorized(caller.commit(), TRANSACTION, "change")
    unauthorized(caller.post("/api/time_status/sync"), "/api/time_status/sync", "change")
    assert caller.status() == "closed"


def test_writer_writes_what_its_group_covers(people: dict[str, Caller], admin: Caller) -> None:
    caller = people["writer"]
    caller.put(WEB, {"timeout": 11}).ok()
    unauthorized(caller.post(USERS, {"name": "x"}), USERS, "change")
    unauthorized(caller.put(f"{GROUPS}/-1004", {"name": "auth-write", "members": []}), f"{GROUPS}/-1004", "change")
    number = caller.commit("by the writer").ok().meta["revision"]
    assert admin.body(f"/api/revisions/{number}")["author"] == "writer"
    unauthorized(caller.get(f"/api/revisions/{number}"), f"/api/revisions/{number}", "read")
    admin.put(WEB, {"timeout": 10}).ok()
    admin.commit().ok()


def test_only_who_may_change_everything_restores(people: dict[str, Caller], admin: Caller) -> None:
    path = "/api/revisions/1/restore"
    for caller in people.values():
        unauthorized(caller.post(path), path, "change")
    admin.post(path).ok()


def test_secret_is_read_by_who_may_read_its_owner(people: dict[str, Caller], admin: Caller) -> None:
    secret = admin.get(f"{USERS}/-1").json["body"]["password"]["meta"]["href"]
    people["keeper"].get(secret).ok()
    for name in ("nobody", "viewer", "writer", "auditor"):
        unauthorized(people[name].get(secret), secret, "read")


def test_commits_of_others_are_for_those_who_read_the_history(people: dict[str, Caller], admin: Caller) -> None:
    writer = people["writer"]
    writer.post(TRANSACTION).ok()
    own = writer.commit().ok().meta["commit"]
    admin.post(TRANSACTION).ok()
    other = admin.commit().ok().meta["commit"]
    assert {item["body"]["user"] for item in writer.get("/api/commits").ok().json["items"]} == {"writer"}
    writer.get(own).ok()
    writer.get(other).is_error(404, "NotFound")
    for caller in (people["auditor"], admin):
        assert {item["body"]["user"] for item in caller.get("/api/commits").json["items"]} >= {"writer", "admin"}
        caller.get(own).ok()


def test_rights_are_those_of_now(people: dict[str, Caller], admin: Caller, login: Login) -> None:
    secret = "promoted before long"
    key = make_user(admin, "promoted", secret)
    admin.commit().ok()
    before = login("promoted", secret)
    unauthorized(before.get(NTP), NTP, "read")
    group = admin.body(f"{GROUPS}/-1002")
    admin.put(f"{GROUPS}/-1002", {**group, "members": [*group["members"], key]}).ok()
    admin.commit().ok()
    before.put(NTP, []).ok()
    admin.put(f"{GROUPS}/-1002", group).ok()
    admin.commit().ok()
    unauthorized(before.get(NTP), NTP, "read")
    unauthorized(before.put(NTP, []), NTP, "change")
    unauthorized(before.commit(), TRANSACTION, "change")


def test_user_info_shows_groups_and_their_lines(people: dict[str, Caller], admin: Caller) -> None:
    body = people["writer"].body("/api/user/info")
    token = body.pop("token")
    assert len(token) == 40
    assert int(token, 16) >= 0
    assert body == {
        "acls": [{"group": "basic-write", "objects": ["/special/basic"], "permission": "write"}],
        "groups": ["basic-write"],
        "login_method": "local",
        "name": "writer",
    }
    assert [line["group"] for line in people["keeper"].body("/api/user/info")["acls"]] == ["basic-write", "auth-write"]
    assert people["nobody"].body("/api/user/info")["acls"] == []


def test_groups_that_come_with_the_appliance(admin: Caller) -> None:
    groups = [(item["key"], item["body"]["name"]) for item in admin.get(GROUPS).json["items"]]
    names = [
        "basic-view", "basic-write", "auth-view", "auth-write", "search", "changelog", "policies-view", "policies-write",
        "ssh-view", "ssh-write", "http-view", "http-write", "ica-view", "ica-write", "mssql-view", "mssql-write", "rdp-view",
        "rdp-write", "telnet-view", "telnet-write", "vnc-view", "vnc-write", "report", "cluster-view", "cluster-write",
        "backup-view", "backup-write",
    ]  # fmt: skip
    assert groups[:27] == [(str(-1001 - index), name) for index, name in enumerate(names)]
    lines = admin.body(ACLS)
    assert [line["group"] for line in lines] == names
    assert lines[0] == {"group": "basic-view", "objects": ["/special/basic"], "permission": "read"}
    assert lines[1] == {"group": "basic-write", "objects": ["/special/basic"], "permission": "write"}


def test_token_is_fixed_for_a_login_session_and_good_for_no_other(admin: Caller, login: Login) -> None:
    other = login()
    tokens = [caller.body("/api/user/info")["token"] for caller in (admin, admin, other)]
    assert tokens[0] == tokens[1] != tokens[2]
    browser = {"User-Agent": "Opera and Mozilla", "X-Token": tokens[2]}
    admin.post(TRANSACTION, headers=browser).is_error(403, "Unauthorized", header="X-Token")
    other.post(TRANSACTION, headers=browser).ok()


def test_token_comes_before_the_right(people: dict[str, Caller]) -> None:
    browser = {"User-Agent": "Mozilla/5.0"}
    answer = people["nobody"].put(NTP, [], headers=browser).is_error(403, "Unauthorized", header="X-Token")
    assert answer.error["message"] == "Browsers must send the X-Token header."


def test_deleted_account_leaves_its_groups(admin: Caller) -> None:
    key = make_user(admin, "leaver", "gone before it begins", "-1001", "-1006")
    admin.commit().ok()
    admin.delete(f"{USERS}/{key}").ok()
    changed = {(change["type"], change["path"]) for change in admin.changes()}
    assert changed == {
        ("delete", f"{USERS}/{key}"),
        ("replace", f"{GROUPS}/-1001#members"),
        ("replace", f"{GROUPS}/-1006#members"),
    }
    admin.commit().ok()
    for group in ("-1001", "-1006"):
        assert key not in [member["key"] for member in admin.body(f"{GROUPS}/{group}")["members"]]


def test_a_support_bundle_is_no_way_around_the_rights(people: dict[str, Caller], admin: Caller) -> None:
    def made(caller: Caller) -> str:
        href = f"{BUNDLES}/{caller.post(BUNDLES).ok(202).json['key']}"
        until(lambda: caller.body(href)["status"] == "finished", 30, "the bundle")
        return f"{href}/download"

    def configuration(content: bytes) -> set[str]:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            (revisions, commits, found) = (
                json.load(archive.extractfile(f"support-bundle/{name}.json") or io.BytesIO())
                for name in ("revisions", "commits", "configuration")
            )
        assert bool(revisions) == bool(commits) == (ACLS in found)
        return set(found)

    of_admin, of_writer = made(admin), made(people["writer"])
    assert {ACLS, NTP, WEB} <= configuration(downloaded(admin, of_admin))
    for who in (admin, people["writer"], people["viewer"]):
        found = configuration(downloaded(who, of_writer))
        assert {NTP, WEB} <= found
        assert not any(path.startswith(("/api/configuration/aaa", "/api/configuration/pol")) for path in found)
    unauthorized(people["viewer"].get(of_admin), of_admin, "read")
    unauthorized(people["writer"].get(of_admin), of_admin, "read")
    people["viewer"].get(of_admin.removesuffix("/download")).ok()


def downloaded(caller: Caller, href: str) -> bytes:
    answer = caller.server.client().get(href, headers={"Cookie": f"session_id={caller.cookie}"})
    assert answer.status_code == 200, answer.text
    return answer.content
