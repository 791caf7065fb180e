"""Who is it? A real FreeRADIUS is asked, and answers that anybody on the way could have made."""

from __future__ import annotations

import hashlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from doorward.access.radius import Radius, RadiusEndpoint, RadiusError
from tests.support.ports import free_port
from tests.system.freeradius_support import ALICE_PASSWORD, CODE, SECRET, TOKEN_PASSWORD, FreeRadius

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def freeradius(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreeRadius]:
    made = FreeRadius(tmp_path_factory.mktemp("freeradius") / "raddb").start()
    yield made
    made.stop()


def asked(*ports: int, secret: str | None = SECRET, timeout: float = 20.0) -> Radius:
    return Radius([RadiusEndpoint("127.0.0.1", port, lambda: secret) for port in ports], timeout, "gateway", "192.0.2.7")


def test_a_password_is_right_or_wrong(freeradius: FreeRadius) -> None:
    known = asked(freeradius.port)
    assert known.ask("alice", ALICE_PASSWORD).accepted
    assert not known.ask("alice", "wrong").accepted
    assert not known.ask("nobody", ALICE_PASSWORD).accepted
    assert not known.ask("x" * 254, ALICE_PASSWORD).accepted
    assert not known.ask("alice", "x" * 129).accepted


def test_a_challenge_is_answered_at_the_server_that_made_it(freeradius: FreeRadius) -> None:
    known = asked(free_port(kind=socket.SOCK_DGRAM), freeradius.port, timeout=0.5)
    asking = known.ask("token", TOKEN_PASSWORD)
    assert (asking.accepted, asking.message, asking.echo) == (False, "Code of your token", False)
    assert asking.state is not None
    assert asking.state[0] == 1
    right = asked(free_port(kind=socket.SOCK_DGRAM), freeradius.port)
    assert right.ask("token", CODE, asking.state).accepted
    assert not right.ask("token", "000000", asking.state).accepted
    assert not asked(freeradius.port).ask("token", CODE).accepted, "the code is no password"


@pytest.mark.parametrize("secret", ["another", None])
def test_the_wrong_secret_is_no_answer(freeradius: FreeRadius, secret: str | None) -> None:
    with pytest.raises(RadiusError):
        asked(freeradius.port, secret=secret, timeout=0.5).ask("alice", ALICE_PASSWORD)


def test_an_accept_that_is_not_signed_is_none(freeradius: FreeRadius) -> None:
    with pytest.raises(RadiusError):
        asked(freeradius.port, timeout=0.5).ask("unsigned", ALICE_PASSWORD)


def test_an_accept_with_a_right_authenticator_and_no_signature_is_none() -> None:
    """What an attacker on the way can make of a rejection (CVE-2024-3596): the authenticator fits, nothing else signs it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            try:
                while True:
                    request, client = server.recvfrom(4096)
                    head = bytes([2, request[1]]) + (20).to_bytes(2)
                    made = hashlib.md5(head + request[4:20] + SECRET.encode(), usedforsecurity=False).digest()
                    server.sendto(head + made, client)
            except OSError:
                return

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(RadiusError):
            asked(server.getsockname()[1], timeout=0.5).ask("alice", ALICE_PASSWORD)
