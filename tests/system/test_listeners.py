"""The web listeners of a real server: moved, restricted, redirecting, with another certificate; nobody notices but who should."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.support.pki import Authority, Identity
from tests.support.ports import free_port
from tests.support.server import Client, Server, until
from tests.system.listening import (
    ADMIN_WEB,
    CERTIFICATES,
    NIC,
    USER_WEB,
    X509,
    Visit,
    committed,
    hammering,
    hung_up,
    reachable_at,
    refused,
    web,
    written,
)

GRACE = 2.0
HOME, AWAY = "127.0.0.1", "127.0.0.2"
LOGIN = "Basic YWRtaW46VHIwdWI0ZG9yLWFuZC1hLWhvcnNl"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose time of grace is short."""
    hasty = {"HASTY": f"doorward.listening.open_listener.GRACE_SECONDS={GRACE}"}
    made = Server(tmp_path_factory.mktemp("listeners") / "state", ("-m", "tests.support.launcher"), hasty).start()
    yield made
    assert made.stop() == 0


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """Logged in. Afterwards everything is as it was; ``server.url`` has to say where that can be asked for."""
    made, home = server.login(named=False), server.url
    revision = made.get("/api/revisions?limit=1").json()["items"][0]["key"]
    yield made
    back = server.login(named=False)
    assert back.post(f"/api/revisions/{revision}/restore").status_code == 200
    committed(back)
    server.url = home


def issues(client: Client) -> object:
    return client.get("/api/health_status").json()["health_status"]["issues"]


def test_moving_to_another_address_and_port_leaves_no_gap(server: Server, client: Client) -> None:
    key, port, old = reachable_at(client, AWAY)[AWAY], free_port(AWAY), server.port
    body = written(client, ADMIN_WEB, web((key, None, port)))
    assert body["listen"][0]["address"]["meta"]["href"].startswith(f"{NIC}#interfaces/")
    planned = [(one["action"], one["effect"]) for one in client.body("/api/transaction/plan")["actions"]]
    moves = [(f"open admin_web at {AWAY}:{port}", "listener"), (f"close admin_web at {HOME}:{old}", "listener")]
    assert [action for action in planned if action in moves] == moves

    def visit() -> None:
        try:
            there = Visit(server, HOME, old)
        except ConnectionRefusedError:  # moved by now: the new one must be there
            there = Visit(server, AWAY, port)
        with there:
            assert there.status() == 200

    with Visit(server, HOME, old) as open_before:
        with hammering(visit) as failures:
            meta = committed(client)
            server.url = f"https://{AWAY}:{port}"
            assert refused(HOME, old)
            assert open_before.status() == 200, "what is open lives on"
            assert client.get(ADMIN_WEB).status_code == 200, "and the login session with it"
        assert failures == []
        until(lambda: open_before.socket.recv(1) == b"", what="the end of the grace")
    assert [warning["code"] for warning in meta["warnings"]] == ["name_mismatch"]
    assert "127.0.0.2" in meta["warnings"][0]["message"]
    server.stop()
    server.start()
    assert server.url == f"https://{AWAY}:{port}", "a restart serves where the configuration says"
    assert f"--listen {HOME}:0 counts at the first start only" in "".join(server.errors)


def test_two_lines_at_once_and_one_less(server: Server, client: Client) -> None:
    keys, port = reachable_at(client, AWAY), free_port(AWAY)
    written(client, ADMIN_WEB, web((keys[HOME], None, server.port), (keys[AWAY], None, port)))
    committed(client)
    with Visit(server, HOME, server.port) as one, Visit(server, AWAY, port) as other:
        assert (one.status(), other.status()) == (200, 200)
    written(client, ADMIN_WEB, web((keys[HOME], None, server.port)))
    committed(client)
    assert refused(AWAY, port)


def test_a_port_that_somebody_has_is_named_and_everything_stays(server: Server, client: Client) -> None:
    keys = reachable_at(client, AWAY, "127.0.0.3")
    free = free_port(AWAY)
    with socket.create_server(("127.0.0.3", 0)) as somebody, Visit(server, HOME, server.port) as open_before:
        taken = somebody.getsockname()[1]
        written(client, ADMIN_WEB, web((keys[AWAY], None, free), (keys["127.0.0.3"], None, taken)))
        answer = client.commit()
        assert answer.status_code == 500
        error = answer.json()["error"]
        assert (error["type"], error["details"]["restored"]) == ("ApplyFailed", True)
        assert error["details"]["action"] == f"open admin_web at 127.0.0.3:{taken}"
        assert error["details"]["reason"] == f"listening on 127.0.0.3:{taken} failed: Address already in use"
        assert refused(AWAY, free)
        assert open_before.status() == 200
        with Visit(server, HOME, server.port) as fresh:
            assert fresh.status() == 200
        assert issues(client) == {"errors": [], "warnings": []}
        client.delete("/api/transaction")


