"""A cluster of three real nodes: what Central Management commits is in effect on the others, whole or not at all."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.cluster.calls import MAX_WAIT
from tests.support.members import INTERFACE, JOIN, NIC, NODES, NTP, STATUS, ZONE, Member, members
from tests.support.server import PASSWORD, until
from tests.system.chrony_support import SOURCES, listed, need_chrony
from tests.system.sshd_support import key_pair

OWN = "/api/configuration/troubleshooting"
USERS, PASSWORDS = "/api/configuration/aaa/local_database/users", "/api/configuration/passwords"
HOST_KEYS = "/api/ssh-host-keys"
SECRET = "correct horse battery"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Member]]:
    need_chrony()
    with members(tmp_path_factory.mktemp("cluster"), 3) as found:
        for node in found[1:]:
            node.join(found[0], "managed-host", "search-local")
        yield found


@pytest.fixture
def nodes(three: list[Member]) -> Iterator[tuple[Member, Member, Member]]:
    central, one, other = three
    yield central, one, other
    for member in three:
        member.client.delete("/api/transaction")


def ip(address: str) -> dict[str, str]:
    return {"selection": "ip", "value": address}


def zone_of(member: Member) -> str:
    return str((member.state / "root/etc/localtime").readlink()).removeprefix("/usr/share/zoneinfo/")


def refusals(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [problem["code"] for problem in answer.json()["error"]["details"]["errors"]]


def set_time(central: Member, server: str, zone: str) -> None:
    central.ok("PUT", NTP, [ip(server)])
    central.ok("PUT", ZONE, zone)
    central.commit("time for all")


def test_a_change_is_in_effect_and_proven_on_every_node_within_seconds(nodes: tuple[Member, Member, Member]) -> None:
    central, *others = nodes
    set_time(central, "127.0.0.41", "Europe/Budapest")
    began = time.monotonic()
    central.settled(*others)
    assert time.monotonic() - began < MAX_WAIT, "nodes are told, and did not ask at the end of a wait"
    for node in others:
        assert listed(node.state) == ["127.0.0.41"]
        assert zone_of(node) == "Europe/Budapest"
        assert node.body("/api/time_status")["timezone"]["name"] == "Europe/Budapest"
        revision = node.client.get("/api/revisions?limit=1").json()["items"][0]["body"]
        assert (revision["author"], revision["commit_message"]) == (
            "central-management: admin", "central-management: time for all"
        )  # fmt: skip


def test_host_keys_of_servers_are_trusted_on_every_node(nodes: tuple[Member, Member, Member], tmp_path: Path) -> None:
    central, one, other = nodes
    keys = [key_pair(tmp_path, name)[1] for name in ("first", "second")]
    for member, host, key in ((central, "db1", keys[0]), (one, "db2", keys[1])):
        assert member.send("POST", HOST_KEYS, {"host": host, "port": 22, "public_key": key}).status_code == 201

    def trusted(*members: Member) -> list[list[str]]:
        return [[item["body"]["public_key"] for item in member.shown(HOST_KEYS)["items"]] for member in members]

    until(lambda: trusted(*nodes) == [keys] * 3, what="the keys")
    known = f"{HOST_KEYS}/ssh-ed25519-db2:22"
    refused = one.send("DELETE", known)
    assert (refused.status_code, refused.json()["error"]["details"]["code"]) == (409, "from_central_management")
    assert central.send("DELETE", known).status_code == 200
    until(lambda: trusted(one, other) == [keys[:1]] * 2, what="the end of trust")


def test_every_node_knows_its_roles_and_the_others(nodes: tuple[Member, Member, Member]) -> None:
    central, *others = nodes
    wanted = central.client.get(NODES).json()["items"]
    assert len(wanted) == 3
    for node in others:
        assert node.client.get(NODES).json()["items"] == wanted
        assert node.body("/api/info")["roles"] == ["managed-host", "search-local"]
        status = node.client.get(STATUS).json()
        assert [item["key"] for item in status["items"]] == [node.id]
        assert (status["central_management"]["address"], status["central_management"]["reachable"]) == (central.address, True)
        assert refusals(node.client.post(NODES, {"address": "127.0.0.9", "node_id": node.id, "psk": "x" * 64})) == ["not_central"]


def test_accounts_and_their_secrets_are_the_same_everywhere_under_keys_of_their_own(
    nodes: tuple[Member, Member, Member],
) -> None:
    central, *others = nodes
    key = central.ok("POST", PASSWORDS, {"plain": SECRET})["key"]
    central.ok("POST", USERS, {"name": "jane", "password": key})
    central.commit()
    central.settled(*others)
    for node in others:
        assert node.server.client().get("/api/authentication", auth=("jane", SECRET)).status_code == 200
    rows = [kept(member, key) for member in nodes]
    assert len(set(rows)) == 3
    for member in nodes:
        found = [path for path in member.state.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert found == []
        assert SECRET not in "".join(member.server.errors)


def kept(member: Member, key: str) -> bytes:
    with sqlite3.connect(f"{(member.state / 'doorward.db').as_uri()}?mode=ro", uri=True) as store:
        found: bytes = store.execute("SELECT sealed FROM secrets WHERE key = ?", (key,)).fetchone()[0]
    return found


def test_a_managed_host_writes_what_is_its_own_and_nothing_else(nodes: tuple[Member, Member, Member]) -> None:
    central, node, _ = nodes
    for answer in (node.client.put(ZONE, "Etc/UTC"), node.client.post(NTP, ip("127.0.0.9")), node.client.post(USERS, {})):
        assert refusals(answer) == ["from_central_management"]
        assert central.address in answer.json()["error"]["details"]["errors"][0]["message"]
    assert node.body("/api/transaction")["status"] == "closed"
    node.write(OWN, {**node.body(OWN), "core_files": {"retention_days": 7}})
    assert refusals(node.client.delete(f"{USERS}/-1")) == ["from_central_management"]
    node.client.put(INTERFACE, {"enabled": False})
    assert refusals(node.client.commit()) == ["referenced"]


def test_what_one_node_refuses_leaves_its_old_configuration_whole(nodes: tuple[Member, Member, Member]) -> None:
    central, node, other = nodes
    set_time(central, "127.0.0.42", "Asia/Tokyo")
    central.settled(node, other)
    directory = (node.state / "root" / SOURCES.lstrip("/")).parent
    away = directory.rename(directory.with_name("away"))
    directory.write_text("in the way")
    try:
        set_time(central, "127.0.0.43", "Asia/Kathmandu")
        until(lambda: central.says(node)["sync_status"] == "outdated", 20, "outdated")
        until(lambda: central.says(other)["sync_status"] == "up-to-date", 20, "up-to-date")
        said = central.says(node)
        (issue,) = said["configuration_sync"]["issues"]["errors"]
        assert (said["status"], issue["code"], issue["paths"]) == ("issues", "apply", [NTP])
        assert (node.body(NTP), node.body(ZONE), zone_of(node)) == ([ip("127.0.0.42")], "Asia/Tokyo", "Asia/Tokyo")
        assert (other.body(ZONE), zone_of(other)) == ("Asia/Kathmandu", "Asia/Kathmandu")
        health = node.client.get("/api/health_status").json()["health_status"]["issues"]
        assert any(NTP in found["paths"] for found in health["errors"])
    finally:
        directory.unlink()
        away.rename(directory)
    set_time(central, "127.0.0.44", "Asia/Kathmandu")
    central.settled(node, other)
    assert listed(node.state) == ["127.0.0.44"]


def test_without_the_central_the_nodes_go_on_and_catch_up_when_it_is_back(nodes: tuple[Member, Member, Member]) -> None:
    central, node, other = nodes
    before = node.body(ZONE)
    central.server.kill()

    def sees() -> Any:
        return node.client.get(STATUS).json()["central_management"]

    until(lambda: not sees()["reachable"], 20, "that Central Management is away")
    assert sees()["reason"] == "no_answer"
    assert (node.body(ZONE), zone_of(node)) == (before, before)
    answer = node.client.put(OWN, {**node.body(OWN), "core_files": {"retention_days": 8}})
    assert [warning["code"] for warning in answer.json()["meta"]["warnings"]] == ["central_unreachable"]
    node.commit()
    until(lambda: '"cluster_central_lost"' in "".join(node.server.errors), 20, "the alert")
    refused = node.client.put(ZONE, "Etc/UTC").json()["error"]["details"]["errors"][0]
    assert "has not answered since" in refused["message"]
    warnings = node.client.get("/api/health_status").json()["health_status"]["issues"]["warnings"]
    assert any("has not answered since" in found["message"] for found in warnings)
    central.start()
    set_time(central, "127.0.0.45", "America/New_York")
    central.settled(node, other)
    until(lambda: sees()["reachable"], 20, "that Central Management is back")
    assert zone_of(node) == "America/New_York"


def test_a_central_that_moves_warns_of_nodes_that_were_not_told(nodes: tuple[Member, Member, Member]) -> None:
    central, node, away = nodes
    nic = central.body(NIC)
    [interface] = nic["interfaces"]["@order"]
    addresses = nic["interfaces"][interface]["addresses"]
    [first] = addresses["@order"]
    central.write(NIC, nic | {"interfaces": nic["interfaces"] | {interface: {**nic["interfaces"][interface], "addresses": {
        **addresses, "@order": [first, "other"], "other": "127.0.1.1/8",
    }}}})  # fmt: skip

    def move(address: str) -> None:
        key = f"nic1.interfaces.{interface}.addresses.{address}"
        central.ok("PUT", INTERFACE, {"enabled": True, "listen_address": key})

    def tell(address: str) -> None:
        central.write(f"{NODES}/{central.id}", {"address": address, "roles": ["central-management"]})

    def untold(warnings: list[Any]) -> set[str]:
        (found,) = [found["message"] for found in warnings if found["code"] == "nodes_not_told"] or [""]
        return {member.id for member in (node, away) if member.id in found}

    move("other")
    assert untold(central.body("/api/transaction/plan")["warnings"]) == {node.id, away.id}
    central.ok("DELETE", "/api/transaction")
    away.server.kill()
    tell("127.0.1.1")
    until(lambda: node.central()["address"] == "127.0.1.1", 20, "that one was told")
    until(lambda: node.central()["reachable"], 20, "that it is reached at the earlier address still")
    move("other")
    until(lambda: untold(central.body("/api/transaction/plan")["warnings"]) == {away.id}, 20, "that only one was not")
    assert untold(central.commit()["meta"]["warnings"]) == {away.id}
    until(lambda: node.central()["reachable"], 20, "that Central Management is found at its new address")
    away.start()
    until(lambda: away.central()["reason"] == "no_answer", 20, "that it is looked for in vain")
    away.write(JOIN, {"central_management_address": "127.0.1.1"})
    set_time(central, "127.0.0.46", "Asia/Tokyo")
    central.settled(node, away)
    tell(central.address)
    until(lambda: all(member.central()["address"] == central.address for member in (node, away)), 20, "that they are told")
    central.settled(node, away)
    move(first)
    until(lambda: not untold(central.body("/api/transaction/plan")["warnings"]), 20, "that all have said so")
    assert not untold(central.commit()["meta"].get("warnings", []))
    until(lambda: node.central()["reachable"] and away.central()["reachable"], 20, "that it is back")


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.06, 0.1])
def test_a_node_killed_while_it_takes_a_revision_has_the_old_or_the_new_one(
    nodes: tuple[Member, Member, Member], delay: float
) -> None:
    central, node, _ = nodes
    old, new = (node.body(ZONE), node.body(NTP)), (f"Etc/GMT+{int(delay * 100) + 1}", [ip(f"127.0.0.{50 + int(delay * 100)}")])
    set_time(central, new[1][0]["value"], new[0])
    time.sleep(delay)  # a moment somewhere in the middle
    node.server.kill()
    node.start()
    assert (node.body(ZONE), node.body(NTP)) in {old[0]: [old], new[0]: [new]}[node.body(ZONE)]
    central.settled(node)
    assert (node.body(ZONE), node.body(NTP), zone_of(node)) == (*new, new[0])
    assert listed(node.state) == [new[1][0]["value"]]


def test_a_node_that_leaves_keeps_its_settings_and_can_come_back(nodes: tuple[Member, Member, Member]) -> None:
    central, _, node = nodes
    zone = node.body(ZONE)
    node.ok("DELETE", JOIN)
    node.commit()
    assert node.client.get(JOIN).json()["status"] == "not in cluster"
    assert node.client.get(STATUS).status_code == 404
    assert node.body(ZONE) == zone
    node.write(ZONE, "Etc/UTC")
    asked = node.write(JOIN, {"central_management_address": central.address}, "POST")["body"]
    assert refusals(central.client.post(NODES, asked)) == ["already_in_cluster"]
    central.ok("DELETE", f"{NODES}/{node.id}")
    central.commit()
    node.write(JOIN, {"central_management_address": central.address}, "POST")
    node.join(central, "managed-host")
    assert node.body(ZONE) == central.body(ZONE)


def test_a_node_that_was_removed_while_it_was_away_learns_it_when_it_is_back(nodes: tuple[Member, Member, Member]) -> None:
    central, _, node = nodes
    zone = node.body(ZONE)
    node.server.stop()
    until(lambda: central.says(node)["status"] == "offline", 20, "that it is missed")
    until(lambda: '"cluster_node_offline"' in "".join(central.server.errors), 20, "the alert")
    central.ok("DELETE", f"{NODES}/{node.id}")
    central.commit()
    assert central.client.get(f"{STATUS}/{node.id}").status_code == 404
    node.start()
    until(lambda: node.client.get(JOIN).json()["status"] == "not in cluster", 20, "that it is out")
    assert node.client.get(JOIN).json()["details"] == {"reason": "removed"}
    assert node.body(ZONE) == zone
    assert node.client.get(NODES).json()["items"] == []
    node.write(ZONE, "Etc/UTC")
    node.join(central)
    assert node.client.get(JOIN).json()["details"]["reason"] is None


def test_a_wrong_secret_pairs_nobody_and_a_new_one_does(nodes: tuple[Member, Member, Member], tmp_path: Path) -> None:
    central, *_ = nodes
    node = Member(tmp_path / "late", "127.0.0.4")
    node.start()
    try:
        node.enable()
        asked = node.write(JOIN, {"central_management_address": central.address}, "POST")["body"]
        node.id = asked["node_id"]
        central.write(NODES, {**asked, "psk": "x" * 64}, "POST")
        until(lambda: node.client.get(JOIN).json()["details"]["reason"] == "not_accepted", 30, "a refusal")
        codes = [issue["code"] for issue in central.says(node)["issues"]["warnings"]]
        assert codes == ["psk_mismatch"]
        assert node.client.get(JOIN).json()["status"] == "join requested"
        node.server.kill()  # the request outlives it
        central.write(NODES, asked, "POST")
        central.server.kill()
        central.start()
        node.start()
        until(node.is_in, 30, "a member")
        until(lambda: central.says(node)["status"] == "ok", 20, "a report")
    finally:
        node.server.stop()


def test_the_password_of_every_node_is_that_of_the_central(nodes: tuple[Member, Member, Member]) -> None:
    _, node, _ = nodes
    assert node.server.client().get("/api/authentication", auth=("admin", PASSWORD)).status_code == 200
