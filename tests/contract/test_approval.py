"""Changes that take a second person, over the wire: no request that changes anything goes past them (trust, section 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract.test_backup_archives import EXPORTS, RESTORES, UPLOAD
from tests.contract.test_cluster import ACCEPT, ASK, INTERFACE, JOIN, NODES, PROMOTE, address_key
from tests.contract.test_tokens import Bearer, token
from tests.contract.wire import GROUPS, NTP, TRANSACTION, USERS, WEB, ZONE, Caller, Reply, logged_in, make_user
from tests.support.members import channel_port
from tests.support.server import PASSWORD, Server, running, until

APPROVAL = "/api/configuration/management/change_approval"
ACLS = "/api/configuration/aaa/acls"
PROPOSALS = "/api/proposals"
SECRET = "a long enough password"
EVERYTHING = ["/special/auth", "/special/basic", "/special/changelog", "/special/cluster", "/special/pol", "/special/ssh"]
SERVERS = [{"selection": "ip", "value": "192.0.2.77"}]


class ApprovalSite:
    """ann writes, eve and bob approve, kim puts out fires; ``keys`` by name."""

    def __init__(self, server: Server) -> None:
        self.server = server
        with_password = admin = logged_in(server)
        self.keys = {name: make_user(with_password, name, SECRET) for name in ("ann", "eve", "bob", "kim")}
        groups = {"writers": ("ann", "kim"), "security": ("eve", "bob"), "firemen": ("kim",)}
        for name, members in groups.items():
            body = {"members": [self.keys[one] for one in members], "name": name}
            self.keys[name] = admin.post(GROUPS, body).ok(201).json["key"]
        lines = [
            *admin.body(ACLS),
            {"group": "writers", "objects": EVERYTHING, "permission": "write"},
            {"group": "security", "objects": EVERYTHING, "permission": "read"},
        ]
        admin.put(ACLS, lines).ok()
        admin.commit().ok()
        self.admin = admin
        self.callers = {name: logged_in(server, name, SECRET) for name in ("ann", "eve", "bob", "kim")}
        rule = {"approvers": "security", "paths": ["/api/configuration"], "required": 1}
        self.settings = {"emergency_group": "firemen", "enabled": True, "expires_hours": 72, "rules": [rule]}
        admin.put(APPROVAL, self.settings).ok()
        admin.commit().ok()

    def revision(self) -> int:
        return int(self.admin.get("/api/revisions?limit=1").ok().json["items"][0]["key"])

    def proposed(self, reply: Reply) -> str:
        """Return the href of what a commit became."""
        reply.ok(202)
        assert reply.meta["waits_for"] == ["security"]
        assert "revision" not in reply.meta
        assert reply.header("Location") == reply.meta["proposal"]
        return str(reply.meta["proposal"])

    def accepted(self, href: str, **order: Any) -> Any:
        return self.callers["eve"].put(href, {"decision": "accept"} | order).ok().json["body"]

    def zone(self, caller: Caller | None = None) -> Reply:
        """Propose another time zone."""
        caller = caller or self.callers["ann"]
        caller.put(ZONE, "Europe/Vienna" if self.admin.body(ZONE) != "Europe/Vienna" else "Europe/Budapest").ok()
        return caller.commit("another zone")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that becomes Central Management, on a port that no test beside has."""
    with running(tmp_path_factory.mktemp("approval") / "state", options=("--cluster-port", channel_port())) as server:
        yield server


@pytest.fixture(scope="module")
def office(server: Server) -> Iterator[ApprovalSite]:
    found = ApprovalSite(server)
    yield found
    for caller in (found.admin, *found.callers.values()):
        caller.close()


def test_it_is_reachable_and_not_listed(office: ApprovalSite) -> None:
    assert office.admin.body(APPROVAL) == office.settings
    assert "change_approval" not in [item["key"] for item in office.admin.get("/api/configuration/management").json["items"]]
    assert "proposals" not in [item["key"] for item in office.admin.get("/api").json["items"]]
    wrong = office.settings | {"rules": [{"approvers": "no body", "paths": ["/api/configuration/no"], "required": 0}], "x": 1}
    office.admin.put(APPROVAL, wrong, headers={"Prefer": "handling=strict"}).refuses(
        "InvalidRequestBody", ("format", "/rules/0/approvers"), ("format", "/rules/0/paths/0"), ("range", "/rules/0/required"),
        ("unknown_member", "/x"),
    )  # fmt: skip
    office.admin.delete(TRANSACTION)


