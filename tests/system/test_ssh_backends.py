"""Sessions through a whole node whose users a real slapd or a real FreeRADIUS knows, with a secret of the credential store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import paramiko
import pytest

from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.server import Client, Server, until
from tests.system import freeradius_support, slapd_support
from tests.system.backup_support import open_directory
from tests.system.freeradius_support import FreeRadius
from tests.system.slapd_support import Slapd
from tests.system.ssh_support import SETTINGS
from tests.system.sshd_support import ACCOUNT, Sshd

TARGET_PASSWORD = "only-the-store-knows"
WITHOUT_CERTIFICATE = {"certificate": {"enabled": False}, "public_key": {"enabled": False}}
BY_PASSWORD = {**WITHOUT_CERTIFICATE, "password": {"enabled": True}, "keyboard_interactive": {"enabled": False}}
BY_QUESTIONS = {**WITHOUT_CERTIFICATE, "password": {"enabled": False}, "keyboard_interactive": {"enabled": True}}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass
class Node:
    """A node before a server; ``ports``: what is listened on for users of the directory, and of RADIUS."""

    admin: Client
    target: Sshd
    ports: dict[str, int]

    @contextmanager
    def connected(self, backend: str) -> Iterator[paramiko.Transport]:
        transport = paramiko.Transport(("127.0.0.1", self.ports[backend]))
        transport.start_client(timeout=60)
        try:
            yield transport
        finally:
            transport.close()

    def name(self, user: str, account: str = ACCOUNT) -> str:
        return f"gu={user}@{account}@127.0.0.1:{self.target.port}"


def post(admin: Client, store: str, value: dict[str, Any]) -> str:
    answer = admin.send("POST", f"/api/configuration/{store}", value)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def password(admin: Client, plain: str) -> str:
    return post(admin, "passwords", {"plain": plain})


def directory(admin: Client, slapd: Slapd, authority: Authority) -> str:
    check = {"enabled": True, "server_certificate_ca": post(admin, "x509", {"certificate": authority.pem})}
    posix = {
        "selection": "posix", "username_attribute": "uid", "memberof_check": {"enabled": False},
        "membership_check": {"enabled": True, "member_uid_attribute": "memberUid"},
    }  # fmt: skip
    value = {
        "name": "people",
        "servers": [{"host": {"selection": "ip", "value": "127.0.0.1"}, "port": slapd.port}],
        "encryption": {"selection": "starttls", "server_certificate_check": check},
        "bind_dn": slapd_support.BINDER,
        "bind_password": password(admin, slapd_support.BINDER_PASSWORD),
        "user_base_dn": f"ou=people,{slapd_support.BASE}",
        "group_base_dn": f"ou=groups,{slapd_support.BASE}",
        "schema": posix,
    }
    return post(admin, "policies/ldap_servers", value)


def rule(groups: Sequence[str], hours: str) -> dict[str, Any]:
    """Commands, for who is in a group at the gateway, within some hours."""
    return {
        "actions": {"audit": True, "content_policy": None, "four_eyes": False, "keep_files": False},
        "channel": "session-exec", "clients": [], "execs": [], "gateway_groups": list(groups), "remote_groups": [], "servers": [],
        "time_policy": hours,
    }  # fmt: skip


def other_days(admin: Client) -> str:
    """A time policy for a day that neither is nor begins soon, wherever the node is."""
    today = datetime.now(UTC).weekday()
    return post(admin, "policies/time_policies", {"name": "other_days", DAYS[(today + 3) % 7]: [["9:00", "17:00"]]})


def configure(admin: Client, target: Sshd, slapd: Slapd, freeradius: FreeRadius, authority: Authority) -> dict[str, int]:
    store = post(
        admin,
        "policies/credentialstores",
        {
            "name": "servers",
            "credentials": [{"host": "127.0.0.1/32", "username": ACCOUNT, "password": password(admin, TARGET_PASSWORD)}],
        },
    )
    mapping = post(
        admin,
        "policies/usermapping_policies",
        {"name": "dba", "rules": [{"gateway_groups": ["dba"], "server_username": ACCOUNT}]},
    )
    rules = {
        "dba": [rule(["nobody_is_in_it"], "-100"), rule(["dba"], "-100")],
        "anybody": [rule([], "-100")],
        "later": [rule(["dba"], other_days(admin))],
    }
    channels = {name: post(admin, "ssh/channel_policies", {"name": name, "rules": some}) for name, some in rules.items()}
    servers = [
        {
            "host": {"selection": "ip", "value": "127.0.0.1"},
            "port": freeradius.port,
            "secret": password(admin, freeradius_support.SECRET),
        }
    ]
    relayed = {"relayed": [{"selection": "credential_store"}], "require": []}
    by_ldap = {"name": "directory", "backend": {"selection": "ldap"}, "client": BY_PASSWORD, **relayed}
    by_radius = {"name": "radius", "client": BY_QUESTIONS, **relayed}
    by_radius["backend"] = {"selection": "radius", "servers": servers, "timeout": 20}
    ldap_key = post(admin, "ssh/authentication_policies", by_ldap)
    radius_key = post(admin, "ssh/authentication_policies", by_radius)
    people = {"ldap_server": directory(admin, slapd, authority)}
    ports = {name: free_port() for name in ("ldap", "radius", "later")}
    chosen = {
        "ldap": {"authentication_policy": ldap_key, "channel_policy": channels["dba"], "usermapping_policy": mapping, **people},
        "radius": {"authentication_policy": radius_key, "channel_policy": channels["anybody"]},
        "later": {"authentication_policy": ldap_key, "channel_policy": channels["later"], **people},
    }
    for name, port in ports.items():
        host_key = post(admin, "private_keys", {"generate": {"selection": "ed25519"}})
        connection = {
            "name": name,
            "network": {"clients": ["127.0.0.0/8"], "ports": [port], "targets": ["127.0.0.1/32"]},
            "client_side_hostkeys": {"selection": "own", "keys": [host_key]},
            "server_address": {
                "selection": "inband",
                "domains": [{"domain": {"selection": "address", "value": "127.0.0.1/32"}, "port": None}],
            },
            "policies": {
                "audit_policy": "78101850949e47437dd91d",
                "settings": "-300",
                "credential_store": store,
                **chosen[name],
            },
        }
        post(admin, "ssh/connections", connection)
    on = {
        "channel_database_cleanup": {"enabled": False},
        "gssapi": {"enabled": False},
        "service": {"enabled": True, "log_level": 4},
    }
    answer = admin.put("/api/configuration/ssh/options", on)
    assert answer.status_code == 200, answer.text
    committed = admin.commit()
    assert committed.status_code == 200, committed.text
    body = {"host": "127.0.0.1", "port": target.port, "public_key": target.host_key}
    trusted = admin.send("POST", "/api/ssh-host-keys", body)
    assert trusted.status_code == 201, trusted.text
    return ports


@pytest.fixture(scope="module")
def node(server: Server, admin: Client, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    homes = tmp_path_factory.mktemp("people")
    with open_directory("backends") as directory:
        target = Sshd(directory / "target", [], password=TARGET_PASSWORD, settings=SETTINGS).start()
        slapd, freeradius = Slapd(homes / "ldap", authority).start(), FreeRadius(homes / "raddb").start()
        try:
            yield Node(admin, target, configure(admin, target, slapd, freeradius, authority))
        finally:
            for daemon in (freeradius, slapd, target):
                daemon.stop()


def output(transport: paramiko.Transport, command: str) -> str:
    channel = transport.open_session(timeout=60)
    channel.exec_command(command)
    return str(channel.makefile().read().decode())


def sessions(admin: Client, user: str) -> list[dict[str, Any]]:
    """The sessions of a user of the gateway that came to a server and have ended."""
    fields = "user.gateway_username,user.server_username,active,verdict"
    answer = admin.get("/api/audit/sessions", params={"q": f"user.gateway_username:{user}", "fields": fields})
    assert answer.status_code == 200, answer.text
    bodies = [item["body"] for item in answer.json()["items"]]
    return [body for body in bodies if body["user"].get("server_username") and not body["active"]]


def test_who_the_directory_knows_comes_in_by_its_groups(node: Node) -> None:
    with node.connected("ldap") as client:
        with pytest.raises(paramiko.AuthenticationException):
            client.auth_password(node.name("alice"), "wrong", fallback=False)
        client.auth_password(node.name("alice"), slapd_support.ALICE_PASSWORD, fallback=False)
        assert output(client, "echo in; id -un") == f"in\n{ACCOUNT}\n"
    found = until(lambda: sessions(node.admin, "alice"), what="the row")
    assert found[0]["user"] == {"gateway_username": "alice", "server_username": [ACCOUNT]}


def test_who_the_directory_knows_may_be_whom_the_mapping_names(node: Node) -> None:
    with node.connected("ldap") as client, pytest.raises(paramiko.SSHException):
        client.auth_password(node.name("alice", "root"), slapd_support.ALICE_PASSWORD, fallback=False)


def test_a_command_outside_the_hours_is_refused(node: Node) -> None:
    with node.connected("later") as client:
        client.auth_password(node.name("alice"), slapd_support.ALICE_PASSWORD, fallback=False)
        with pytest.raises(paramiko.SSHException):
            output(client, "id")


def answering(*answers: str) -> Callable[[str, str, list[tuple[str, bool]]], list[str]]:
    """Answer questions one after the other; what is asked without a question gets none."""
    left = list(answers)
    return lambda _title, _instructions, prompts: [left.pop(0) for _ in prompts]


def test_a_token_of_radius_is_asked_for(node: Node) -> None:
    with node.connected("radius") as client:
        handler = answering(freeradius_support.TOKEN_PASSWORD, freeradius_support.CODE)
        client.auth_interactive(node.name("token"), handler)
        assert output(client, "echo in") == "in\n"
    until(lambda: sessions(node.admin, "token"), what="the row")


@pytest.mark.parametrize("answers", [("wrong",), (freeradius_support.TOKEN_PASSWORD, "000000"), (freeradius_support.CODE,)])
def test_a_wrong_answer_to_radius_stays_outside(node: Node, answers: tuple[str, ...]) -> None:
    with node.connected("radius") as client, pytest.raises(paramiko.SSHException):
        client.auth_interactive(node.name("token"), answering(*answers))


def test_the_secret_of_the_store_is_seen_nowhere(node: Node, server: Server) -> None:
    shown = node.admin.get("/api/audit/sessions").text + "\n".join(server.errors)
    assert TARGET_PASSWORD not in shown
    assert slapd_support.ALICE_PASSWORD not in shown
    assert freeradius_support.TOKEN_PASSWORD not in shown
