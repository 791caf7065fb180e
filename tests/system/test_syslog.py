"""Log records to a real rsyslogd: UDP, TCP and TLS, outages, and what a commit changes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.server import Client, Server, until
from tests.system.rsyslog_support import Rsyslog

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSLOG = "/api/configuration/management/syslog"


@pytest.fixture
def rsyslog(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rsyslog]:
    directory = tmp_path_factory.mktemp("rsyslog")
    file = directory / "authority.pem"
    file.write_text(authority.pem)
    daemon = Rsyslog(directory / "work", authority.identity("log").written(directory, "log"), file).start()
    yield daemon
    daemon.stop()


def receiver(port: int, transport: str = "tcp", form: str = "rfc5424", **protection: Any) -> dict[str, Any]:
    return {
        "address": {"selection": "ip", "value": "127.0.0.1"},
        "message_format": form,
        "port": port,
        "transport": {"selection": transport, **protection},
    }


def committed(client: Client, *receivers: dict[str, Any], message: str | None = None) -> list[str]:
    answer = client.put(SYSLOG, {"receivers": list(receivers)})
    assert answer.status_code == 200, answer.text
    answer = client.commit(message)
    assert answer.status_code == 200, answer.text
    return [warning["code"] for warning in answer.json()["meta"].get("warnings", [])]


def posted(client: Client, value: Any) -> str:
    answer = client.send("POST", "/api/configuration/x509", value)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def protection(client: Client, trusted: Authority, shown: Authority) -> dict[str, Any]:
    identity = shown.identity("doorward as a client")
    own = posted(client, {"certificate": identity.certificate, "private_key": identity.private_key})
    return {
        "client_authentication": {"enabled": True, "x509_identity": own},
        "server_certificate_check": {"enabled": True, "server_certificate_ca": posted(client, {"certificate": trusted.pem})},
    }


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_login_arrives_as_rfc5424(
    admin: Client, server: Server, rsyslog: Rsyslog, authority: Authority, transport: str
) -> None:
    shown = protection(admin, authority, authority) if transport == "tls" else {}
    assert committed(admin, receiver(getattr(rsyslog, transport), transport, **shown)) == []
    server.login()
    [record] = rsyslog.wait_for(text="login ")
    name = admin.body("/api/info")
    host = ".".join(part for part in (name["hostname"], name["domainname"]) if part)
    assert {key: record[key] for key in ("facility", "severity", "host", "program", "version", "msgid", "input")} == {
        "facility": "authpriv", "severity": "info", "host": host, "program": "doorward", "version": "1", "msgid": "xcbLogin",
        "input": transport,
    }  # fmt: skip
    assert re.fullmatch(r'\[origin software="doorward" swVersion="[^"]+"\]', record["data"])
    assert 'text="admin logged in from 127.0.0.1"' in record["text"]
    assert 'user="admin"' in record["text"]
    assert abs(datetime.fromisoformat(record["time"]).timestamp() - datetime.now().astimezone().timestamp()) < 120


def test_old_receivers_get_rfc3164(admin: Client, server: Server, rsyslog: Rsyslog) -> None:
    committed(admin, receiver(rsyslog.udp, "udp", "rfc3164"), receiver(rsyslog.tcp, "tcp", "rfc3164"))
    server.login()
    for kind in ("udp", "tcp"):
        [record] = rsyslog.wait_for(text="login ", input=kind)
        assert (record["facility"], record["severity"], record["version"]) == ("authpriv", "info", "0")
        assert record["program"] == "doorward"
        assert record["host"] == admin.body("/api/info")["hostname"]


def test_the_senders_work_by_the_new_revision_when_the_commit_answers(admin: Client, rsyslog: Rsyslog) -> None:
    committed(admin, receiver(rsyslog.tcp))
    committed(admin, receiver(rsyslog.udp, "udp"), message="to the other receiver")
    [change] = rsyslog.wait_for(text="to the other receiver")
    assert (change["input"], change["facility"], change["msgid"]) == ("udp", "authpriv", "xcbConfigChange")
    assert '"/api/configuration/management/syslog"' in change["text"]
    before = len(rsyslog.records(input="tcp"))
    admin.put(SYSLOG, {"receivers": []})
    rsyslog.wait_for(text='"PUT"', input="udp")
    assert len(rsyslog.records(input="tcp")) == before
    admin.send("DELETE", "/api/transaction")


def test_records_wait_for_a_receiver_that_is_away(admin: Client, server: Server, rsyslog: Rsyslog) -> None:
    committed(admin, receiver(rsyslog.tcp))
    rsyslog.wait_for(text="request ")
    rsyslog.stop()
    seen = len(rsyslog.records(text="login "))
    for _ in range(5):
        server.login()
    issue = until(lambda: [i for i in issues(admin, "warnings") if "syslog receiver" in i["message"]])[0]
    assert issue["paths"] == [SYSLOG]
    assert f"127.0.0.1:{rsyslog.tcp} is away" in issue["message"]
    rsyslog.start()
    assert len(rsyslog.wait_for(seen + 5, text="login ")) == seen + 5
    [back] = rsyslog.wait_for(text="syslog receiver back")
    assert (back["facility"], back["severity"]) == ("daemon", "info")
    until(lambda: not issues(admin, "warnings"))


def issues(client: Client, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/health_status").json()["health_status"]["issues"][kind]
    return [issue for issue in found if "syslog" in issue["message"]]


@pytest.mark.parametrize("wrong", ["server", "client"])
def test_tls_with_somebody_else_sends_nothing(
    admin: Client, server: Server, rsyslog: Rsyslog, authority: Authority, wrong: str
) -> None:
    other = Authority("Somebody else")
    shown = protection(admin, other, authority) if wrong == "server" else protection(admin, authority, other)
    committed(admin, receiver(rsyslog.tls, "tls", **shown), receiver(rsyslog.tcp))
    server.login()
    rsyslog.wait_for(text="login ", input="tcp")
    until(lambda: any("is away" in issue["message"] for issue in issues(admin, "warnings")))
    assert rsyslog.records(input="tls") == []
    committed(admin)


def test_a_receiver_that_cannot_be_reached_is_a_warning_of_the_commit(admin: Client) -> None:
    assert committed(admin, receiver(free_port())) == ["no_answer"]
    assert committed(admin) == []


def test_secrets_are_in_no_record(admin: Client, server: Server, rsyslog: Rsyslog) -> None:
    committed(admin, receiver(rsyslog.tcp))
    secret = "never-to-be-seen-0815"
    assert admin.send("POST", "/api/configuration/passwords", {"plain": secret}).status_code == 201
    server.client().get("/api/authentication", auth=(secret, secret))
    admin.commit()
    rsyslog.wait_for(msgid="xcbConfigChange", text="passwords")
    rsyslog.wait_for(msgid="xcbLoginFailure")
    assert rsyslog.records(text=secret) == []
    assert secret not in "".join(server.errors)
    committed(admin)


def test_the_last_words_arrive(rsyslog: Rsyslog, tmp_path_factory: pytest.TempPathFactory) -> None:
    server = Server(tmp_path_factory.mktemp("syslog") / "state").start()
    client = server.login()
    committed(client, receiver(rsyslog.tcp))
    client.send("DELETE", "/api/authentication")
    assert server.stop() == 0
    assert len(rsyslog.wait_for(text="logout ")) == 1
