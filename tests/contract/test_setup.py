"""The setup wizard: a node that waits for its first settings, takes them whole or not at all, and takes them once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.contract.exchanges import EXCHANGES
from tests.support.pki import Authority
from tests.support.server import PASSWORD, Client, Server, until
from tests.support.waiting import PATIENCE

SETUP = "/api/setup"
WIZARD: dict[str, Any] = {"options": ("--setup", "wizard"), "environment": {"DOORWARD_ADMIN_PASSWORD": ""}}
ANSWERS: dict[str, Any] = {
    "accept_eula": True,
    "administration": {"admin_password": PASSWORD, "root_password": "not looked at"},
    "datetime": {"primary_ntp_server": "127.0.9.1", "timezone": "Europe/Budapest"},
    "email": {"admin_email": "a@example.com", "smtp_server": "mail.invalid"},
    "license": "not looked at",
}
SECRET = "planted-in-the-first-settings"


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits all the time."""
    server = Server(tmp_path_factory.mktemp("setup") / "state", **WIZARD).start()
    yield server
    server.stop()


@pytest.fixture
def anybody(waiting: Server) -> Client:
    return waiting.client()


def problems(client: Client, answers: Any, kind: str) -> list[tuple[str, str]]:
    """Send answers that are refused; code and place of each problem."""
    answer = client.post(SETUP, answers)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert error["type"] == kind
    assert {problem.get("path", SETUP) for problem in error["details"]["errors"]} == {SETUP}
    assert state(client) == "uninitialized"
    return [(problem["code"], problem["pointer"]) for problem in error["details"]["errors"]]


def state(client: Client) -> str:
    answer = client.get(SETUP)
    assert answer.status_code == 200
    assert answer.json().keys() == {"meta", "status"}
    return str(answer.json()["status"])


def changed(**members: Any) -> dict[str, Any]:
    return {**ANSWERS, **members}


def test_it_says_that_it_waits(waiting: Server, anybody: Client) -> None:
    assert state(anybody) == "uninitialized"
    assert f"It awaits its first settings: POST {waiting.url}/api/setup.\n" in waiting.output
    assert not (waiting.state / "initial-admin-password").exists()


@pytest.mark.parametrize(
    "path", ["/api", "/api/info", "/api/authentication", "/api/configuration", "/api/transaction", "/nothing"]
)
def test_everything_else_has_to_wait(anybody: Client, path: str) -> None:
    answer = anybody.get(path, auth=("admin", ""))
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "ServiceUnavailable")
    assert "Retry-After" in answer.headers
    assert anybody.get("/api/authentication", auth=("admin", PASSWORD)).status_code == 503


def test_everything_that_is_wrong_is_told_at_once(anybody: Client) -> None:
    answers = {
        "accept_eula": False,
        "administration": {"admin_password": "a\nb"},
        "certificates": {"ca": {}, "webserver": {"certificate": 1}},
        "datetime": {"primary_ntp_server": "a b", "timezone": "Nowhere/Here"},
        "email": {"admin_email": "nobody", "smtp_server": "-"},
        "network": {
            "domainname": "-", "gateway": "x", "hostname": "a.b", "initial_address": "192.0.2.5", "primary_dns": "224.0.0.1",
            "vlantag": 4095,
        },
    }  # fmt: skip
    assert problems(anybody, answers, "InvalidRequestBody") == [
        ("enum", "/accept_eula"),
        ("format", "/administration/admin_password"),
        ("missing", "/certificates/ca/certificate"),
        ("type", "/certificates/webserver/certificate"),
        ("format", "/datetime/primary_ntp_server"),
        ("format", "/datetime/timezone"),
        ("format", "/email/admin_email"),
        ("format", "/email/smtp_server"),
        ("format", "/network/domainname"),
        ("format", "/network/gateway"),
        ("format", "/network/hostname"),
        ("format", "/network/initial_address"),
        ("format", "/network/primary_dns"),
        ("range", "/network/vlantag"),
    ]


def test_what_is_missing_is_named(anybody: Client) -> None:
    assert problems(anybody, {}, "InvalidRequestBody") == [("missing", "/accept_eula"), ("missing", "/administration")]
    answers = {"accept_eula": True, "administration": {}, "network": {}, "datetime": {}}
    assert problems(anybody, answers, "InvalidRequestBody") == [
        ("missing", "/administration/admin_password"),
        ("missing", "/datetime/timezone"),
        ("missing", "/network/domainname"),
        ("missing", "/network/hostname"),
        ("missing", "/network/initial_address"),
    ]


def test_a_password_has_to_be_a_good_one(anybody: Client) -> None:
    found = problems(anybody, changed(administration={"admin_password": "admin"}), "SemanticError")
    assert set(found) == {("weak_password", "/administration/admin_password")}


