"""What clients that mean no good can do to the listener, without a login."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.support.server import QUICK, Server, until
from tests.system.raw import BASIC, Raw

INFO = b"GET /api/info HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with little patience and little room."""
    limits = {
        "listening.http.options.HEAD_SECONDS": 1,
        "listening.http.limited.STALLED_SECONDS": 1,
        "listening.http.crowds.MAX_CONNECTIONS": 20,
        "listening.open_listener.MAX_BEGINNING": 10,
    }
    hasty = {"HASTY": " ".join(f"doorward.{name}={limit}" for name, limit in limits.items())}
    made = Server(tmp_path_factory.mktemp("hostile") / "state", QUICK, hasty).start()
    yield made
    made.stop()


def statuses(one: Raw) -> list[int]:
    """Read answers until the other side closes."""
    data = b""
    try:
        while piece := one.socket.recv(1 << 16):
            data += piece
    except (ConnectionResetError, ssl.SSLEOFError):
        pass
    return [int(part[:3]) for part in data.split(b"HTTP/1.1 ")[1:]]


def test_fields_behind_a_body_are_no_header_fields(server: Server) -> None:
    with Raw(server) as one:
        one.send("GET /api/authentication HTTP/1.1", "Transfer-Encoding: chunked", body=f"0\r\n{BASIC}\r\n\r\n".encode())
        assert one.answer()[0] == 401
        one.send("GET /api/authentication HTTP/1.1", BASIC)
        assert one.answer()[0] == 200


@pytest.mark.parametrize(
    ("begin", "more"), [(b"0\r\n", b"A: b\r\n" * 60_000), (b"0\r\nA: ", b"b" * 400_000), (b"1;", b"e" * 400_000)]
)
def test_what_stands_around_a_body_is_limited(server: Server, begin: bytes, more: bytes) -> None:
    with Raw(server) as one:
        one.send("POST /api/transaction HTTP/1.1", one.log_in(), "Transfer-Encoding: chunked")
        one.socket.sendall(begin)
        one.socket.sendall(more)
        assert statuses(one) == [400]


def test_a_body_in_tiny_chunks_is_taken(server: Server) -> None:
    with Raw(server) as one:
        cookie = one.log_in()
        chunks = b"1\r\n \r\n" * 20_000 + b"2\r\n{}\r\n0\r\n\r\n"
        one.send("POST /api/transaction HTTP/1.1", cookie, "Transfer-Encoding: chunked", body=chunks)
        assert one.answer()[0] == 200


def test_who_dribbles_a_body_that_is_answered_already_is_disconnected(server: Server) -> None:
    with Raw(server) as one:
        one.send("POST /api/transaction HTTP/1.1", "Content-Length: 60000")
        assert one.answer()[0] == 401
        until(lambda: one.ends_though(b"x"), 20, "the end of the connection")


def test_the_rest_of_a_refused_body_may_come_later(server: Server) -> None:
    with Raw(server) as one:
        one.send("POST /api/transaction HTTP/1.1", "Content-Length: 60000")
        assert one.answer()[0] == 401
        one.socket.sendall(b"x" * 60_000)
        one.send("GET /api/info HTTP/1.1")
        assert one.answer()[0] == 200


def test_who_reads_no_answers_is_disconnected(server: Server) -> None:
    assert server.process
    process = psutil.Process(server.process.pid)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.connect(("127.0.0.1", server.port))
    with Raw(server) as one:
        cookie = one.log_in()
    with ssl.create_default_context(cafile=str(server.certificate)).wrap_socket(plain, server_hostname="localhost") as deaf:
        mine = deaf.getsockname()
        deaf.sendall(f"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n{cookie}\r\n\r\n".encode() * 20)
        until(lambda: all(found.raddr != mine for found in process.net_connections()), 20, "the end of the connection")


def test_so_many_requests_may_wait_on_a_connection(server: Server) -> None:
    with Raw(server) as one:
        one.socket.sendall((INFO + b"\r\n") * 99 + INFO + b"Connection: close\r\n\r\n")
        assert statuses(one) == [200] * 100
    with Raw(server) as one:
        one.socket.sendall((INFO + b"\r\n") * 2000)
        assert statuses(one) == [200] * 101, "the one at work and those that wait"


def test_what_is_no_http_gets_no_answer_before_its_turn(server: Server) -> None:
    with Raw(server) as one:
        one.socket.sendall((INFO + b"\r\n") * 2 + b"nonsense\r\n\r\n")
        assert statuses(one) == [200, 200]
    with Raw(server) as one:
        one.socket.sendall((INFO + b"\r\n") * 2 + INFO + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert statuses(one) == [200, 200]
    with Raw(server) as one:
        one.socket.sendall(INFO + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n")
        assert statuses(one) == [400]


def test_what_comes_behind_an_upgrade_is_not_awaited(server: Server) -> None:
    with Raw(server) as one:
        one.socket.sendall(INFO + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + INFO + b"\r\n")
        assert statuses(one) == [200]


def test_who_keeps_all_connections_takes_nobody_elses(server: Server) -> None:
    with ExitStack() as stack:

        def connection(address: str) -> Raw:
            one = stack.enter_context(Raw(server, address=address))
            one.send("GET /api/info HTTP/1.1")
            assert one.answer()[0] == 200
            return one

        few = connection("127.0.0.3")
        many = [connection("127.0.0.2") for _ in range(25)]
        few.send("GET /api/info HTTP/1.1")
        assert few.answer()[0] == 200
        assert [one.closed() for one in many[:6]] == [True] * 6
        many[6].send("GET /api/info HTTP/1.1")
        assert many[6].answer()[0] == 200


def test_who_begins_many_connections_takes_nobody_elses(server: Server) -> None:
    with ExitStack() as stack:

        def begun(address: str) -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", server.port), 5, source_address=(address, 0))
            return stack.enter_context(plain)

        slow = begun("127.0.0.3")
        many = [begun("127.0.0.2") for _ in range(15)]
        assert [one.recv(1) for one in many[:6]] == [b""] * 6
        context = ssl.create_default_context(cafile=str(server.certificate))
        with context.wrap_socket(slow, server_hostname="localhost") as one:
            one.sendall(INFO + b"\r\n")
            assert one.recv(15) == b"HTTP/1.1 200 OK"