def test_a_proposal_from_the_order_to_the_revision(office: ApprovalSite) -> None:
    ann, eve, before = office.callers["ann"], office.callers["eve"], office.revision()
    zone = office.admin.body(ZONE)
    ann.put(ZONE, "Europe/Zurich").ok()
    assert "approval_required" in [one["code"] for one in ann.body(f"{TRANSACTION}/plan")["warnings"]]
    reply = ann.commit("closer to home", headers={"Idempotency-Key": "zone-1"})
    href = office.proposed(reply)
    assert reply.json["body"]["status"] == reply.json["transaction"]["status"] == "closed"
    assert office.proposed(ann.commit("closer to home", headers={"Idempotency-Key": "zone-1"})) == href
    assert (office.revision(), office.admin.body(ZONE), ann.status()) == (before, zone, "closed")
    found = eve.body(href)
    assert (found["author"], found["state"], found["commit_message"]) == ("ann", "waiting", "closer to home")
    assert found["waits_for"] == [{"accepted": [], "group": "security", "required": 1}]
    changes = eve.get(f"{href}/changes").ok().json["changes"]
    assert changes == [{"new_value": "Europe/Zurich", "old_value": zone, "path": ZONE, "type": "replace"}]
    plan = eve.body(f"{href}/plan")
    assert (plan["changes"], plan["problems"]) == (1, [])
    assert "link /etc/localtime" in [one["action"] for one in plan["actions"]]
    assert eve.body(reply.meta["commit"])["state"] == "proposed"
    body = office.accepted(href, reason="fine")
    assert (body["state"], body["revision"], body["waits_for"]) == ("done", before + 1, [])
    [said] = body["decisions"]
    assert (said["user"], said["decision"], said["reason"], said["void"]) == ("eve", "accept", "fine", False)
    assert office.admin.body(ZONE) == "Europe/Zurich"
    revision = office.admin.body(f"/api/revisions/{before + 1}")
    assert (revision["author"], revision["approvers"]) == ("ann", ["eve"])
    assert "emergency" not in revision
    assert ann.commit("closer to home", headers={"Idempotency-Key": "zone-1"}).ok().meta["revision"] == before + 1
    eve.put(href, {"decision": "accept"}).is_error(409, "Conflict")


def test_who_may_decide_and_who_may_look(office: ApprovalSite) -> None:
    href = office.proposed(office.zone())
    office.callers["ann"].put(href, {"decision": "accept"}).is_error(403, "Unauthorized", code="no_approver")
    office.callers["kim"].put(href, {"decision": "reject"}).is_error(403, "Unauthorized", code="no_approver")
    office.callers["eve"].delete(href).is_error(403, "Unauthorized", code="no_approver")
    office.callers["eve"].put(href, {"decision": "perhaps"}).refuses("InvalidRequestBody", ("enum", "/decision"))
    office.callers["eve"].get(f"{PROPOSALS}/none").is_error(404, "NotFound")
    assert href in [item["meta"]["href"] for item in office.callers["bob"].get(f"{PROPOSALS}?state=open").ok().json["items"]]
    assert office.callers["ann"].delete(href).ok().json["body"]["state"] == "withdrawn"
    assert href not in [item["meta"]["href"] for item in office.callers["bob"].get(f"{PROPOSALS}?state=open").ok().json["items"]]
    second = office.proposed(office.zone())
    body = office.callers["bob"].put(second, {"decision": "reject", "reason": "no"}).ok().json["body"]
    assert (body["state"], body["error"]) == ("rejected", {"reason": "bob rejected it: no"})


def test_a_conflict_is_told_and_kept(office: ApprovalSite) -> None:
    first, second = office.proposed(office.zone()), None
    office.callers["kim"].put(ZONE, "Asia/Tokyo").ok()
    second = office.proposed(office.callers["kim"].commit())
    office.accepted(second)
    refusal = office.callers["eve"].put(first, {"decision": "accept"}).is_error(409, "Conflict", paths=[ZONE])
    assert refusal.error["details"]["conflicts"][0]["author"] == "kim"
    assert office.callers["eve"].body(first)["state"] == "conflicting"
    assert office.callers["eve"].body(f"{first}/plan")["conflicts"] == [ZONE]
    office.callers["ann"].delete(first).ok()


def test_a_trial_begins_at_the_acceptance_and_its_author_confirms(office: ApprovalSite) -> None:
    ann = office.callers["ann"]
    ann.put(NTP, SERVERS).ok()
    href = office.proposed(ann.commit(confirm_seconds=600))
    assert "confirm_remaining_seconds" not in ann.get(TRANSACTION).meta
    office.accepted(href)
    assert ann.get(TRANSACTION).meta["confirm_user"] == "ann"
    ann.put(TRANSACTION, {"status": "confirm"}).ok()
    assert office.admin.body(NTP) == SERVERS


