"""The way of safeguard-ps into a cluster: find the address, enable the interface, promote, and log in again."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.contract.exchanges import listen_key
from tests.contract.wire import TRANSACTION, Caller, logged_in
from tests.support.members import channel_port
from tests.support.ports import free_port
from tests.support.server import Server, running
from tests.system.listening import ADMIN_WEB

INTERFACE = "/api/configuration/local_services/cluster"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that becomes Central Management, on a port that no test beside has."""
    with running(tmp_path_factory.mktemp("promoted") / "state", options=("--cluster-port", channel_port())) as server:
        yield server


def test_51_the_interface_takes_the_key_of_an_address(admin: Caller) -> None:
    assert admin.body(INTERFACE)["enabled"] is False
    admin.put(INTERFACE, {"enabled": True, "listen_address": listen_key(admin)}).ok()
    assert admin.body(INTERFACE)["enabled"] is True


def test_52_the_interface_takes_what_the_web_interface_shows(admin: Caller) -> None:
    key = admin.body(ADMIN_WEB)["listen"][0]["address"]["key"]
    assert isinstance(key, str)
    admin.put(INTERFACE, {"enabled": True, "listen_address": key}).ok()


def test_44_a_commit_that_moves_the_web_listener_answers_and_then_a_login_works(
    server: Server, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = admin.body(ADMIN_WEB)
    old, new = body["listen"][0]["https_port"], free_port()
    for port, other in ((new, old), (old, new)):
        admin.put(ADMIN_WEB, {**body, "listen": [{**body["listen"][0], "https_port": port}]}).ok()
        admin.commit().ok()
        monkeypatch.setattr(server, "url", f"https://127.0.0.1:{port}")
        again = logged_in(server)
        again.get(ADMIN_WEB).ok()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", other), 5):
            pass
        again.close()


def test_80_the_password_appliance_is_not_joined(admin: Caller) -> None:
    body = {"spp": "192.0.2.9", "spp_api_token": "t", "spp_cert_chain": "PEM"}
    refusal = admin.post("/api/cluster/spp", body).is_error(400, "SemanticError")
    assert [code for code, _ in refusal.codes] == ["not_supported"]
    assert "response" not in refusal.error["details"]


@pytest.mark.parametrize("headers", [{}, {"Content-Type": "application/json"}])
def test_69_promote_with_no_body(admin: Caller, headers: dict[str, str]) -> None:
    admin.post(TRANSACTION).ok()
    admin.put(INTERFACE, {"enabled": True, "listen_address": listen_key(admin)}).ok()
    admin.post("/api/cluster/promote", content=b"", headers=headers).ok(201)


def test_68_the_status_tells_who_is_promoted(server: Server, admin: Caller) -> None:
    assert 400 <= admin.get("/api/cluster/status").status < 500
    admin.put(INTERFACE, {"enabled": True, "listen_address": listen_key(admin)}).ok()
    admin.commit().ok()
    admin.post(TRANSACTION).ok()
    admin.post("/api/cluster/promote", content=b"").ok(201)
    admin.commit().ok()
    again = logged_in(server)
    again.get("/api/cluster/status").ok()
    again.close()
