"""Changes that take a second person, on two nodes: a managed host is no way around them, and approves nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from tests.contract.test_approval import APPROVAL, EVERYTHING, PROPOSALS, SECRET
from tests.contract.wire import GROUPS, NTP, PASSWORDS, USERS, WEB, ZONE
from tests.support.members import JOIN, LEFT_OPEN, NODES, Member, members
from tests.support.server import Client, until

pytestmark = pytest.mark.filterwarnings(LEFT_OPEN)

OWN = "/api/configuration/troubleshooting"
ACLS = "/api/configuration/aaa/acls"
TOKENS = "/api/user/tokens"


class Pair:
    """A Central Management and a host that it manages; admin writes on both, eve and bob approve."""

    def __init__(self, central: Member, node: Member) -> None:
        self.central, self.node = central, node
        keys = []
        for name in ("eve", "bob"):
            password = central.ok("POST", PASSWORDS, {"plain": SECRET})["key"]
            keys.append(central.ok("POST", USERS, {"name": name, "password": password})["key"])
        central.ok("POST", GROUPS, {"members": keys, "name": "security"})
        lines = [*central.body(ACLS), {"group": "security", "objects": EVERYTHING, "permission": "read"}]
        central.ok("PUT", ACLS, lines)
        rule = {"approvers": "security", "paths": ["/api/configuration"], "required": 1}
        central.write(APPROVAL, {"emergency_group": None, "enabled": True, "expires_hours": 72, "rules": [rule]})
        central.settled(node)
        self.eves = {member.address: member.server.login("eve", SECRET) for member in (central, node)}

    def accepted(self, member: Member, href: str) -> Any:
        answer = self.eves[member.address].put(href, {"decision": "accept"})
        assert answer.status_code == 200, answer.text
        return answer.json()["body"]

    def waiting(self, member: Member) -> list[str]:
        return [item["key"] for item in member.shown(f"{PROPOSALS}?state=open")["items"]]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with members(tmp_path_factory.mktemp("approval"), 2) as (central, node):
        node.join(central, "managed-host", "search-local")
        yield Pair(central, node)


def proposed(answer: httpx2.Response) -> str:
    """Return where the proposal is that a commit became."""
    assert answer.status_code == 202, answer.text
    assert answer.json()["meta"]["waits_for"] == ["security"]
    return str(answer.headers["location"])


def core_files(node: Member) -> dict[str, Any]:
    """Return a body of the node's own that is another than what runs."""
    body = node.body(OWN)
    days = (body.get("core_files") or {}).get("retention_days")
    return {**body, "core_files": {"retention_days": 9 if days != 9 else 8}}


def by_put(node: Member) -> httpx2.Response:
    node.ok("PUT", OWN, core_files(node))
    return node.client.commit()


def by_batch(node: Member) -> httpx2.Response:
    return node.send("POST", "/api/commits", {"changes": [{"body": core_files(node), "method": "PUT", "path": OWN}]})


def by_revision(node: Member) -> httpx2.Response:
    """Back to a revision of the time before the node was managed: what is Central Management's is refused, its own waits."""
    then = next(item["key"] for item in node.shown("/api/revisions?path=" + OWN)["items"])
    node.ok("POST", f"/api/revisions/{int(then) - 1}/restore", {"paths": [OWN]})
    return node.client.commit()


def by_token(node: Member) -> httpx2.Response:
    token = node.ok("POST", TOKENS, {"name": "for the matrix", "expires_days": 1, "rights": "own"})["body"]["token"]
    bearer = {"Authorization": f"Bearer {token}"}
    client: Client = node.server.client()
    assert client.put(OWN, core_files(node), headers=bearer).status_code == 200
    return client.commit(headers=bearer)


def by_leaving(node: Member) -> httpx2.Response:
    node.ok("DELETE", JOIN)
    return node.client.commit()


@pytest.mark.parametrize("way", [by_put, by_batch, by_token, by_leaving], ids=lambda way: way.__name__)
def test_what_is_its_own_waits_on_a_managed_host(pair: Pair, way: Callable[[Member], httpx2.Response]) -> None:
    before, body = pair.node.revision(), pair.node.body(OWN)
    href = proposed(way(pair.node))
    own = pair.node.send("PUT", href, {"decision": "accept"})
    assert (own.status_code, own.json()["error"]["details"]["code"]) == (403, "no_approver")
    assert (pair.node.revision(), pair.node.body(OWN), pair.node.is_in()) == (before, body, True)
    assert pair.waiting(pair.central) == []
    assert pair.node.ok("DELETE", href)["body"]["state"] == "withdrawn"


def test_who_approves_on_central_management_approves_on_its_hosts(pair: Pair) -> None:
    body = core_files(pair.node)
    pair.node.ok("PUT", OWN, body)
    assert pair.accepted(pair.node, proposed(pair.node.client.commit()))["state"] == "done"
    assert pair.node.body(OWN) == body
    assert pair.node.ok("GET", f"/api/revisions/{pair.node.revision()}")["body"]["approvers"] == ["eve"]
    before = pair.node.body(OWN)
    href = proposed(by_revision(pair.node))
    assert pair.node.body(OWN) == before
    pair.node.ok("DELETE", href)


@pytest.mark.parametrize(
    ("path", "body"), [(ZONE, "Etc/UTC"), (WEB, {"timeout": 9}), (APPROVAL, {"enabled": False}), (NTP, []), (ACLS, [])]
)
def test_what_is_of_central_management_is_changed_there_alone(pair: Pair, path: str, body: Any) -> None:
    single = pair.node.send("PUT", path, body)
    batch = pair.node.send("POST", "/api/commits", {"changes": [{"body": body, "method": "PUT", "path": path}]})
    for answer in (single, batch):
        assert answer.status_code == 400, answer.text
        assert [one["code"] for one in answer.json()["error"]["details"]["errors"]] == ["from_central_management"]
    assert pair.waiting(pair.node) == []


def test_what_was_approved_on_central_management_needs_nobody_on_its_hosts(pair: Pair) -> None:
    central, node = pair.central, pair.node
    wanted = "Asia/Tokyo" if node.zone() != "Asia/Tokyo" else "Europe/Vienna"
    before, revision = node.zone(), node.revision()
    central.ok("PUT", ZONE, wanted)
    href = proposed(central.client.commit("for all"))
    assert (central.zone(), node.zone(), node.revision()) == (before, before, revision)
    assert pair.accepted(central, href)["state"] == "done"
    until(lambda: node.zone() == wanted, what="the zone on the host")
    assert pair.waiting(node) == []
    found = node.ok("GET", f"/api/revisions?path={ZONE}&limit=1")["items"][0]["body"]
    assert (found["author"], found["commit_message"]) == ("central-management: admin", "central-management: for all")


def test_a_host_is_not_set_free_around_approval(pair: Pair) -> None:
    """Without its role it would be its own master: its roles and its membership are guarded on Central Management."""
    central, node = pair.central, pair.node
    central.ok("PUT", f"{NODES}/{node.id}", {"address": node.address, "roles": []})
    roles = proposed(central.client.commit())
    central.ok("DELETE", f"{NODES}/{node.id}")
    removal = proposed(central.client.commit())
    assert central.body(f"{NODES}/{node.id}")["roles"] == ["managed-host", "search-local"]
    for href in (roles, removal):
        central.ok("DELETE", href)
    assert node.is_in()
