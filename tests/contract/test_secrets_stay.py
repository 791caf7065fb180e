"""Over the wire: a stored password or key is sent to nobody but the server that it was committed for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.wire import GROUPS, PASSWORDS, TRANSACTION, Caller, logged_in, make_user
from tests.support.ports import free_port
from tests.support.server import Server, running
from tests.unit.configuration.policies.samples import HOST_KEY

MAIL = "/api/configuration/management/email"
POLICIES, KEYS = "/api/configuration/policies/backup_policies", "/api/configuration/private_keys"
TESTS = "/api/backup/target_tests"
SECRET = "a long enough password"
ACCOUNTS = {"mailer": "basic-write", "tester": "backup-write"}
HERE = {"selection": "ip", "value": "127.0.0.1"}
OTHER = {"selection": "ip", "value": "127.0.0.2"}
BEYOND = {"selection": "fqdn", "value": "mail.attacker.example"}


class House:
    """A server that sends mail and has a policy, an account for each right, and nobody behind the ports."""

    def __init__(self, server: Server) -> None:
        self.server, self.admin = server, logged_in(server)
        admin, self.port = self.admin, free_port()
        groups = {item["body"]["name"]: item["key"] for item in admin.get(GROUPS).ok().json["items"]}
        for name, group in ACCOUNTS.items():
            make_user(admin, name, SECRET, groups[group])
        password = admin.post(PASSWORDS, {"plain": "of the mail server"}).ok(201).json["key"]
        mail = {
            "smtp_auth": {"enabled": True, "password": password, "username": "doorward"},
            "smtp_encryption": {"selection": "starttls"},
            "smtp_server": HERE,
            "smtp_port": self.port,
        }
        admin.put(MAIL, mail).ok()
        self.key = admin.post(KEYS, {"generate": {"selection": "ed25519"}}).ok(201).json["key"]
        self.target = {
            "authentication_key": self.key,
            "path": "/srv",
            "port": self.port,
            "server": HERE,
            "server_host_keys": [HOST_KEY],
            "type": "rsync",
            "username": "doorward",
        }
        self.policy = admin.post(POLICIES, {"name": "x", "target": self.target}).ok(201).json["key"]
        admin.commit().ok()
        self.callers = {name: logged_in(server, name, SECRET) for name in ACCOUNTS}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("stay") / "state") as server:
        made = House(server)
        yield made
        for caller in (made.admin, *made.callers.values()):
            caller.close()


@pytest.mark.parametrize(
    "change",
    [{"smtp_server": BEYOND}, {"smtp_encryption": {"selection": "disabled"}}, {"smtp_port": 25}],
    ids=lambda change: str(*change),
)
def test_another_mail_server_does_not_get_the_password(house: House, change: dict[str, Any]) -> None:
    mailer = house.callers["mailer"]
    mailer.put(MAIL, {**mailer.body(MAIL), **change}).ok()
    [problem] = mailer.body("/api/transaction/plan")["problems"]
    assert (problem["code"], problem["path"], problem["pointer"]) == ("secret_required", MAIL, "/smtp_auth/password")
    refused = mailer.commit().refuses("SemanticError", ("secret_required", "/smtp_auth/password"))
    assert refused.error["details"]["errors"] == [problem]
    assert mailer.status() == "open"
    fresh = mailer.post(PASSWORDS, {"plain": "brought anew"}).ok(201).json["key"]
    body = mailer.body(MAIL)
    mailer.put(MAIL, {**body, "smtp_auth": {**body["smtp_auth"], "password": fresh}}).ok()
    mailer.commit().ok()
    admin = house.admin
    admin.put(MAIL, {**admin.body(MAIL), "smtp_server": HERE, "smtp_port": house.port}).ok()
    admin.commit().ok()


def tried(caller: Caller, target: dict[str, Any]) -> Any:
    return caller.post(TESTS, {"target": target})


@pytest.mark.parametrize("change", [{"server": OTHER}, {"port": 1}, {"server_host_keys": [HOST_KEY[:-4] + "AAAA"]}], ids=str)
def test_a_target_is_not_tried_with_the_key_of_another(house: House, change: dict[str, Any]) -> None:
    target = {**house.target, **change}
    at = "/target/authentication_key"
    tried(house.callers["tester"], target).refuses("SemanticError", ("secret_required", at))
    assert tried(house.admin, target).ok().json["body"]["result"] == "failed"


@pytest.mark.parametrize("change", [{}, {"path": "/elsewhere"}], ids=str)
def test_a_target_is_tried_with_its_own_key(house: House, change: dict[str, Any]) -> None:
    tester = house.callers["tester"]
    assert tried(tester, {**house.target, **change}).ok().json["body"]["code"] == "connect"
    assert tester.post(TESTS, {"backup_policy": house.policy}).ok().json["body"]["code"] == "connect"


def test_a_key_that_was_let_go_is_used_by_nobody(house: House) -> None:
    """It is still in the store, for a revision to go back to."""
    admin = house.admin
    key = admin.post(KEYS, {"generate": {"selection": "ed25519"}}).ok(201).json["key"]
    policy = admin.post(POLICIES, {"name": "y", "target": {**house.target, "authentication_key": key}}).ok(201)
    admin.commit().ok()
    admin.delete(policy.header("Location")).ok()
    admin.commit().ok()
    for caller in (admin, house.callers["tester"]):
        reply = tried(caller, {**house.target, "authentication_key": key})
        reply.refuses("SemanticError", ("unknown_reference", "/target/authentication_key"))


def test_a_key_that_nothing_owns_is_tried_by_whoever_committed_it(house: House) -> None:
    tester, mailer = house.callers["tester"], house.callers["mailer"]
    for caller in (tester, mailer):
        key = caller.post(KEYS, {"generate": {"selection": "ed25519"}}).ok(201).json["key"]
        caller.commit().ok()
        reply = tried(tester, {**house.target, "authentication_key": key})
        if caller is tester:
            assert reply.ok().json["body"]["code"] == "connect"
        else:
            reply.refuses("SemanticError", ("secret_required", "/target/authentication_key"))
    assert house.admin.body(TRANSACTION)["status"] == "closed"