def test_a_certificate_that_is_none_is_told_by_its_place(anybody: Client) -> None:
    wrong = {"certificate": "-----BEGIN CERTIFICATE-----\n", "private_key": SECRET}
    found = problems(anybody, changed(certificates={"ca": wrong, "tsa": wrong}), "InvalidRequestBody")
    assert found == [("format", "/certificates/ca/certificate"), ("format", "/certificates/tsa/certificate")]


def test_the_answers_of_the_public_client_have_the_right_members(anybody: Client) -> None:
    """As it sends them, only the passwords, certificates and names in the file are place holders."""
    [exchange] = [one for one in EXCHANGES if one["call"] == "Complete-SafeguardSpsWelcomeWizard"]
    answer = anybody.post(SETUP, exchange["body"], headers=exchange["headers"])
    assert answer.status_code == 400
    found = [(problem["code"], problem["pointer"]) for problem in answer.json()["error"]["details"]["errors"]]
    assert found
    assert {code for code, _ in found} == {"format"}
    assert all(pointer.startswith("/certificates/") for _, pointer in found), found


def test_unknown_members_are_errors_for_there_is_no_second_try(waiting: Server, anybody: Client) -> None:
    answers = changed(administration={"admin_password": PASSWORD, "unknown": SECRET}, hidden={"deep": SECRET})
    for headers in ({}, {"Prefer": "handling=strict"}):
        answer = anybody.post(SETUP, answers, headers=headers)
        assert answer.status_code == 400, answer.text
        found = [(p["code"], p["pointer"]) for p in answer.json()["error"]["details"]["errors"]]
        assert found == [("unknown_member", "/administration/unknown"), ("unknown_member", "/hidden")]
        assert state(anybody) == "uninitialized"


