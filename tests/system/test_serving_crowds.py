"""What a crowd can't do to a real server: take its memory for good, make others wait for heavy work, or hold up its end."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.contract.wire import Caller, chunked, logged_in
from tests.support.server import QUICK, Server, until
from tests.system.endless_keys import BEGUN
from tests.system.raw import Raw

MIB = 1 << 20
KEYS = "/api/configuration/private_keys"

TIDY = " ".join(f"doorward.appliance.memory.{name}" for name in ("_EVERY_SECONDS=1", "_MAX_SECONDS=2", "_MAX_LOOKS=600"))
"""Memory is looked after more often than in earnest."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all crowds: what each of them took has come back when the next one comes."""
    made = Server(tmp_path_factory.mktemp("crowds") / "state", QUICK, {"HASTY": TIDY}, plain=True).start()
    yield made
    made.stop()


def resident(server: Server) -> float:
    assert server.process
    return float(psutil.Process(server.process.pid).memory_info().rss) / MIB


def begun(server: Server, stack: ExitStack, number: int, *, path: str, pieces: int) -> Raw:
    """A connection from an address of its own that sent some 64 KiB pieces of a body, as far as they were taken."""
    one = stack.enter_context(Raw(server, address=f"127.0.{1 + number // 250}.{1 + number % 250}"))
    with suppress(ConnectionError, ssl.SSLError):
        one.send(f"POST {path} HTTP/1.1", "Transfer-Encoding: chunked")
        for _ in range(pieces):
            one.socket.sendall(chunked(b"x" * 65536)[:-5])
    return one


@pytest.mark.parametrize("path", ["/api/setup", "/api/transaction", "/api/authentication"])
def test_bodies_of_nobody_take_little_memory_and_it_comes_back(server: Server, path: str) -> None:
    idle = resident(server)
    with ExitStack() as stack:
        for number in range(150):
            begun(server, stack, number, path=path, pieces=16)
        assert resident(server) < idle + 75, "150 connections, of which each sent 1 MiB"
    until(lambda: resident(server) < idle + 16, 60, "the memory to come back")
    logged_in(server).close()


def test_setup_is_refused_before_the_body_is_read(server: Server) -> None:
    with Raw(server) as one:
        one.send("POST /api/setup HTTP/1.1", "Content-Length: 60000")
        status, _, answered = one.answer()
        assert (status, answered["error"]["type"]) == (409, "Conflict")


@pytest.mark.parametrize("path", ["/api/setup", "/api/authentication", "/"])
def test_anonymous_bodies_are_limited(server: Server, path: str) -> None:
    with Raw(server) as one:
        one.send(f"GET {path} HTTP/1.1", "Content-Length: 65537")
        status, fields, answered = one.answer()
        assert (status, answered["error"]["details"]) == (413, {"limit": 65536})
        assert fields["connection"] == "close"
    caller = Caller(server)
    assert caller.get("/api/setup", content=b"x" * 65536).status == 200
    assert caller.put("/api/transaction", content=b"x" * 65537).status == 401, "who has to log in is told so"
    caller.close()


def test_an_anonymous_body_in_chunks_is_limited(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", options=("--setup", "wizard"), environment={"DOORWARD_ADMIN_PASSWORD": ""}).start()
    try:
        caller = Caller(server)
        answer = caller.post("/api/setup", content=chunked(b" " * 70_000), headers={"Transfer-Encoding": "chunked"})
        answer.is_error(413, "BodyTooLarge", limit=65536)
        caller.close()
    finally:
        server.stop()


def test_bodies_under_way_of_one_client_are_limited(server: Server) -> None:
    """Seventeen requests of one login session keep almost 1 MiB each and don't end; other addresses have their own room."""
    caller = logged_in(server)
    with ExitStack() as stack:

        def sent(address: str) -> Raw:
            one = stack.enter_context(Raw(server, address=address))
            one.send("PUT /api/transaction HTTP/1.1", f"Cookie: session_id={caller.cookie}", f"Content-Length: {MIB}")
            with suppress(ConnectionError, ssl.SSLError):
                one.socket.sendall(b" " * (MIB - 100))
            return one

        answers: list[tuple[int, dict[str, str], Any]] = []

        def watch(one: Raw) -> None:
            with suppress(OSError, ValueError, HTTPException):
                answers.append(one.answer())

        held = [sent("127.0.0.5") for _ in range(17)]
        watching = [threading.Thread(target=watch, args=(one,)) for one in held]
        for thread in watching:
            thread.start()
        until(lambda: answers, 60, "a refusal of what is too much")
        status, fields, answered = answers[0]
        assert (status, answered["error"]["type"]) == (503, "ServiceUnavailable")
        assert (fields["retry-after"], fields["connection"]) == ("5", "close")
        other = sent("127.0.0.6")
        other.socket.sendall(b'{"status":"x"}'.ljust(100))
        assert other.answer()[0] == 400
        for one in held:
            with suppress(OSError):
                socket.socket.shutdown(one.socket, socket.SHUT_RDWR)
        for thread in watching:
            thread.join()
        assert {found[0] for found in answers} == {503}

    def roomy() -> bool:
        with Raw(server, address="127.0.0.5") as one:
            one.send("PUT /api/transaction HTTP/1.1", f"Cookie: session_id={caller.cookie}", f"Content-Length: {MIB}")
            one.socket.sendall(b'{"status":"x"}'.ljust(MIB))
            return one.answer()[0] == 400

    until(roomy, 30, "room again")
    caller.close()


def test_heavy_work_of_one_account_makes_nobody_wait_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", launcher=(str(Path(__file__).with_name("endless_keys.py")),)).start()
    busy = [logged_in(server, address=f"127.0.2.{number + 1}") for number in range(12)]
    ended: list[int] = []

    def ask(caller: Caller) -> None:
        with suppress(OSError, HTTPException):
            ended.append(caller.post(KEYS, {"generate": {"selection": "rsa-4096"}}).status)
        caller.close()

    threads = [threading.Thread(target=ask, args=(caller,), daemon=True) for caller in busy]
    try:
        for thread in threads:
            thread.start()
        until(lambda: f"{BEGUN}\n" in server.output, what="work that never ends")
        other = logged_in(server, address="127.0.3.1")
        for _ in range(10):
            other.get("/api/revisions").ok()  # reads the store in a thread
            other.get("/api/health_status").ok()
        other.close()
        assert not ended
    finally:
        assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert set(ended) <= {503}
