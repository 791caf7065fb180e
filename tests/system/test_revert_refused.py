"""A commit that nobody confirms, and that the host refuses to take back: said everywhere, tried again, with a way out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.configuration.aaa.acls import BUILT_IN_GROUPS
from tests.support.ports import free_port
from tests.support.server import QUICK, Client, Server, until
from tests.system.listening import ADMIN_WEB, reachable_at, web, written

NTP = "/api/configuration/datetime/ntp_servers"
USERS = "/api/configuration/aaa/local_database/users"
BASIC_WRITE = f"/api/configuration/aaa/local_database/groups/{BUILT_IN_GROUPS['basic-write']}"
TRANSACTION = "/api/transaction"
SOON = "doorward.transaction.confirmation._FIRST_PAUSE_SECONDS=0.2 doorward.transaction.confirmation._MAX_PAUSE_SECONDS=0.5"
OTHER = "the password of somebody else"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "state", QUICK, {"HASTY": SOON}).start()
    yield made
    made.stop()


def commit(client: Client, **order: Any) -> dict[str, Any]:
    answer = client.put(TRANSACTION, {"status": "commit", **order})
    assert answer.status_code == 200, answer.text
    meta: dict[str, Any] = answer.json()["meta"]
    return meta


def refuse(server: Server) -> None:
    """Put something in the way of the file with the time sources."""
    directory = server.state / "root/etc/chrony/sources.d"
    directory.rename(directory.with_name("away"))
    directory.write_text("in the way")


def let(server: Server) -> None:
    directory = server.state / "root/etc/chrony/sources.d"
    directory.unlink()
    directory.with_name("away").rename(directory)


def not_taken_back(server: Server, client: Client) -> str:
    """A commit that nobody confirms, which the host does not take back; the path of its record."""
    assert client.put(NTP, [{"selection": "ip", "value": "127.0.0.50"}]).status_code == 200
    commit(client)
    assert client.put(NTP, [{"selection": "fqdn", "value": "ntp.later.invalid"}]).status_code == 200
    record: str = commit(client, confirm_seconds=600)["commit"]
    refuse(server)
    server.end_trial()
    until(lambda: client.body(record)["state"] != "awaiting_confirmation", 60)
    return record


def errors(client: Client) -> list[Any]:
    found: list[Any] = client.get("/api/health_status").json()["health_status"]["issues"]["errors"]
    return found


def said(client: Client, record: str) -> str:
    """What health says of it."""
    return "\n".join(one["message"] for one in errors(client) if one["paths"] == [record])


def test_it_is_a_state_of_its_own_that_everybody_is_told_of_and_ends_by_itself(server: Server) -> None:
    client = server.login()
    record = not_taken_back(server, client)
    body = client.body(record)
    assert body["state"] == "revert_failed"
    assert set(body["error"]) == {"action", "path", "reason", "restored"}
    assert body["error"]["path"] == NTP
    assert body["error"]["reason"] in said(client, record)
    meta = client.get(TRANSACTION).json()["meta"]
    assert (meta["confirm_remaining_seconds"], meta["commit"]) == (0, record)
    assert body["error"]["reason"] in meta["revert_failed"]
    assert any("could not be taken back" in line and '"level":"critical"' in line for line in server.errors)
    assert client.put("/api/configuration/management/webinterface", {"timeout": 20}).status_code == 200
    other = client.put(TRANSACTION, {"status": "commit"})
    assert other.status_code == 409, other.text
    error = other.json()["error"]
    assert (error["type"], error["details"]["commit"], error["details"]["user"]) == ("Conflict", record, "admin")
    assert body["error"]["reason"] in error["details"]["reason"]
    assert error["details"]["reason"] in error["message"]
    assert client.delete(TRANSACTION).status_code == 200
    let(server)
    until(lambda: client.body(record)["state"] == "reverted", 60)
    assert client.body(NTP) == [{"selection": "ip", "value": "127.0.0.50"}]
    assert client.body(record)["error"] is None
    assert said(client, record) == ""
    assert client.put("/api/configuration/management/webinterface", {"timeout": 20}).status_code == 200
    commit(client)


def test_who_may_write_everything_can_keep_what_runs(server: Server) -> None:
    admin = server.login()
    key = admin.post("/api/configuration/passwords", {"plain": OTHER}).json()["key"]
    account = admin.post(USERS, {"name": "jane", "password": key}).json()["key"]
    body = admin.body(BASIC_WRITE)
    assert admin.put(BASIC_WRITE, {**body, "members": [*body["members"], account]}).is_success
    commit(admin)
    jane = server.login("jane", OTHER)
    record = not_taken_back(server, jane)
    assert admin.body(record)["user"] == "jane"
    answer = admin.put(TRANSACTION, {"status": "confirm"})
    assert answer.status_code == 200, answer.text
    body = admin.body(record)
    assert (body["state"], body["error"]) == ("done", None)
    assert said(admin, record) == ""
    let(server)
    assert admin.body(NTP) == [{"selection": "fqdn", "value": "ntp.later.invalid"}]
    assert admin.put("/api/configuration/management/webinterface", {"timeout": 20}).status_code == 200
    commit(admin)


def test_an_old_port_that_somebody_took_meanwhile_also_over_a_restart(server: Server) -> None:
    client, old, new = server.login(), server.port, free_port("127.0.0.1")
    key = reachable_at(client)["127.0.0.1"]
    written(client, ADMIN_WEB, web((key, None, new)))
    record = commit(client, confirm_seconds=600)["commit"]
    server.url = f"https://127.0.0.1:{new}"
    client = server.login()
    with socket.create_server(("127.0.0.1", old)):
        server.end_trial()
        until(lambda: client.body(record)["state"] == "revert_failed", 60)
        assert str(old) in client.body(record)["error"]["action"]
        assert said(client, record)
        server.kill()
        server.start()
        assert server.port == new
        client = server.login()
        assert client.body(record)["state"] == "revert_failed"
        assert said(client, record)
        assert client.get(TRANSACTION).json()["meta"]["revert_failed"]
    until(lambda: not _answers(new) and _answers(old), 60)
    server.url = f"https://127.0.0.1:{old}"
    assert server.login().body(record)["state"] == "reverted"


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True
