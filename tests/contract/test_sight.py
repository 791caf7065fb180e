"""Where several rights meet, a reader sees what those of the reader open, and how much more there is."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.test_backup_archives import RESTORES, downloaded, order, uploaded
from tests.contract.wire import GROUPS, NTP, TRANSACTION, USERS, ZONE, Caller, Reply, logged_in, make_user
from tests.support.server import Server, running, until

ACLS = "/api/configuration/aaa/acls"
BUNDLES = "/api/troubleshooting/support-bundle"
SECRET = "a long enough password"
ACCOUNTS = {
    "backups": {"/special/backup": "read"},
    "clocks": {"/special/backup": "read", "/api/configuration/datetime": "read"},
    "historian": {"/special/changelog": "read"},
    "basics": {"/special/basic": "write", "/special/changelog": "read", "/special/backup": "write"},
    "policies": {"/special/pol": "write"},
}
CONFIDENTIAL = ("confidential-account", "confidential-group")
"""Names that only those may see who may read ``aaa``."""


class House:
    def __init__(self, server: Server) -> None:
        self.server, self.admin = server, logged_in(server)
        admin = self.admin
        lines = admin.body(ACLS)
        for name, rights in ACCOUNTS.items():
            user = make_user(admin, name, SECRET)
            admin.post(GROUPS, {"members": [user], "name": name}).ok(201)
            lines += [{"group": name, "objects": [path], "permission": right} for path, right in rights.items()]
        admin.put(ACLS, lines).ok()
        admin.put(ZONE, "Europe/Budapest").ok()
        admin.commit().ok()
        self.archive = downloaded(server.login())
        self.user = make_user(admin, CONFIDENTIAL[0], SECRET)
        admin.post(GROUPS, {"members": [self.user], "name": CONFIDENTIAL[1]}).ok(201)
        admin.put(ZONE, "Europe/London").ok()
        self.revision = admin.commit("Both.").ok().meta["revision"]
        self.callers: dict[str, Caller] = {"admin": admin}

    def get(self, name: str, path: str) -> Reply:
        if name not in self.callers:
            self.callers[name] = logged_in(self.server, name, SECRET)
        return self.callers[name].get(path)

    def restore(self) -> str:
        """A restore that is only tried, and that tells of the accounts that are gone."""
        href = str(self.admin.post(RESTORES, order(uploaded(self.admin, self.archive), dry_run=True)).ok(202).meta["href"])
        until(lambda: self.admin.body(href)["status"] == "finished", what="the restore")
        return href


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("sight") / "state") as server:
        made = House(server)
        yield made
        for caller in made.callers.values():
            caller.close()


def paths(rows: list[dict[str, Any]]) -> set[str]:
    """The first parts of the paths of rows."""
    return {"/".join(row["path"].split("/")[3:4]) for row in rows}


def says_nothing(reply: Reply) -> None:
    assert [name for name in CONFIDENTIAL if name.encode() in reply.body] == []


def test_the_record_of_a_restore(house: House) -> None:
    href = house.restore()
    whole = house.get("admin", href).ok().json["body"]
    assert paths(whole["changes"]) >= {"aaa", "datetime", "passwords"}
    assert any(name in json.dumps(whole) for name in CONFIDENTIAL)
    assert "hidden" not in whole
    for name, seen in (("backups", set()), ("clocks", {"datetime"}), ("basics", {"datetime"})):
        reply = house.get(name, href).ok()
        body = reply.json["body"]
        says_nothing(reply)
        assert paths(body["changes"]) == seen
        assert paths(body["plan"]) == (seen if name == "clocks" else paths(whole["plan"]) if name == "basics" else set())
        for member in ("changes", "plan", "problems", "warnings"):
            assert len(body[member]) + body["hidden"].get(member, 0) == len(whole[member]), member
        says_nothing(house.get(name, RESTORES).ok())
        assert {**body, "changes": [], "plan": [], "warnings": [], "hidden": {}} == {
            **whole, "changes": [], "plan": [], "warnings": [], "hidden": {}
        }  # fmt: skip


def test_the_changes_of_a_revision(house: House) -> None:
    href = f"/api/revisions/{house.revision}/changes"
    whole = house.get("admin", href).ok().json
    assert paths(whole["changes"]) == {"aaa", "datetime", "passwords"}
    assert "hidden" not in whole["meta"]
    for name, seen in (("historian", set()), ("basics", {"datetime"})):
        reply = house.get(name, href).ok()
        says_nothing(reply)
        assert paths(reply.json["changes"]) == seen
        assert reply.meta["hidden"] == {"changes": len(whole["changes"]) - len(reply.json["changes"])}
    says_nothing(house.get("historian", "/api/revisions").ok())


def test_the_records_of_commits(house: House) -> None:
    admin = house.admin
    admin.post(USERS, {"name": CONFIDENTIAL[0]}).ok(201)
    key = admin.post(GROUPS, {"members": [], "name": CONFIDENTIAL[1]}).ok(201).json["key"]
    lines = admin.body(ACLS)
    admin.put(ACLS, [*lines, {"group": "no-such-confidential-group", "objects": ["/special/basic"], "permission": "read"}]).ok()
    refused = admin.commit().is_error(400, "SemanticError")
    assert key in json.dumps(refused.json)
    admin.delete(TRANSACTION).ok()
    newest = house.get("admin", "/api/commits").ok().json["items"][0]
    assert "no-such-confidential-group" in newest["body"]["error"]["reason"]
    assert newest["body"]["error"].keys() == {"reason", "type"}
    for path in ("/api/commits", newest["meta"]["href"]):
        reply = house.get("historian", path).ok()
        says_nothing(reply)
        assert b"no-such-confidential-group" not in reply.body
        assert b"may not read" in reply.body


def test_plan_commit_and_changes_of_somebody_who_may_not_read_all_that_it_touches(house: House) -> None:
    """A policy that is changed concerns what selects it, which is in another branch."""
    admin = house.admin
    nfs = {"path": "/data", "server": {"selection": "ip", "value": "192.0.2.5"}, "type": "nfs"}
    policies = "/api/configuration/policies/backup_policies"
    policy = admin.post(policies, {"name": "nightly", "start_times": ["01:30"], "target": nfs}).ok(201).header("Location")
    admin.put("/api/configuration/management/system_backup", {"backup_policy": policy.rpartition("/")[2]}).ok()
    admin.commit().ok()
    house.get("policies", policy).ok()
    caller = house.callers["policies"]
    caller.put(policy, {"name": "by-hand", "start_times": [], "target": nfs}).ok()
    assert paths(caller.get("/api/transaction/changes").ok().json["changes"]) == {"policies"}
    plan = caller.body("/api/transaction/plan")
    codes = [warning["code"] for warning in plan["warnings"]]
    assert "no_start_time" not in codes
    assert "unprotected_transport" in codes
    assert plan["hidden"]["warnings"] >= 1
    assert paths(plan["actions"]) <= {"policies"}
    done = caller.commit().ok()
    assert [warning["code"] for warning in done.meta["warnings"]] == codes
    assert done.meta["hidden"]["warnings"] == plan["hidden"]["warnings"]


def test_a_bundle_counts_what_it_leaves_out(house: House) -> None:
    house.get("basics", BUNDLES).ok()
    caller = house.callers["basics"]
    href = caller.post(BUNDLES).ok(202).header("Location")
    until(lambda: caller.body(href)["status"] == "finished", what="the bundle")
    client = house.server.client()
    client.http.cookies.set("session_id", caller.cookie)
    answer = client.get(f"{href}/download")
    assert answer.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        told = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    assert [name for name, content in told.items() if any(text.encode() in content for text in CONFIDENTIAL)] == []
    assert json.loads(told["about.json"])["hidden"]["configuration"] > 0
    assert NTP in json.loads(told["configuration.json"])