def test_an_emergency_goes_through_marked(office: ApprovalSite) -> None:
    kim, ann, before = office.callers["kim"], office.callers["ann"], office.revision()
    for caller in (kim, ann):
        caller.put(WEB, {"timeout": 30}).ok()
    ann.commit("I say so", emergency=True).is_error(403, "Unauthorized", code="emergency_group")
    kim.commit(emergency=True).refuses("SemanticError", ("message_required", "/commit_message"))
    assert kim.commit("fire", emergency=True).ok().meta["revision"] == before + 1
    assert office.admin.body(f"/api/revisions/{before + 1}")["emergency"] is True
    until(lambda: "doorwardEmergencyChange" in "".join(office.server.errors), what="the alert")
    ann.delete(TRANSACTION)


def test_an_emergency_in_one_request_goes_through_marked(office: ApprovalSite) -> None:
    kim, ann, before = office.callers["kim"], office.callers["ann"], office.revision()
    batch = {"changes": [{"method": "PUT", "path": WEB, "body": {"timeout": 31}}], "emergency": True}
    ann.post("/api/commits", batch | {"commit_message": "I say so"}).is_error(403, "Unauthorized", code="emergency_group")
    kim.post("/api/commits", batch).refuses("SemanticError", ("message_required", "/commit_message"))
    bearer = Bearer(office.server, token(kim))
    bearer.post("/api/commits", batch | {"commit_message": "fire"}).is_error(403, "Unauthorized", code="takes_a_person")
    bearer.close()
    assert office.revision() == before
    assert kim.post("/api/commits", batch | {"commit_message": "fire"}).ok().meta["revision"] == before + 1
    assert office.admin.body(f"/api/revisions/{before + 1}")["emergency"] is True


def test_the_own_password_needs_nobody(office: ApprovalSite) -> None:
    bob = office.callers["bob"]
    bob.put("/api/user/password", {"current": SECRET, "new": SECRET + "!"}).ok()
    bob.put("/api/user/password", {"current": SECRET + "!", "new": SECRET}).ok()


# No way around: every request that changes something, as admin, who may do everything


def by_put(office: ApprovalSite) -> Reply:
    return office.zone(office.admin)


def by_post(office: ApprovalSite) -> Reply:
    office.admin.post(USERS, {"name": "max"}).ok(201)
    return office.admin.commit()


def by_delete(office: ApprovalSite) -> Reply:
    office.admin.delete(f"{USERS}/{office.keys['kim']}").ok()
    office.admin.put(f"{GROUPS}/{office.keys['firemen']}", {"members": [], "name": "firemen"}).ok()
    return office.admin.commit()


def by_batch(office: ApprovalSite) -> Reply:
    change = {"body": "America/Lima", "method": "PUT", "path": ZONE}
    return office.admin.post("/api/commits", {"changes": [change], "commit_message": "at once"})


def by_revision(office: ApprovalSite) -> Reply:
    office.admin.post("/api/revisions/1/restore").ok()
    return office.admin.commit()


def by_part_of_a_revision(office: ApprovalSite) -> Reply:
    office.admin.post("/api/revisions/1/restore", {"paths": ["/api/configuration/datetime"]}).ok()
    return office.admin.commit()


def by_token(office: ApprovalSite) -> Reply:
    bearer = Bearer(office.server, token(office.admin))
    reply = office.zone(bearer)
    href = office.proposed(reply)
    bearer.put(href, {"decision": "accept"}).is_error(403, "Unauthorized", code="takes_a_person")
    bearer.put(ZONE, "America/Lima").ok()
    bearer.commit("fire", emergency=True).is_error(403, "Unauthorized", code="takes_a_person")
    bearer.close()
    return reply


def by_drift(office: ApprovalSite) -> Reply:
    file = office.server.state / "root/etc/timezone"
    (office.server.state / "root/etc/localtime").unlink()
    (office.server.state / "root/etc/localtime").symlink_to("/usr/share/zoneinfo/America/Lima")
    file.write_text("America/Lima\n")
    until(lambda: office.admin.get("/api/drift").ok().json["drift"], what="the drift")
    office.admin.post("/api/drift/adopt").ok()
    return office.admin.commit()


def by_promotion(office: ApprovalSite) -> Reply:
    office.admin.put(INTERFACE, {"enabled": True, "listen_address": address_key(office.admin)}).ok()
    office.admin.post(PROMOTE, {}).ok(201)
    return office.admin.commit()


def by_joining_a_cluster(office: ApprovalSite) -> Reply:
    office.admin.put(INTERFACE, {"enabled": True, "listen_address": address_key(office.admin)}).ok()
    office.admin.post(JOIN, ASK).ok(201)
    return office.admin.commit()


def by_switching_it_off(office: ApprovalSite) -> Reply:
    office.admin.put(APPROVAL, {"enabled": False}).ok()
    return office.admin.commit()


def by_joining_the_group(office: ApprovalSite) -> Reply:
    body = office.admin.body(f"{GROUPS}/{office.keys['security']}")
    office.admin.put(f"{GROUPS}/{office.keys['security']}", {**body, "members": [*body["members"], "-1"]}).ok()
    return office.admin.commit()


