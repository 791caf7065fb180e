"""How the server starts, ends, and treats connections."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, QUICK, Server, until
from tests.support.waiting import PATIENCE
from tests.support.zygote import UNMEASURED
from tests.system.chrony_support import listed, need_chrony, pid_of
from tests.system.curl import NTP, ip
from tests.system.raw import BASIC, Raw

WEB = "/api/configuration/management/webinterface"


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that gives a client half a second for the head of a request."""
    limits = {"HASTY": "doorward.listening.http.options.HEAD_SECONDS=0.5"}
    made = Server(tmp_path_factory.mktemp("hasty") / "state", QUICK, limits).start()
    yield made
    made.stop()


def ends(state: Path, *options: str) -> str:
    """What a server says that can't start."""
    failing = Server(state, options=options).start(wait=False)
    assert failing.process
    try:
        assert failing.process.wait(PATIENCE) == 1
    finally:
        failing.stop()
    assert failing.output == []
    return "".join(failing.errors)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_sigterm_ends_the_server_and_its_chronyd(tmp_path: Path) -> None:
    need_chrony()
    server = Server(tmp_path / "state", plain=True).start()
    chronyd = pid_of(server.state)
    assert alive(chronyd)
    with Raw(server) as idle, Raw(server) as used:
        cookie = used.log_in()
        assert server.stop() == 0
        assert idle.closed()
        assert used.closed()
    assert not alive(chronyd)
    ready, fingerprint = "".join(server.output).splitlines()
    assert ready == f"Doorward is ready at {server.url} (sandbox host, state in {server.state})."
    assert re.fullmatch(r"Browsers ask .* SHA-256 fingerprint ([0-9A-F]{2}:){31}[0-9A-F]{2}\.", fingerprint)
    assert "Traceback" not in "".join(server.errors)
    server.start()
    with Raw(server) as again:
        again.send("GET /api HTTP/1.1", cookie)
        assert again.answer()[0] == 401, "a restart ends all login sessions"
    assert server.stop() == 0


def test_sigint_ends_the_server_as_well(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", plain=True).start()
    assert server.process
    server.process.send_signal(signal.SIGINT)
    assert server.stop() == 0


def test_a_commit_that_runs_at_sigterm_is_finished(tmp_path: Path) -> None:
    need_chrony()
    server = Server(tmp_path / "state").start()
    with Raw(server) as one:
        chronyd = _commit_that_waits(server, one)
        assert server.process
        server.process.send_signal(signal.SIGTERM)
        until(lambda: _refuses(server), 20, "no new connection is taken")
        os.kill(chronyd, signal.SIGCONT)
        status, _, answered = one.answer()
        assert (status, answered["meta"]["revision"]) == (200, 2)
    assert server.stop() == 0
    server.start()
    assert server.login().body(NTP) == ip("127.0.0.60")
    assert server.stop() == 0


def _refuses(server: Server) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def _commit_that_waits(server: Server, one: Raw) -> int:
    """Begin a commit that can't go on, since chronyd sleeps; its process."""
    watching = server.login()
    cookie = one.log_in()
    body = b'[{"selection":"ip","value":"127.0.0.60"}]'
    one.send(f"PUT {NTP} HTTP/1.1", cookie, f"Content-Length: {len(body)}", body=body)
    assert one.answer()[0] == 200
    chronyd = pid_of(server.state)
    os.kill(chronyd, signal.SIGSTOP)
    order = b'{"status":"commit"}'
    one.send("PUT /api/transaction HTTP/1.1", cookie, f"Content-Length: {len(order)}", body=order)
    until(lambda: watching.get("/api/commits").json()["items"], 20, "the commit runs")
    return chronyd


def test_a_commit_whose_client_goes_away_is_finished(tmp_path: Path) -> None:
    need_chrony()
    server = Server(tmp_path / "state").start()
    try:
        with Raw(server) as one:
            chronyd = _commit_that_waits(server, one)
        client = server.login()
        (begun,) = client.get("/api/commits").json()["items"]
        assert begun["body"]["finished"] is None
        os.kill(chronyd, signal.SIGCONT)
        href = begun["meta"]["href"]
        until(lambda: client.body(href)["finished"], 30, "the commit ends")
        assert (client.body(href)["state"], client.body(href)["revision"]) == ("done", 2)
        assert client.body(NTP) == ip("127.0.0.60")
        assert listed(server.state) == ["127.0.0.60"]
    finally:
        server.stop()


def test_a_commit_that_outlives_its_request_is_not_said_to_be_done(tmp_path: Path) -> None:
    need_chrony()
    limits = {"HASTY": "doorward.api.app.REQUEST_SECONDS=1"}
    server = Server(tmp_path / "state", QUICK, limits).start()
    try:
        client = server.login()
        client.put(NTP, [{"selection": "ip", "value": "127.0.0.60"}])
        chronyd = pid_of(server.state)
        os.kill(chronyd, signal.SIGSTOP)
        key = {"Idempotency-Key": "once"}
        for _ in range(2):
            assert client.commit(headers=key).status_code == 503, "it goes on"
        os.kill(chronyd, signal.SIGCONT)
        again = until(lambda: (a := client.commit(headers=key)).status_code == 200 and a, 20, "the end of the commit")
        assert (again.json()["meta"]["revision"], again.headers["Idempotency-Replayed"]) == (2, "true")
    finally:
        server.stop()


def test_a_second_server_on_the_same_state_is_refused(server: Server) -> None:
    assert server.process
    said = ends(server.state)
    assert said == (
        f"doorward can't start: Another server (process {server.process.pid}) uses the state directory {server.state}.\n"
    )
    assert server.login().get("/api").status_code == 200


def test_a_port_in_use_is_named(server: Server, tmp_path: Path) -> None:
    said = ends(tmp_path / "other", "--listen", f"127.0.0.1:{server.port}")
    assert said == f"doorward can't start: Can't listen on 127.0.0.1:{server.port}: Address already in use.\n"


def test_an_address_of_somebody_else_is_named(tmp_path: Path) -> None:
    said = ends(tmp_path / "other", "--listen", "192.0.2.1:8443")
    assert said == "doorward can't start: Can't listen on 192.0.2.1:8443: Cannot assign requested address.\n"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "backup/signing-key.pem",
            "The file {} holds no private key. Remove it for a new one: what the old one signed stays good.",
        ),
        ("managed.json", "The file {} is damaged: it does not say what of the machine is managed."),
    ],
)
def test_a_file_that_is_damaged_is_named(tmp_path: Path, name: str, said: str) -> None:
    file = tmp_path / "state" / name
    file.parent.mkdir(parents=True)
    file.write_text("garbage")
    assert ends(tmp_path / "state") == f"doorward can't start: {said.format(file)}\n"