def test_what_is_refused_is_not_repeated(waiting: Server, anybody: Client) -> None:
    said = b""
    for body in (
        SECRET,
        [SECRET],
        changed(administration={"admin_password": f"{SECRET}\n", SECRET: 1}),
        {"license": {SECRET: 1}},
    ):
        said += anybody.post(SETUP, body).content
    said += anybody.post(SETUP, content=f'{{"accept_eula":"{SECRET}'.encode()).content
    said += "".join([*waiting.output, *waiting.errors]).encode()
    assert SECRET.encode() not in said.replace(f'"pointer":"/administration/{SECRET}"'.encode(), b"")


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that was restarted while it waited, and then got answers from two at once."""
    server = Server(tmp_path_factory.mktemp("set_up") / "state", **WIZARD).start()
    server.stop()
    server.options = ()
    server.environment = {"DOORWARD_ADMIN_PASSWORD": "is not looked at: this is no first start"}
    server.start()
    notice = "DOORWARD_ADMIN_PASSWORD is ignored: this node awaits its first settings."
    until(lambda: notice in [line.strip() for line in server.errors])
    first, second = server.client(), server.client()
    assert state(first) == "uninitialized"
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda client: client.post(SETUP, ANSWERS), (first, second)))
    assert sorted(answer.status_code for answer in both) == [303, 409]
    [taken] = [answer for answer in both if answer.status_code == 303]
    assert taken.content == b""
    assert taken.headers["Location"] == SETUP
    yield server
    server.stop()


def test_the_answers_are_in_effect_as_one_revision(set_up: Server) -> None:
    client = set_up.login()
    assert state(client) == "completed"
    newest, oldest = client.get("/api/revisions").json()["items"]
    assert (newest["key"], newest["body"]["author"], newest["body"]["commit_message"]) == ("2", "admin", "First settings.")
    assert oldest["body"]["author"] == "doorward"
    root = "/api/configuration"
    assert client.body(f"{root}/datetime/timezone") == "Europe/Budapest"
    assert client.body(f"{root}/datetime/ntp_servers") == [{"selection": "ip", "value": "127.0.9.1"}]
    mail = client.body(f"{root}/management/email")
    assert (mail["admin_address"], mail["smtp_server"]) == ("a@example.com", {"selection": "fqdn", "value": "mail.invalid"})
    assert client.get("/api/health_status").json()["health_status"]["issues"]["errors"] == []


def test_every_later_answer_is_a_conflict(set_up: Server) -> None:
    client = set_up.client()
    for body in (ANSWERS, {}, "nothing", changed(administration={"admin_password": "another good password"})):
        answer = client.post(SETUP, body)
        assert (answer.status_code, answer.json()["error"]["type"]) == (409, "Conflict")
    assert client.post(SETUP, content=b"no JSON").status_code == 409
    assert state(client) == "completed"
    set_up.login()


def test_the_passwords_are_nowhere(set_up: Server) -> None:
    said = "".join([*set_up.output, *set_up.errors]).encode()
    files = b"".join(path.read_bytes() for path in set_up.state.rglob("*") if path.is_file() and not path.is_symlink())
    for secret in (PASSWORD, "not looked at"):
        assert secret.encode() not in said + files
    assert any("root password is ignored" in line for line in set_up.errors)


def test_an_account_can_not_be_put_back_to_none(set_up: Server) -> None:
    """The revision before the first settings has no password: nobody could log in any more."""
    client = set_up.login()
    assert client.post("/api/revisions/1/restore").status_code == 200
    answer = client.commit()
    found = answer.json()["error"]["details"]["errors"]
    assert [(one["code"], one["path"]) for one in found] == [("required_with", "/api/configuration/aaa/local_database/users/-1")]
    client.delete("/api/transaction")


def test_after_a_restart_it_is_still_set_up(set_up: Server) -> None:
    set_up.stop()
    set_up.options = WIZARD["options"]
    set_up.environment = WIZARD["environment"]
    set_up.start()
    assert state(set_up.login()) == "completed"
    assert not any("awaits" in line for line in set_up.output)


def test_the_wizard_and_a_password_are_too_much(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", options=WIZARD["options"], environment={"DOORWARD_ADMIN_PASSWORD": PASSWORD})
    server.start(wait=False)
    assert server.process
    assert server.process.wait(PATIENCE) == 1
    server.stop()
    assert "".join(server.errors).strip() == (
        "doorward can't start: The setup wizard asks for the password of admin; don't set DOORWARD_ADMIN_PASSWORD."
    )


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "At least 12 characters are needed."),
        ("123456789012", "The password is a common one, or the name of the account or the host."),
        ("tab\there, long enough", "Control characters are not allowed."),
        ("x" * 151, "At most 150 characters."),
    ],
)
def test_a_first_password_from_the_environment_obeys_the_policy(tmp_path: Path, password: str, problem: str) -> None:
    server = Server(tmp_path / "state", environment={"DOORWARD_ADMIN_PASSWORD": password}).start(wait=False)
    assert server.process
    assert server.process.wait(PATIENCE) == 1
    server.stop()
    assert (
        "".join(server.errors).strip()
        == f"doorward can't start: DOORWARD_ADMIN_PASSWORD can't be the password of admin: {problem}"
    )
    server.environment = {}
    server.start()
    server.login()
    server.stop()


def test_a_password_in_the_environment_is_ignored_afterwards_with_a_notice(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    assert not any("DOORWARD_ADMIN_PASSWORD" in line for line in server.errors)
    server.stop()
    server.environment = {"DOORWARD_ADMIN_PASSWORD": "short"}
    server.start()
    until(lambda: "DOORWARD_ADMIN_PASSWORD is ignored: admin has a password already." in [e.strip() for e in server.errors])
    server.login()
    server.stop()


def test_the_node_moves_to_its_address_and_shows_its_certificate(tmp_path: Path) -> None:
    """The answer still comes on the old address; from then on the node is at the new one only."""
    authority = Authority()
    server = Server(tmp_path / "state", **WIZARD).start()
    own = authority.identity("doorward7", "127.0.0.77")
    network = {
        "domainname": "Example.com", "gateway": "127.9.9.9", "hostname": "doorward7", "initial_address": "127.0.0.77/8",
        "primary_dns": "127.0.0.53", "vlantag": None,
    }  # fmt: skip
    certificates = {
        "ca": {"certificate": authority.pem},
        "webserver": {"certificate": own.certificate, "private_key": own.private_key},
    }
    answer = server.client().post(SETUP, changed(network=network, certificates=certificates, email=None, datetime=None))
    assert answer.status_code == 303, answer.text
    server.url = f"https://127.0.0.77:{server.port}"
    client = server.login()
    root = "/api/configuration"
    assert client.body("/api/info")["hostname"] == "doorward7"
    assert client.body(f"{root}/network/naming") == {"domainname": "example.com", "hostname": "doorward7", "nickname": None}
    assert client.body(f"{root}/network/dns") == {"primary": "127.0.0.53", "secondary": None}
    assert {"gateway": "127.9.9.9", "target_network": "0.0.0.0/0"} in client.body(f"{root}/network/routing")
    shown = client.body(f"{root}/management/certificates")
    assert shown["ca"]["selection"] == "certificate"
    assert client.body(shown["server"]["meta"]["href"])["certificate"] == own.certificate
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    server.stop()


def test_problems_of_the_whole_are_led_back_to_the_answers(anybody: Client) -> None:
    network = {"domainname": "example.com", "gateway": "192.0.2.1", "hostname": "doorward7", "initial_address": "127.0.0.77/8"}
    authority = Authority()
    certificates = {"webserver": {"certificate": authority.identity("x").certificate}}
    found = problems(anybody, changed(network=network, certificates=certificates), "SemanticError")
    assert ("gateway_unreachable", "/network/gateway") in found
    assert ("unsuitable", "/certificates/webserver/certificate") in found


def test_an_address_that_is_not_there_leaves_the_node_waiting(anybody: Client) -> None:
    network = {"domainname": "example.com", "hostname": "doorward7", "initial_address": "192.0.2.5/24"}
    answer = anybody.post(SETUP, changed(network=network))
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "ApplyFailed")
    assert answer.json()["error"]["details"]["restored"] is True
    assert state(anybody) == "uninitialized"