def test_a_node_starts_while_one_of_its_ports_is_taken(server: Server, client: Client) -> None:
    keys, port = reachable_at(client, AWAY), free_port(AWAY)
    written(client, ADMIN_WEB, web((keys[HOME], None, server.port), (keys[AWAY], None, port)))
    committed(client)
    server.stop()
    with socket.create_server((AWAY, port)):
        server.start()
        again = server.login()
        found = again.get("/api/health_status").json()["health_status"]["issues"]
        message = f"nothing listens on {AWAY}:{port} as configured"
        assert found == {"errors": [], "warnings": [{"message": message, "paths": [ADMIN_WEB]}]}
        written(again, ADMIN_WEB, web((keys[HOME], None, server.port)))
        committed(again)
    until(lambda: issues(again) == {"errors": [], "warnings": []}, what="nothing is wrong")


def test_who_is_shut_out_is_hung_up_on_before_tls(server: Server, client: Client) -> None:
    body = client.body(ADMIN_WEB)
    stranger, known = "127.0.0.9", "127.0.0.5"
    with Visit(server, HOME, server.port, source=stranger) as open_before:
        restriction = {"allowed_from": ["127.0.0.1/32", "127.0.0.4/30"], "enabled": True}
        written(client, ADMIN_WEB, {**body, "access_restriction": restriction})
        committed(client)
        assert open_before.status() == 200, "what is open lives on for a while"
        assert hung_up(HOME, server.port, stranger)
        with Visit(server, HOME, server.port, source=known) as there:
            assert there.status() == 200
            until(lambda: open_before.socket.recv(1) == b"", what="the end of the grace")
            assert there.status() == 200
    assert issues(client) == {"errors": [], "warnings": []}


def test_nobody_shuts_himself_out(server: Server, client: Client) -> None:
    body = client.body(ADMIN_WEB)
    restriction = {"allowed_from": ["10.0.0.0/8"], "enabled": True}
    written(client, ADMIN_WEB, {**body, "access_restriction": restriction})
    [problem] = client.body("/api/transaction/plan")["problems"]
    answer = client.commit()
    assert answer.status_code == 400
    [error] = answer.json()["error"]["details"]["errors"]
    assert error == problem
    assert (error["code"], error["path"]) == ("locks_out_caller", ADMIN_WEB)
    assert error["pointer"] == "/access_restriction/allowed_from"
    client.delete("/api/transaction")


def test_the_http_port_only_redirects(server: Server, client: Client) -> None:
    body = client.body(ADMIN_WEB)
    port = free_port(HOME)
    body["listen"][0]["http_port"] = port
    written(client, ADMIN_WEB, body)
    committed(client)
    for host, named in ((f"door.example.com:{port}", "door.example.com"), ("[::1]", "[::1]"), ("a_b~c", HOME), ("", HOME)):
        with Visit(server, HOME, port, plain=True) as there:
            answer = there.get("/api/info?x=%20", Host=host)
            assert (answer.status, answer.read()) == (308, b"")
            assert {"Connection", "Location", "X-Request-Id"} < {name for name, _ in answer.getheaders()}
            assert answer.headers["Location"] == f"https://{named}:{server.port}/api/info?x=%20"
            assert answer.headers["Connection"] == "close"
            assert "Set-Cookie" not in answer.headers
    with Visit(server, HOME, port, plain=True) as there:
        assert there.get("/api/info", Host="a b@c").status == 400
    with Visit(server, HOME, port, plain=True) as there:
        there.socket.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert b"400 Bad Request" in there.socket.recv(9000)


