"""Connections that are cut at any byte of a commit's request or answer: its ticket tells the truth, nothing is applied twice."""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.faults.checks import WEB, accepted
from tests.proof.effort import Outcome, chance, tries
from tests.support.server import Client, Server, running, until

FINAL = {"done", "failed", "reverted", "unknown"}
RESET = struct.pack("ii", 1, 0)


@dataclass
class Wire:
    """Connections of one login session that end when it is wanted."""

    server: Server
    client: Client

    def __post_init__(self) -> None:
        self._context = ssl.create_default_context(cafile=str(self.server.certificate))
        self._context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._cookie = "; ".join(f"{one.name}={one.value}" for one in self.client.http.cookies.jar)

    def request(self, method: str, path: str, body: Any, key: str) -> bytes:
        content = json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.server.port}\r\nCookie: {self._cookie}\r\n"
        head += f"Idempotency-Key: {key}\r\nConnection: close\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content

    def send(self, request: bytes, taken: int) -> bytes:
        """Send a request or a part of one, take so much of the answer, and reset the connection."""
        with socket.create_connection(("127.0.0.1", self.server.port)) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            with self._context.wrap_socket(plain, server_hostname="127.0.0.1") as wire:
                wire.sendall(request)
                answer = b""
                while len(answer) < taken and (piece := wire.recv(taken - len(answer))):
                    answer += piece
                return answer

    def ask(self, request: bytes) -> int:
        """Send a request; return the status of the answer, which is read as a whole."""
        with (
            socket.create_connection(("127.0.0.1", self.server.port)) as plain,
            self._context.wrap_socket(plain, server_hostname="127.0.0.1") as wire,
        ):
            wire.sendall(request)
            answer = http.client.HTTPResponse(wire)
            answer.begin()
            answer.read()
            return answer.status


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with running(tmp_path_factory.mktemp("cut") / "state") as server:
        yield Wire(server, server.login())


def order(wire: Wire, dice: random.Random, value: int, key: str) -> bytes:
    """A commit of a value, in either of the two ways."""
    change = {"method": "PUT", "path": WEB, "body": {"timeout": value}}
    if dice.random() < 0.5:
        return wire.request("POST", "/api/commits", {"changes": [change]}, key)
    accepted(wire.client.put(WEB, {"timeout": value}))
    return wire.request("PUT", "/api/transaction", {"status": "commit", "commit_message": "x" * dice.randint(1, 400)}, key)


def ticket(client: Client, key: str) -> Any:
    """What became of a commit once that is settled; None: it was never heard of."""

    def settled() -> Any:
        answer = client.get(f"/api/commits/{key}")
        if answer.status_code == 404:
            return "unknown to the server"
        body = accepted(answer).json()["body"]
        return body if body["state"] in FINAL else None

    found = until(settled)
    return None if found == "unknown to the server" else found


def head(client: Client) -> int:
    return int(accepted(client.get("/api/revisions?limit=1")).json()["items"][0]["key"])


def test_a_ticket_tells_the_truth_about_a_commit_whose_connection_was_cut(wire: Wire) -> None:
    dice, count = chance("cut connections"), tries(short=30, long=10_000)
    client = wire.client
    known, running, carried_out = head(client), client.body(WEB)["timeout"], 0
    for number in range(count):
        key, value = f"cut-{number}", 10 + number % 1000
        request = order(wire, dice, value + (value >= running), key)
        running = value + (value >= running)  # another one than what ran
        is_sent = dice.random() < 0.6
        where = f"commit {number}, {request[:16]!r}, {'sent' if is_sent else 'cut'}"
        answer = wire.send(request, dice.randint(0, 900)) if is_sent else wire.send(request[: dice.randrange(len(request))], 0)
        found = ticket(client, key)
        if found is not None:
            assert is_sent, where
            assert (found["state"], found["revision"]) == ("done", known + 1), where
            assert (client.body(WEB)["timeout"], head(client)) == (running, known + 1), where
            carried_out += 1
        else:  # it never came; or it comes late, if all of it was sent
            assert not answer, where
            assert is_sent or head(client) == known, where
        # Whoever does not know asks for the same again.
        assert wire.ask(request) == 200, where
        known += 1
        assert (client.body(WEB)["timeout"], head(client)) == (running, known), where
        assert ticket(client, key)["revision"] == known, where
    assert 0 < carried_out < count
    Outcome("connection cut", count, {"carried_out_all_the_same": carried_out}).keep()
