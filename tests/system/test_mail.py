"""Mail to a real SMTP server: protection, logins, every way to fail, alerts, and a queue that survives."""

from __future__ import annotations

import socket
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.server import Client, Server, until
from tests.system.mail_server import MailServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EMAIL = "/api/configuration/management/email"
ALERTS = "/api/configuration/alerting/system_alerts"
SECRET = "pässwörd of the mail server"
ADMIN = "admin@example.com"
CALM = {name: {"email": False} for name in ("disk_full", "load_high", "swap_full", "time_sync_lost")}
"""Alerts of a machine that is busy with other tests."""
CLEAR = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
"""For servers that take logins in clear text: the library knows that it is unwise."""


@pytest.fixture(scope="module", autouse=True)
def calm(admin: Client) -> None:
    """Switch the alerts of a busy machine off."""
    committed(admin, {}, {})


@pytest.fixture
def certificate(authority: Authority, tmp_path: Path) -> tuple[Path, Path]:
    return authority.identity("mail").written(tmp_path, "mail")


def posted(client: Client, store: str, value: Any) -> str:
    answer = client.send("POST", f"/api/configuration/{store}", value)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def settings(port: int, encryption: Any = None, login: Any = None, **others: Any) -> dict[str, Any]:
    found = {"admin_address": ADMIN, "smtp_port": port, "smtp_server": {"selection": "ip", "value": "127.0.0.1"}, **others}
    return found | ({"smtp_encryption": encryption} if encryption else {}) | ({"smtp_auth": login} if login else {})


def committed(client: Client, value: Any, alerts: Any = None) -> list[str]:
    """Commit mail settings, and which alerts are sent; return the codes of the warnings."""
    if alerts is not None:
        assert client.put(ALERTS, CALM | alerts).status_code == 200
    answer = client.put(EMAIL, value)
    assert answer.status_code == 200, answer.text
    answer = client.commit()
    assert answer.status_code == 200, answer.text
    return [warning["code"] for warning in answer.json()["meta"].get("warnings", [])]


def tried(client: Client, recipient: str | None = None) -> dict[str, Any]:
    answer = client.send("POST", "/api/tools/mailtest", {"recipient": recipient})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()["body"]
    return body


def protected(client: Client, selection: str, authority: Authority, identity: str | None = None) -> dict[str, Any]:
    key = posted(client, "x509", {"certificate": authority.pem})
    found: dict[str, Any] = {
        "selection": selection,
        "server_certificate_check": {"enabled": True, "server_certificate_ca": key},
    }
    return found | ({"client_authentication": {"enabled": True, "x509_identity": identity}} if identity else {})


def login(client: Client, password: str = SECRET) -> dict[str, Any]:
    return {"enabled": True, "password": posted(client, "passwords", {"plain": password}), "username": "doorward"}


def test_starttls_with_a_login(admin: Client, authority: Authority, certificate: tuple[Path, Path]) -> None:
    with MailServer(certificate, accounts={"doorward": SECRET}) as mail:
        assert committed(admin, settings(mail.port, protected(admin, "starttls", authority), login(admin))) == []
        assert mail.connections == 0, "a commit sends nothing"
        assert tried(admin) == {"code": None, "message": f"127.0.0.1 took the mail for {ADMIN}.", "result": "sent"}
        [received] = mail.mails
        assert mail.logins == [("doorward", SECRET)]
        assert received.encrypted
        assert received.recipients == [ADMIN]
        assert received.sender.startswith("doorward@")
        assert received.message["From"].addresses[0].addr_spec == received.sender
        assert received.message["Auto-Submitted"] == "auto-generated"
        assert received.message["Date"].datetime.tzinfo is not None


def test_tls_from_the_start_with_a_certificate_of_the_client(
    admin: Client, authority: Authority, certificate: tuple[Path, Path]
) -> None:
    shown = authority.identity("doorward as a client")
    with MailServer(certificate, client_authority=authority.pem, from_the_start=True) as mail:
        body = {"certificate": shown.certificate, "private_key": shown.private_key}
        encryption = protected(admin, "tls", authority, posted(admin, "x509", body))
        committed(admin, settings(mail.port, encryption, sender_address="appliance@example.com"))
        assert tried(admin, "somebody@example.com")["result"] == "sent"
        [received] = mail.mails
        assert (received.client, received.sender) == ("doorward as a client", "appliance@example.com")
        assert received.recipients == ["somebody@example.com"]