def test_a_line_of_users_leads_to_what_is_theirs_and_nowhere_else(server: Server, client: Client) -> None:
    keys, port = reachable_at(client, AWAY), free_port(AWAY)
    written(client, USER_WEB, web((keys[AWAY], None, port)))
    committed(client)
    reached = ("authentication", "authentication/login_methods", "health-status", "health_status", "info", "user", "user/info")
    others = ("", "//", "nothing", "management/exported_configuration_encryption", "/configuration", "%63onfiguration")
    document = client.get("/api/openapi.json").json()["paths"]
    declared = {path.removeprefix("/api").removeprefix("/") for path in document}
    assert declared >= {"backup/exports", "commits", "revisions", "troubleshooting/support-bundle", "upload/backup", "tools"}
    with Visit(server, AWAY, port) as there:
        answer = there.get("/api/authentication", Authorization=LOGIN)
        answer.read()
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        for path in [*sorted(path for path in declared - {*reached} if not path.startswith("user/")), *others]:
            for headers in ({}, {"Cookie": cookie}):
                answer = there.get(f"/api/{path}", **headers)
                error = json.loads(answer.read())
                assert (answer.status, error["error"]["type"]) == (403, "Unauthorized"), path
                assert ("remaining_seconds" in error["meta"]) == bool(headers)
        assert [there.status(path, Cookie=cookie) for path in ("/", "/console", "/apis/info")] == [403] * 3
        assert [there.status(f"/api/{path}", Cookie=cookie) for path in reached] == [200] * len(reached)
    with Visit(server, HOME, server.port) as there:
        assert there.status("/api/configuration", Cookie=cookie) == 200, "the session may; the line may not"


def test_a_shared_line_serves_both_by_who_is_let_in(server: Server, client: Client) -> None:
    keys, port = reachable_at(client, AWAY), free_port(AWAY)
    home, shared = (keys[HOME], None, server.port), (keys[AWAY], None, port)
    written(client, ADMIN_WEB, web(home, shared, allowed_from=["127.0.0.1/32"]))
    written(client, USER_WEB, web(shared, allowed_from=["127.0.0.0/29"]))
    committed(client)
    with Visit(server, AWAY, port) as admin, Visit(server, AWAY, port, source="127.0.0.6") as user:
        assert (admin.status(), user.status()) == (200, 403)
        assert (admin.status("/api/info"), user.status("/api/info")) == (200, 200)
    assert hung_up(AWAY, port, "127.0.0.9")


def test_an_address_in_use_cannot_be_taken_away(client: Client) -> None:
    body = client.body(NIC)
    [interface] = body["interfaces"]["@order"]
    body["interfaces"][interface]["addresses"] = {"@order": []}
    answer = client.put(NIC, body)
    assert answer.status_code == 400
    assert [error["code"] for error in answer.json()["error"]["details"]["errors"]] == ["referenced"]


def test_a_new_certificate_is_for_new_connections(server: Server, client: Client) -> None:
    identity = Authority().identity("door.example.com")
    old = fingerprint(client.body(f"{X509}/{client.body(CERTIFICATES)['server']['key']}"))

    def visit() -> None:
        with Visit(server, HOME, server.port, check=False) as there:
            assert there.shown in {old, _sha256(identity)}
            assert there.status() == 200

    with Visit(server, HOME, server.port) as open_before, hammering(visit) as failures:
        assert open_before.shown == old
        made = client.post(X509, {"certificate": identity.certificate, "private_key": identity.private_key})
        written(client, CERTIFICATES, {**client.body(CERTIFICATES), "server": made.json()["key"]})
        [action] = client.body("/api/transaction/plan")["actions"]
        assert (action["action"], action["effect"]) == (f"change admin_web at {HOME}:{server.port}", "listener")
        codes = [warning["code"] for warning in committed(client)["warnings"]]
        assert sorted(codes) == ["expires_soon", "name_mismatch", "not_issued_by_ca"]
        with Visit(server, HOME, server.port, check=False) as fresh:
            assert fresh.shown == _sha256(identity)
        assert open_before.status() == 200
    assert failures == []
    curled = ssl.create_default_context(cafile=str(server.certificate))
    curled.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with socket.create_connection((HOME, server.port)) as raw, curled.wrap_socket(raw, server_hostname=HOME):
        pass  # the file that clients of this machine trust has it
    ended = [issue["message"] for issue in client.get("/api/health_status").json()["health_status"]["issues"]["errors"]]
    assert ended == []
    other = Authority().identity("other.example.com")
    made = client.post(X509, {"certificate": other.certificate, "private_key": other.private_key})
    committed(client)  # nothing refers to it yet
    written(client, CERTIFICATES, {**client.body(CERTIFICATES), "server": made.json()["key"]})
    committed(client)
    with Visit(server, HOME, server.port, check=False) as fresh:
        assert fresh.shown == _sha256(other)
    server.stop()
    server.start()
    with Visit(server, HOME, server.port, check=False) as fresh:
        assert fresh.shown == _sha256(other), "the private key is kept"


def fingerprint(body: dict[str, str]) -> str:
    return body["fingerprint"].removeprefix("SHA256:")


def _sha256(identity: Identity) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(identity.certificate)).hexdigest()