WAYS: list[Callable[[ApprovalSite], Reply]] = [
    by_put, by_post, by_delete, by_batch, by_revision, by_part_of_a_revision, by_token, by_drift, by_promotion,
    by_joining_a_cluster, by_switching_it_off, by_joining_the_group,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_every_way_to_change_something_makes_a_proposal(office: ApprovalSite, way: Callable[[ApprovalSite], Reply]) -> None:
    before, body = office.revision(), office.admin.body(APPROVAL)
    href = office.proposed(way(office))
    office.admin.put(href, {"decision": "accept"}).is_error(403, "Unauthorized", code="no_approver")
    assert (office.revision(), office.admin.body(APPROVAL)) == (before, body)
    assert office.admin.delete(href).ok().json["body"]["state"] == "withdrawn"


def test_a_trial_that_nobody_confirms_goes_back_by_itself(office: ApprovalSite) -> None:
    """What was accepted was accepted as a trial: its end needs nobody, and leaves what was there before."""
    before, ann = office.admin.body(NTP), office.callers["ann"]
    ann.put(NTP, [*SERVERS, {"selection": "ip", "value": "192.0.2.78"}]).ok()
    href = office.proposed(ann.commit(confirm_seconds=10))
    tried = office.accepted(href)["revision"]
    until(lambda: office.revision() > tried, what="the way back")
    assert office.admin.body(NTP) == before
    assert office.admin.body(f"/api/revisions/{office.revision()}")["author"] == "doorward"
    assert office.admin.get(f"{PROPOSALS}?state=open").ok().json["items"] == []


def test_a_repair_of_the_host_changes_no_setting_and_needs_nobody(office: ApprovalSite) -> None:
    before, file = office.revision(), office.server.state / "root/etc/timezone"
    zone = f"{office.admin.body(ZONE)}\n"
    file.write_text("America/Bogota\n")
    until(lambda: office.admin.get("/api/drift").ok().json["drift"], what="the drift")
    office.callers["ann"].post("/api/drift/repair").is_error(403, "Unauthorized")
    office.admin.post("/api/drift/repair").ok()
    assert file.read_text() == zone
    assert office.revision() == before


def test_an_archive_is_not_restored_past_it(office: ApprovalSite, login: Callable[..., Caller]) -> None:
    office.zone(office.admin)  # what the archive does not have
    exported = office.admin.post(EXPORTS, {"encryption": {"selection": "none"}}).ok(201).meta["href"]
    data = office.admin.get(f"{exported}/download").body
    office.accepted(office.proposed(office.zone(office.callers["ann"])))
    before = office.revision()
    upload = office.admin.post(UPLOAD, content=data, headers={"Content-Type": "application/octet-stream"}).ok(201).json["key"]
    order = {"scope": "configuration", "source": {"selection": "upload", "value": upload}}
    done = office.admin.post(RESTORES, order, headers={"Prefer": "wait=60"}).ok(202).json["body"]
    assert (done["result"], done["code"]) == ("failed", "approval_required"), done
    assert office.revision() == before


def test_a_node_is_not_accepted_past_it(office: ApprovalSite) -> None:
    """On Central Management, which the node becomes by a proposal like any other."""
    office.accepted(office.proposed(by_promotion(office)))
    before = office.revision()
    office.admin.post(NODES, ACCEPT).ok(201)
    href = office.proposed(office.admin.commit())
    assert [item["key"] for item in office.admin.get(NODES).ok().json["items"]] != [ACCEPT["node_id"]]
    assert office.revision() == before
    office.admin.put(href, {"decision": "accept"}).is_error(403, "Unauthorized", code="no_approver")
    office.accepted(href)
    assert ACCEPT["node_id"] in [item["key"] for item in office.admin.get(NODES).ok().json["items"]]
    office.admin.delete(f"{NODES}/{ACCEPT['node_id']}").ok()
    gone = office.proposed(office.admin.commit())
    assert office.admin.delete(gone).ok().json["body"]["state"] == "withdrawn"


def test_setup_is_over(office: ApprovalSite) -> None:
    office.admin.post("/api/setup", {"administration": {"admin_password": PASSWORD}}).is_error(409, "Conflict")


def test_proposals_live_through_a_restart(office: ApprovalSite, server: Server) -> None:
    href = office.proposed(office.zone(office.callers["kim"]))
    office.admin.close()
    for caller in office.callers.values():
        caller.close()
    server.kill()
    server.start()
    eve = logged_in(server, "eve", SECRET)
    assert eve.body(href)["state"] == "waiting"
    assert eve.put(href, {"decision": "accept"}).ok().json["body"]["state"] == "done"
    eve.close()