@CLEAR
def test_clear_text_is_possible_and_a_password_in_it_warned_of(admin: Client) -> None:
    with MailServer(accounts={"doorward": SECRET}) as mail:
        assert committed(admin, settings(mail.port, login=login(admin))) == ["password_in_clear"]
        assert tried(admin)["result"] == "sent"
        assert not mail.mails[0].encrypted


def test_starttls_never_falls_back_to_clear_text(admin: Client, authority: Authority) -> None:
    with MailServer() as mail:
        committed(admin, settings(mail.port, protected(admin, "starttls", authority)))
        assert tried(admin) == {"code": "tls", "message": "The server 127.0.0.1 does not offer STARTTLS.", "result": "failed"}
        assert mail.mails == []


@pytest.mark.parametrize("from_the_start", [False, True], ids=["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_gets_no_mail(
    admin: Client, certificate: tuple[Path, Path], from_the_start: bool
) -> None:
    selection = "tls" if from_the_start else "starttls"
    with MailServer(certificate, from_the_start=from_the_start) as mail:
        committed(admin, settings(mail.port, protected(admin, selection, Authority("Somebody else"))))
        assert tried(admin)["code"] == "tls"
        committed(admin, settings(mail.port, {"selection": selection}))
        assert tried(admin)["code"] == "tls", "the system's authorities did not sign it either"
        unchecked = {"selection": selection, "server_certificate_check": {"enabled": False}}
        committed(admin, settings(mail.port, unchecked))
        assert tried(admin)["result"] == "sent"
        assert len(mail.mails) == 1


def test_the_name_in_the_certificate_is_checked(admin: Client, authority: Authority, tmp_path: Path) -> None:
    other = authority.identity("mail", "127.0.0.2").written(tmp_path, "other")
    with MailServer(other) as mail:
        committed(admin, settings(mail.port, protected(admin, "starttls", authority)))
        found = tried(admin)
        assert found["code"] == "tls"
        assert "mismatch" in found["message"]


@CLEAR
def test_a_wrong_password_is_told_but_not_shown(admin: Client, server: Server) -> None:
    with MailServer(accounts={"doorward": SECRET}) as mail:
        committed(admin, settings(mail.port, login=login(admin, "wrong-secret-4711")))
        found = tried(admin)
        assert (found["code"], found["result"], mail.mails) == ("auth", "failed", [])
        assert "535" in found["message"]
        assert "wrong-secret" not in found["message"] + "".join(server.errors)


def test_a_server_without_logins(admin: Client) -> None:
    with MailServer() as mail:
        committed(admin, settings(mail.port, login=login(admin)))
        assert tried(admin)["code"] == "auth"


def test_a_recipient_that_the_server_refuses(admin: Client) -> None:
    with MailServer(unknown={"nobody@example.com"}) as mail:
        committed(admin, settings(mail.port))
        found = tried(admin, "nobody@example.com")
        assert found["code"] == "rejected"
        assert "550 5.1.1 No such user" in found["message"]


def test_a_server_that_is_not_there(admin: Client) -> None:
    port = free_port()
    committed(admin, settings(port))
    assert tried(admin)["code"] == "connect"
    committed(admin, settings(port, smtp_server={"selection": "fqdn", "value": "mail.invalid"}))
    found = tried(admin)
    assert (found["code"], found["message"]) == ("resolve", "The name mail.invalid does not resolve.")


def test_something_that_does_not_speak_smtp(admin: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        committed(admin, settings(listening.getsockname()[1]))

        def answer() -> None:
            connection = listening.accept()[0]
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert tried(admin)["code"] == "connect"
        thread.join()


def test_without_server_and_recipient_there_is_nothing_to_try(admin: Client) -> None:
    committed(admin, {})
    answer = admin.send("POST", "/api/tools/mailtest", {})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "SemanticError"
    assert [(e["code"], e["path"], e["pointer"]) for e in error["details"]["errors"]] == [
        ("required_with", EMAIL, "/smtp_server"),
        ("required_with", "/api/tools/mailtest", "/recipient"),
    ]
    answer = admin.send("POST", "/api/tools/mailtest", {"recipient": "x\r\nRCPT TO:<y@example.com>"})
    assert [e["code"] for e in answer.json()["error"]["details"]["errors"]] == ["format"]


def test_the_mail_test_hangs_where_it_should(admin: Client) -> None:
    items = admin.get("/api/tools").json()["items"]
    assert [item["key"] for item in items] == ["hosts-by-name", "ldaptest", "mailtest"]
    assert admin.send("POST", "/api/tools/mailtest", {}).headers["Allow"] == "OPTIONS, POST"
    assert admin.get("/api/transaction").json()["body"]["status"] == "closed"


def test_alerts_arrive_and_are_held_back(admin: Client, server: Server) -> None:
    on = {key: {"email": True} for key in ("login", "login_failure", "logout", "config_change")}
    with MailServer() as mail:
        committed(admin, settings(mail.port, alerting_address="alerts@example.com"), on)
        about = f"xcbConfigChange: Revision {admin.get('/api/revisions').json()['items'][0]['key']} by"
        until(lambda: any(about in subject for subject in mail.subjects()))
        # events of the commits before this one may be told late, when mail about them is wanted already
        del mail.mails[:-1]
        change = mail.mails[0]
        assert change.recipients == ["alerts@example.com"]
        assert "Resource: /api/revisions/" in change.message.get_content()
        for _ in range(3):
            server.login()
        server.client().get("/api/authentication", auth=("admin", "wrong"))
        until(lambda: len(mail.mails) == 3)
        host = admin.body("/api/info")["hostname"]
        assert mail.subjects()[1:] == [
            f"[{host}] xcbLogin: admin logged in from 127.0.0.1",
            f"[{host}] xcbLoginFailure: A login from 127.0.0.1 was refused",
        ]
        lines = mail.mails[1].message.get_content().splitlines()
        assert "Event:    xcbLogin" in lines
        assert [line for line in lines if line.startswith(("Time:     2", f"Node:     {host}", "Revision: "))] == lines[
            :2
        ] + lines[5:6]
        until(lambda: sum("alert held back" in line for line in server.errors) == 2)
        server.login().send("DELETE", "/api/authentication")
        until(lambda: len(mail.mails) == 4)
        assert mail.subjects()[3] == f"[{host}] xcbLogout: admin logged out from 127.0.0.1"
    committed(admin, {}, {})


@contextmanager
def silent(port: int = 0) -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        yield listening.getsockname()[1]


def test_the_queue_survives_a_kill(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with silent() as port:
        committed(server.login(), settings(port), {"login": {"email": True}})
        server.login()
        until(lambda: any("xcbLogin" in line for line in server.errors))
        until(lambda: waiting(server) >= 1)
        server.kill()
    with MailServer(port=port) as mail:
        server.start()
        until(lambda: about_logins(mail) == 1)
        until(lambda: waiting(server) == 0)
        assert server.stop() == 0
        assert about_logins(mail) == 1


def about_logins(mail: MailServer) -> int:
    """How many mails tell of a login: a busy machine sends others."""
    return sum("xcbLogin" in subject for subject in mail.subjects())


def waiting(server: Server) -> int:
    with sqlite3.connect(f"file:{server.state / 'doorward.db'}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT count(*) FROM records WHERE kind = 'mail'").fetchone()
    connection.close()
    return int(found[0])


def test_a_mail_that_could_not_be_sent_says_so_in_the_log(admin: Client, server: Server) -> None:
    port = free_port()
    committed(admin, settings(port), {"config_change": {"email": True}})
    until(lambda: any("mail not sent" in line and '"connect"' in line for line in server.errors))
    assert waiting(server) >= 1  # what was committed before may be told late, in a mail of its own
    committed(admin, {}, {})


def test_the_password_is_in_no_log_and_no_file_of_the_store(server: Server) -> None:
    everything = "".join(server.errors + server.output)
    assert SECRET not in everything
    for file in server.state.glob("doorward.db*"):
        assert SECRET.encode() not in file.read_bytes()
