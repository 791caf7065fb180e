"""What is asked of RADIUS servers, and which of their answers count: servers of a few lines answer what they are told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyrad.packet import AccessAccept, AccessChallenge, AccessReject, AuthPacket, Packet

from doorward.access import radius
from doorward.access.radius import Radius, RadiusEndpoint, RadiusError, Reply
from tests.support.ports import free_port

SECRET = "shared"


class RadiusServer:
    """Answers with a code and attributes, and keeps what it was asked."""

    def __init__(self, code: int, attributes: dict[str, Any], **options: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.asked: list[dict[str, Any]] = []
        self._code, self._attributes, self._options = code, attributes, options
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, client = self._socket.recvfrom(4096)
            if not data:
                return
            request = AuthPacket(packet=data, secret=SECRET.encode(), dict=radius._dictionary())
            assert request.verify_message_authenticator()
            told = {name: request[name][0] for name in request.keys() if name != "Message-Authenticator"}  # noqa: SIM118 - no dict
            self.asked.append({**told, "User-Password": request.PwDecrypt(told["User-Password"])})
            reply: Packet = request.CreateReply(**self._options)
            reply.code = self._code
            for name, value in self._attributes.items():
                reply[name] = value
            self._socket.sendto(reply.ReplyPacket(), client)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


Serve = Callable[..., RadiusServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    made: list[RadiusServer] = []

    def serving(code: int, **attributes: Any) -> RadiusServer:
        made.append(RadiusServer(code, {name.replace("_", "-"): value for name, value in attributes.items()}))
        return made[-1]

    yield serving
    for each in made:
        each.close()


def asked(*ports: int, secret: str | None = SECRET, timeout: float = 60.0) -> Radius:
    return Radius([RadiusEndpoint("127.0.0.1", port, lambda: secret) for port in ports], timeout, "gateway", "192.0.2.7")


def test_a_request_says_who_asks_for_whom(serve: Serve) -> None:
    server = serve(AccessAccept, Reply_Message=b"Good \x1b[1mmorning")
    reply = asked(server.port).ask("jäne", "wörd")
    assert (reply.accepted, reply.state, reply.echo) == (True, None, False)
    assert "morning" in reply.message
    assert "\x1b" not in reply.message
    assert server.asked == [
        {
            "User-Name": "jäne",
            "User-Password": "wörd",
            "NAS-Identifier": "gateway",
            "NAS-Port-Type": 5,
            "Calling-Station-Id": "192.0.2.7",
        }
    ]


def test_a_rejection_is_an_answer(serve: Serve) -> None:
    assert asked(serve(AccessReject, Reply_Message=b"No.").port).ask("jane", "wrong") == Reply(accepted=False, message="No.")


def test_the_longest_names_and_passwords_are_asked_and_longer_ones_are_not(serve: Serve) -> None:
    server = serve(AccessAccept)
    assert asked(server.port).ask("x" * 253, "x" * 128).accepted
    assert asked(server.port).ask("x" * 254, "x") == Reply(accepted=False)
    assert asked(server.port).ask("x", "x" * 129) == Reply(accepted=False)
    assert asked(server.port).ask("ä" * 127, "x") == Reply(accepted=False)
    assert len(server.asked) == 1


@pytest.mark.parametrize(("prompt", "echo"), [({}, False), ({"Prompt": 0}, False), ({"Prompt": 1}, True)])
def test_a_challenge_says_whether_the_answer_is_shown(serve: Serve, prompt: dict[str, int], echo: bool) -> None:
    server = serve(AccessChallenge, Reply_Message=b"x" * 253, State=b"its own", **prompt)
    reply = asked(server.port).ask("jane", "hers")
    assert reply == Reply(accepted=False, message="x" * 253, state=b"\x00its own", echo=echo)


def test_an_answer_to_a_challenge_goes_to_the_server_that_asked(serve: Serve) -> None:
    first, second = serve(AccessReject), serve(AccessAccept)
    assert asked(first.port, second.port).ask("jane", "123456", b"\x01its own").accepted
    assert first.asked == []
    assert second.asked[0]["State"] == b"its own"
    assert not asked(first.port, second.port).ask("jane", "123456").accepted
    assert asked(second.port, first.port).ask("jane", "123456", b"\x00").accepted
    assert "State" not in second.asked[-1]


def test_the_first_answer_counts_and_what_was_wrong_with_each_is_told(serve: Serve) -> None:
    away, server = free_port(kind=socket.SOCK_DGRAM), serve(AccessAccept)
    assert asked(away, server.port, timeout=0.2).ask("jane", "hers").accepted
    with pytest.raises(RadiusError, match=rf"^127\.0\.0\.1:{away}.*; 127\.0\.0\.1:{away}"):
        asked(away, away, timeout=0.2).ask("jane", "hers")
    with pytest.raises(RadiusError, match=rf"^127\.0\.0\.1:{server.port}: its secret is not here$"):
        asked(server.port, secret=None).ask("jane", "hers")
    with pytest.raises(RadiusError, match=r"^there is no server$"):
        asked().ask("jane", "hers")


def test_a_name_that_nobody_knows_is_told_in_words(serve: Serve) -> None:
    servers = [RadiusEndpoint("no-such.invalid", 1812, lambda: SECRET)]
    with pytest.raises(RadiusError, match=r"^no-such\.invalid:1812: [A-Z][a-z]+ "):
        Radius(servers, 60.0, "gateway", "192.0.2.7").ask("jane", "hers")


def test_a_silent_server_is_asked_twice() -> None:
    server = RadiusServer(AccessAccept, {}, message_authenticator=False)
    with pytest.raises(RadiusError):
        asked(server.port, timeout=0.2).ask("jane", "hers")
    server.close()
    assert len(server.asked) == 2


def test_long_messages_are_cut(serve: Serve) -> None:
    reply = asked(serve(AccessReject, Reply_Message=[b"x" * 253] * 5).port).ask("jane", "wrong")
    assert reply.message == " ".join(["x" * 253] * 5)[:1023] + "…"


def test_other_codes_are_no_answer(serve: Serve) -> None:
    with pytest.raises(RadiusError, match=r"it answered with the code 5$"):
        asked(serve(5).port).ask("jane", "hers")


def test_an_answer_that_nothing_signs_is_none() -> None:
    server = RadiusServer(AccessAccept, {}, message_authenticator=False)
    try:
        with pytest.raises(RadiusError, match="gave no answer that is signed"):
            asked(server.port, timeout=0.2).ask("jane", "hers")
    finally:
        server.close()