def test_a_first_start_without_room_says_so_and_is_made_up_for(tmp_path: Path) -> None:
    command = ["prlimit", "--fsize=150000", sys.executable, "-m", "doorward", "serve"]
    options = ["--state", str(tmp_path / "state"), "--listen", "127.0.0.1:0"]
    environment = os.environ | UNMEASURED
    done = subprocess.run([*command, *options], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"doorward can't start: The store in {tmp_path}/state can't be written: .*\.\n", done.stderr)
    assert Server(tmp_path / "state").start().stop() == 0


def test_ipv6_is_served(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", options=("--listen", "[::1]:0")).start()
    try:
        assert server.url.startswith("https://[::1]:")
        assert server.login().get("/api").status_code == 200
    finally:
        server.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_connect(server: Server, version: ssl.TLSVersion) -> None:
    with Raw(server, version=version) as one:
        assert one.socket.version() == version.name.replace("_", ".")
        one.log_in()


@pytest.mark.parametrize(("version", "taken"), [("tls1", False), ("tls1_1", False), ("tls1_2", True)])
def test_older_tls_is_refused(server: Server, version: str, taken: bool) -> None:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", f"-{version}", "-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
    assert (done.returncode == 0) == taken, done.stderr
    assert ("Cipher is (NONE)" in done.stdout) != taken


@pytest.mark.parametrize(
    ("suites", "taken"),
    [
        ("ALL:!AESGCM:!CHACHA20", False),
        ("ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA", False),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
    ],
)
def test_tls_1_2_has_aead_suites_only(server: Server, suites: str, taken: bool) -> None:
    at = f"127.0.0.1:{server.port}"
    command = ["openssl", "s_client", "-connect", at, "-tls1_2", "-cipher", f"{suites}:@SECLEVEL=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
    assert ("Cipher is (NONE)" in done.stdout) != taken, done.stdout


def test_plain_http_gets_no_answer(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain:
        plain.sendall(b"GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP/" not in plain.recv(1000)


def test_a_client_that_says_nothing_is_disconnected(hasty: Server) -> None:
    with Raw(hasty) as one:
        assert one.closed()


def test_a_client_that_never_ends_its_head_is_disconnected(hasty: Server) -> None:
    with Raw(hasty) as one:
        one.socket.sendall(b"GET /api/info HTTP/1.1\r\n")
        until(lambda: one.ends_though(b"X-More: x\r\n"), 20, "the end of the connection")


def test_a_client_whose_second_head_does_not_end_is_disconnected(hasty: Server) -> None:
    with Raw(hasty) as one:
        one.log_in()
        one.socket.sendall(b"GET /api HTTP/1.1\r\n")
        assert one.closed()


def test_a_client_that_takes_its_time_with_the_body_is_served(hasty: Server) -> None:
    with Raw(hasty) as one, Raw(hasty) as clock:
        cookie = one.log_in()
        one.send(f"PUT {WEB} HTTP/1.1", cookie, "Content-Length: 14")
        assert clock.closed()  # so the time for a head is over
        one.socket.sendall(b'{"timeout":11}')
        assert one.answer()[0] == 200


def test_a_connection_serves_many_requests(server: Server) -> None:
    with Raw(server) as one:
        cookie = one.log_in()
        for _ in range(50):
            one.send(f"GET {NTP} HTTP/1.1", cookie)
            status, fields, answered = one.answer()
            assert (status, answered["key"]) == (200, "ntp_servers")
            assert "connection" not in fields
        one.send(f"GET {NTP} HTTP/1.1", cookie, "Connection: close")
        assert one.answer()[1]["connection"] == "close"
        assert one.closed()


def test_http_1_0_is_tolerated(server: Server) -> None:
    with Raw(server) as one:
        one.send("GET /api/info HTTP/1.0")
        assert one.answer()[0] == 200
        assert one.closed()


def test_requests_in_one_write_are_answered_in_order(server: Server) -> None:
    with Raw(server) as one:
        cookie = one.log_in()
        requests = [
            f"PUT {WEB} HTTP/1.1\r\nHost: x\r\n{cookie}\r\nContent-Length: 14\r\n\r\n" + '{"timeout":12}',
            f"GET {WEB} HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
            f"GET {NTP} HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
            f"GET /api/health_status HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
            f"GET {WEB} HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
            f"DELETE /api/transaction HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
            f"GET {WEB} HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n",
        ]
        one.socket.sendall("".join(requests).encode())
        answers = [one.answer() for _ in requests]
        assert [status for status, _, _ in answers] == [200] * 7
        hrefs = [answered["meta"]["href"] for _, _, answered in answers]
        assert hrefs == [WEB, WEB, NTP, "/api/health_status", WEB, "/api/transaction", WEB]
        timeouts = [answered["body"]["timeout"] for _, _, answered in answers if answered["meta"]["href"] == WEB]
        assert timeouts == [12, 12, 12, 10]


@pytest.mark.parametrize("request_line", ["POST /api/transaction HTTP/1.1", "GET /api/nothing HTTP/1.1", "HEAD /api HTTP/1.1"])
def test_an_answer_comes_in_one_piece(server: Server, request_line: str) -> None:
    with Raw(server) as one:
        one.send(request_line, one.log_in(), *(["Content-Length: 0"] if request_line.startswith("POST") else []))
        head, _, body = one.socket.recv(1 << 16).partition(b"\r\n\r\n")  # never more than one record of TLS
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length
        assert len(body) == (0 if request_line.startswith("HEAD") else int(length[1]))


def test_100_continue_is_sent_when_the_body_is_wanted(server: Server) -> None:
    with Raw(server) as one:
        cookie = one.log_in()
        one.send(f"PUT {WEB} HTTP/1.1", cookie, "Expect: 100-continue", "Content-Length: 14")
        assert one.socket.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")
        one.socket.sendall(b'{"timeout":13}')
        status, _, answered = one.answer()
        assert (status, answered["body"]) == (200, {"timeout": 13})


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ((f"PUT {WEB} HTTP/1.1", "Expect: 100-continue", "Content-Length: 99999999"), 413),
        ((f"PUT {WEB} HTTP/1.1", "Expect: 200-maybe", "Content-Length: 14"), 417),
        (("PUT /api/nothing HTTP/1.1", "Expect: 100-continue", "Content-Length: 14"), 404),
    ],
)
def test_no_100_continue_for_what_is_refused(server: Server, head: tuple[str, ...], status: int) -> None:
    with Raw(server) as one:
        one.send(head[0], one.log_in(), *head[1:])
        found, _, answered = one.answer()
        assert found == status, answered


def test_a_chunked_body_is_read(server: Server) -> None:
    with Raw(server) as one:
        cookie = one.log_in()
        chunks = b'7\r\n{"timeo\r\n7\r\nut":14}\r\n0\r\n\r\n'
        one.send(f"PUT {WEB} HTTP/1.1", cookie, "Transfer-Encoding: chunked", body=chunks)
        status, _, answered = one.answer()
        assert (status, answered["body"]) == (200, {"timeout": 14})


def test_the_password_of_the_environment_counts_at_the_first_start_only(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    assert server.stop() == 0
    server.environment["DOORWARD_ADMIN_PASSWORD"] = "another-Passw0rd-of-mine"
    server.start()
    try:
        with Raw(server) as one:
            one.send("GET /api/authentication HTTP/1.1", BASIC)
            assert one.answer()[0] == 200
        assert server.login(password=PASSWORD).get("/api").status_code == 200
    finally:
        server.stop()
