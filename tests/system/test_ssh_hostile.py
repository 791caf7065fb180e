"""Clients and servers that break the rules: their session ends with a reason, and nothing grows."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import asyncssh
import msgspec
import psutil
import pytest
from msgspec import structs

from doorward.proxy import messages
from doorward.proxy.ssh.gate import MAX_REQUESTS
from doorward.proxy.ssh.legs.waiting import MAX_WAITING
from doorward.proxy.ssh.policy import MAX_DENIED
from doorward.proxy.ssh.wire.fields import boolean, string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import ChannelRule, ChannelType, Relayed
from tests.support.gateway import MODERN, FakeControl, FakeObserver, Gateway, make_rules
from tests.support.raw_ssh import GoneError, RawPeer, channel_request, data, request
from tests.support.server import until
from tests.system.ssh_support import PASSWORD, Site, ended, open_site
from tests.system.sshd_support import ACCOUNT

KEY = asyncssh.generate_private_key("ssh-ed25519")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture
def relay(site: Site) -> Iterator[Gateway]:
    with Gateway(lambda: FakeControl(target=site.target(), rules=make_rules())) as opened:
        yield opened


def told(peer: RawPeer) -> str:
    """What the gateway says when it ends the connection."""
    try:
        while True:
            peer.receive()
    except GoneError as gone:
        return gone.reason
    finally:
        peer.close()


IDENTIFICATIONS = {
    "no identification": (b"GET / HTTP/1.0\r\n\r\n", "What came first was no SSH identification"),
    "an old protocol": (b"SSH-1.5-old\r\n", "The peer does not speak SSH 2.0"),
    "a line without end": (b"SSH-2.0-" + b"x" * 400, "No SSH identification came"),
    "a long line": (b"SSH-2.0-" + b"x" * 240 + b"\r\n" + b"\0" * 300, "The length of a packet is wrong"),
    "a giant packet": (b"SSH-2.0-x\r\n\x7f\xff\xff\xff" + b"\0" * 300, "The length of a packet is wrong"),
    "a crooked packet": (
        b"SSH-2.0-x\r\n\x00\x00\x00\x0d" + b"\0" * 300,
        "The length of a packet is wrong",
    ),
    "wrong padding": (b"SSH-2.0-x\r\n\x00\x00\x00\x0c\xff" + b"\x14" * 300, "The padding of a packet is wrong"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDENTIFICATIONS)
def test_garbage_before_keys_ends_the_connection(relay: Gateway, name: str) -> None:
    sent, reason = IDENTIFICATIONS[name]
    with socket.create_connection(("127.0.0.1", relay.port)) as sock:
        sock.sendall(sent)
        while sock.recv(4096):
            pass
    session = ended(relay)
    assert session.outcome.reason == reason
    assert session.control.events == [("protocol_violation", {"reason": reason, "by": "client"})]


EARLY = {
    "a channel": bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + uint32(9999) + uint32(9999),
    "a global request": bytes([Message.GLOBAL_REQUEST]) + string("keepalive@openssh.com") + boolean(True),
    "data": data(0, b"x"),
}


@pytest.mark.parametrize("name", EARLY)
def test_channels_before_the_login_end_the_connection(relay: Gateway, name: str) -> None:
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    peer.send(EARLY[name])
    assert told(peer) == f"Message {EARLY[name][0]} came before the login"


def test_a_success_of_the_client_is_no_login(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    peer.send(bytes([Message.USERAUTH_SUCCESS]))
    assert told(peer) == "Message 52 is none of a client's login"


def test_the_user_does_not_change(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"), request("one", "none"))
    peer.until(Message.USERAUTH_FAILURE)
    peer.send(request("two", "none"))
    assert told(peer) == "The user name changed in the middle of the login"


def test_a_forged_packet_ends_the_connection(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    packet = bytearray(peer.seal(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth")))
    packet[-1] ^= 1
    peer.sock.sendall(packet)
    assert told(peer) == "A packet was damaged or forged on its way"


def test_nothing_can_be_slipped_into_the_first_key_exchange(relay: Gateway) -> None:
    # The prefix of the Terrapin attack: messages before the keys, made up for by swallowing as many after them.
    peer = RawPeer.connect(relay.port)
    peer.send(bytes([Message.IGNORE]) + string(b"slipped in"))
    with pytest.raises(GoneError) as gone:
        peer.exchange()
    peer.close()
    assert gone.value.reason == "Something came before the first key exchange"
    peer = RawPeer.connect(relay.port)
    peer.slip = bytes([Message.IGNORE]) + string(b"slipped in")
    with pytest.raises(GoneError) as gone:
        peer.exchange()
    peer.close()
    assert gone.value.reason == "Message 2 came in the middle of the first key exchange"


def test_a_client_without_strict_exchange_is_served(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port, strict=False)
    peer.send(bytes([Message.IGNORE]) + string(b"harmless"))
    peer.login(ACCOUNT, PASSWORD)
    channel = peer.open_session()
    peer.exchange()
    peer.send(channel_request(channel, "exec", string("echo after new keys")))
    assert b"after new keys" in peer.until(Message.CHANNEL_DATA)
    peer.close()


def test_asking_for_services_after_the_login_stops_nothing(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port)
    peer.login(ACCOUNT, PASSWORD)
    peer.send(*[bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth")] * (MAX_WAITING + 1))
    for _ in range(MAX_WAITING + 1):
        assert peer.receive()[0] == Message.UNIMPLEMENTED
    channel = peer.open_session()
    peer.send(channel_request(channel, "exec", string("echo still there")))
    assert b"still there" in peer.until(Message.CHANNEL_DATA)
    peer.close()


def test_wrong_guesses_are_ignored(relay: Gateway) -> None:
    # RFC 4253, section 7: a client that guesses wrongly has sent a message that does not count.
    peer = RawPeer.connect(relay.port, algorithms=structs.replace(MODERN, kex=("curve25519-sha256", *MODERN.kex)))
    peer.guess = bytes([Message.KEX_FIRST]) + string(b"a guess")
    peer.exchange()
    peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
    assert peer.receive()[0] == Message.SERVICE_ACCEPT
    peer.close()


AFTER: dict[str, tuple[Callable[[int], list[bytes]], str]] = {
    "more data than the window": (
        lambda channel: [channel_request(channel, "exec", string("cat")), *([data(channel, bytes(32768))] * 100)],
        "More data came than the window of the channel allows",
    ),
    "data for no channel": (lambda _: [data(77, b"x")], "A message came for channel 77, which is not there"),
    "a length that lies": (
        lambda channel: [bytes([Message.CHANNEL_DATA]) + uint32(channel) + uint32(9) + b"x"],
        "The length of data is wrong",
    ),
    "a window without end": (
        lambda channel: [bytes([Message.CHANNEL_WINDOW_ADJUST]) + uint32(channel) + uint32(0xFFFFFFFF)] * 2,
        "The window of a channel is larger than a window can be",
    ),
    "an answer to nothing": (lambda _: [bytes([Message.REQUEST_SUCCESS])], "An answer came to no request"),
    "a short message": (lambda _: [bytes([Message.CHANNEL_REQUEST]) + b"\0"], "A message is shorter than its fields say"),
    "two channels of one number": (
        lambda _: [bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + uint32(99999) + uint32(9999)],
        "Channel 0 was opened twice",
    ),
    "two ends of a channel": (
        lambda channel: [bytes([Message.CHANNEL_CLOSE]) + uint32(channel)] * 2,
        "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER)
def test_rules_of_channels_are_kept(relay: Gateway, name: str) -> None:
    make, reason = AFTER[name]
    peer = RawPeer.connect(relay.port)
    peer.login(ACCOUNT, PASSWORD)
    channel = peer.open_session()
    peer.send(*make(channel))
    said = told(peer)
    assert said == reason if reason else said


@contextmanager
def hostile_server(
    play: Callable[[RawPeer], None], *, make_observer: Callable[[], FakeObserver] = FakeObserver
) -> Iterator[Gateway]:
    """A gateway whose target is played by a function."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        sock, _ = listener.accept()
        peer = RawPeer(sock, host_key=KEY)
        try:
            play(peer)
        except (GoneError, ConnectionError):
            pass
        finally:
            sock.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    public = KEY.export_public_key().decode().strip()
    target = messages.TargetAnswer(
        session="", ask=0, name="target", addresses=("127.0.0.1",), port=listener.getsockname()[1], user="u", keys=(public,),
        offers=(Relayed.SAME_PASSWORD,),
    )  # fmt: skip
    with Gateway(lambda: FakeControl(target=target, rules=make_rules()), make_observer=make_observer) as relay:
        yield relay
    thread.join()
    listener.close()


def _chatty(peer: RawPeer) -> None:
    peer.sock.sendall(b"welcome\r\n" * 100)


def _endless_line(peer: RawPeer) -> None:
    peer.sock.sendall(b"x" * 100_000)


def _up_to_login(peer: RawPeer) -> None:
    peer.identify()
    peer.exchange()
    peer.until(Message.SERVICE_REQUEST)
    peer.send(bytes([Message.SERVICE_ACCEPT]) + string("ssh-userauth"))
    peer.until(Message.USERAUTH_REQUEST)


def _banners(peer: RawPeer) -> None:
    _up_to_login(peer)
    for _ in range(1000):
        peer.send(bytes([Message.USERAUTH_BANNER]) + string("noise " * 100) + string(""))


def _early_channel(peer: RawPeer) -> None:
    _up_to_login(peer)
    peer.send(bytes([Message.GLOBAL_REQUEST]) + string("x") + boolean(False))
    peer.receive()


def _unasked(peer: RawPeer) -> None:
    _up_to_login(peer)
    peer.send(*[bytes([Message.USERAUTH_FAILURE]) + string("password") + boolean(False)] * 2)
    peer.receive()


def _many_questions(peer: RawPeer) -> None:
    _up_to_login(peer)
    peer.send(bytes([Message.USERAUTH_FAILURE]) + string("keyboard-interactive") + boolean(False))
    peer.until(Message.USERAUTH_REQUEST)
    peer.send(bytes([Message.USERAUTH_INFO_REQUEST]) + string("") * 3 + uint32(100_000))
    peer.receive()


def _wrong_key(peer: RawPeer) -> None:
    peer.host_key = asyncssh.generate_private_key("ssh-ed25519")
    _up_to_login(peer)


SERVERS = {
    "lines without end": (_chatty, "What came first was no SSH identification"),
    "a line without end": (_endless_line, "No SSH identification came"),
    "banners without end": (_banners, "The server shows banners without end"),
    "channels before the login": (_early_channel, "Message 80 came before the login"),
    "answers that nobody asked for": (_unasked, "Message 51 answers nothing"),
    "too many questions": (_many_questions, "The server asks too much at once"),
    "another host key": (_wrong_key, "target is not the server it should be: its key is unknown"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_breaks_the_rules_is_left(name: str) -> None:
    play, reason = SERVERS[name]
    with hostile_server(play) as relay:
        peer = RawPeer.connect(relay.port)
        peer.exchange()
        peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
        peer.send(request("u", "password", boolean(False) + string("pw")))
        assert told(peer) == reason
        assert ended(relay).outcome.reason == reason


def _playing(act: Callable[[RawPeer, int], None]) -> Callable[[RawPeer], None]:
    """A server that lets everybody in, opens a session and then acts."""

    def play(peer: RawPeer) -> None:
        _up_to_login(peer)
        peer.send(bytes([Message.USERAUTH_SUCCESS]))
        opened = peer.until(Message.CHANNEL_OPEN)
        client = int.from_bytes(opened[12:16], "big")
        peer.send(bytes([Message.CHANNEL_OPEN_CONFIRMATION]) + uint32(client) + uint32(5) + uint32(1 << 20) + uint32(32768))
        peer.until(Message.CHANNEL_REQUEST)
        act(peer, client)

    return play


def _dies(peer: RawPeer, client: int) -> None:
    peer.send(bytes([Message.CHANNEL_SUCCESS]) + uint32(client), data(client, b"last words"))


def _opens(kind: str, fields: bytes = b"") -> Callable[[RawPeer, int], None]:
    def act(peer: RawPeer, _: int) -> None:
        peer.send(bytes([Message.CHANNEL_OPEN]) + string(kind) + uint32(9) + uint32(9999) + uint32(9999) + fields)
        assert peer.receive()[0] == Message.CHANNEL_OPEN_FAILURE
        peer.send(bytes([Message.DISCONNECT]) + uint32(11) + string("refused") + string(""))

    return act


def _floods(peer: RawPeer, client: int) -> None:
    for _ in range(100):
        peer.send(data(client, bytes(32768)))
    peer.receive()


PLAYS = {
    "dies": (_dies, "The server is gone: the connection was closed"),
    "opens a session": (_opens("session"), "The server wants to start a program at the client"),
    "opens an agent that was not granted": (_opens("auth-agent@openssh.com"), "The server disconnected: refused"),
    "opens a display that was not granted": (_opens("x11", string("1.2.3.4") + uint32(1)), "The server disconnected: refused"),
    "claims a forward": (
        _opens("forwarded-tcpip", string("") + uint32(80) + string("1.2.3.4") + uint32(1)),
        "The server disconnected: refused",
    ),
    "sends more than the window": (_floods, "More data came than the window of the channel allows"),
}


@pytest.mark.parametrize("name", PLAYS)
def test_a_server_that_turns_bad_within_a_session(name: str) -> None:
    act, reason = PLAYS[name]
    with hostile_server(_playing(act)) as relay:
        peer = RawPeer.connect(relay.port)
        peer.login("u", "pw")
        peer.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + uint32(1 << 20) + uint32(32768))
        peer.until(Message.CHANNEL_OPEN_CONFIRMATION)
        peer.send(channel_request(5, "exec", string("x")))
        assert told(peer) == reason
        assert ended(relay).outcome.reason == reason


def test_data_before_a_program_reaches_nobody() -> None:
    def echo(peer: RawPeer, client: int) -> None:
        got = peer.until(Message.CHANNEL_DATA)
        peer.send(data(client, b"got " + got[9:]))
        peer.receive()

    with hostile_server(_playing(echo)) as relay:
        peer = RawPeer.connect(relay.port)
        peer.login("u", "pw")
        peer.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + uint32(1 << 20) + uint32(32768))
        peer.until(Message.CHANNEL_OPEN_CONFIRMATION)
        peer.send(data(5, b"early"), channel_request(5, "exec", string("x"), reply=False), data(5, b"late"))
        assert peer.until(Message.CHANNEL_DATA)[9:] == b"got late"
        peer.close()
        assert ended(relay).observer.content(1, down=False) == b"late"


def test_a_client_that_reads_nothing_costs_nothing(relay: Gateway) -> None:
    peer = RawPeer.connect(relay.port)
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    peer.login(ACCOUNT, PASSWORD)
    channel = peer.open_session(window=0x7FFFFFFF)
    process = psutil.Process(os.getpid())
    relay.served[-1].observer.keep = False
    before = process.memory_info().rss
    peer.send(channel_request(channel, "exec", string("cat /dev/zero"), reply=False))
    sizes = relay.served[-1].observer.sizes
    # Everything stands still once the buffers of the kernel are full.
    last = -1

    def stands() -> bool:
        nonlocal last
        threading.Event().wait(0.3)
        seen, last = last, sizes.get((1, True), 0)
        return last > 0 and seen == last

    until(stands, seconds=60)
    assert process.memory_info().rss - before < 4 * 1024 * 1024
    peer.close()
    ended(relay)


def test_requests_to_log_in_come_to_an_end(relay: Gateway) -> None:
    # "none" is no try, and what control does for it is not the client's time.
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"), *[request("u", "none")] * (MAX_REQUESTS + 1))
    assert told(peer) == "Too many requests to log in"
    assert len(ended(relay).control.asked) == MAX_REQUESTS + 1


@pytest.mark.parametrize(
    "payload",
    [request("u", "publickey", boolean(False) + string(b"\xff") + string(KEY.public_data)), request(b"\xff", "none")],
    ids=["algorithm", "user"],
)  # fmt: skip
def test_names_that_are_no_text_are_told_of(site: Site, payload: bytes) -> None:
    def encoding(user: str, algorithm: str = "", *_: object) -> None:
        msgspec.msgpack.encode((user, algorithm))

    def make() -> FakeControl:
        control = FakeControl(target=site.target(), rules=make_rules(gateway_login=True))
        control.try_none = control.try_key = encoding  # type: ignore[method-assign,assignment] # as the pipe does
        return control

    with Gateway(make) as relay:
        peer = RawPeer.connect(relay.port)
        peer.exchange()
        peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"), payload)
        assert told(peer) == "A name or an answer is not in UTF-8"


def test_what_no_rule_allows_is_not_asked_for_without_end(site: Site) -> None:
    # Each refusal is recorded and told of; control takes a million channels for the work of a forged worker.
    shell = ChannelRule(channel=ChannelType.SHELL, position=0)
    with Gateway(lambda: FakeControl(target=site.target(), rules=make_rules(channels=(shell,)))) as relay:
        peer = RawPeer.connect(relay.port)
        peer.login(ACCOUNT, PASSWORD)
        channel = peer.open_session()
        opening = bytes([Message.CHANNEL_OPEN]) + string("x11") + uint32(1) + uint32(9) + uint32(9)
        forward = bytes([Message.GLOBAL_REQUEST]) + string("tcpip-forward") + boolean(True) + string("") + uint32(0)
        denied = [opening, forward, channel_request(channel, "x11-req"), channel_request(channel, "exec", string("id"))]
        threading.Thread(target=_send_all, args=(peer, denied * (MAX_DENIED // 4 + 1)), daemon=True).start()
        assert told(peer) == "What no rule allows was asked for again and again"
        assert len([event for event, _ in ended(relay).control.events if event == "channel_denied"]) == MAX_DENIED


def _send_all(peer: RawPeer, payloads: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        peer.sock.sendall(b"".join(peer.seal(payload) for payload in payloads))


def test_answers_do_not_pile_up_behind_a_key_exchange(site: Site) -> None:
    rules = make_rules(settings={"rekey_bytes": 10_000})
    with Gateway(lambda: FakeControl(target=site.target(), rules=rules)) as relay:
        peer = RawPeer.connect(relay.port)
        peer.login(ACCOUNT, PASSWORD)
        channel = peer.open_session()
        peer.send(channel_request(channel, "exec", string("head -c 100000 /dev/zero; cat")))
        peer.until(Message.KEXINIT)
        # It is our turn to answer; we only ask on.
        flood = [bytes([Message.GLOBAL_REQUEST]) + string("x") + boolean(True)] * 30_000
        threading.Thread(target=_send_all, args=(peer, flood), daemon=True).start()
        assert told(peer) == "The client asks without end and does not finish a key exchange"


def test_nothing_begins_once_the_recording_has_failed(site: Site) -> None:
    """A terminal is left a moment to show why; no program starts in it."""

    class Failing(FakeObserver):
        def opened(self, channel: int, kind: str, *rest: Any) -> None:
            super().opened(channel, kind, *rest)
            if channel > 1:
                assert self.flow is not None
                self.flow.end("The session can't be recorded any more.", "FAIL")

    ran: list[bytes] = []

    def server(peer: RawPeer) -> None:
        _up_to_login(peer)
        peer.send(bytes([Message.USERAUTH_SUCCESS]))
        for number in (5, 6):
            client = int.from_bytes(peer.until(Message.CHANNEL_OPEN)[12:16], "big")
            confirmed = bytes([Message.CHANNEL_OPEN_CONFIRMATION]) + uint32(client) + uint32(number)
            peer.send(confirmed + uint32(1 << 20) + uint32(32768))
            if number == 5:
                peer.until(Message.CHANNEL_REQUEST)
                ran.append(peer.until(Message.CHANNEL_REQUEST))
        while True:
            ran.append(peer.until(Message.CHANNEL_REQUEST))

    with hostile_server(server, make_observer=Failing) as relay:
        peer = RawPeer.connect(relay.port)
        peer.login("u", "pw")
        window = uint32(1 << 20) + uint32(32768)
        peer.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(0) + window)
        peer.until(Message.CHANNEL_OPEN_CONFIRMATION)
        terminal = string("xterm") + uint32(80) + uint32(24) + uint32(0) * 2 + string("")
        peer.send(channel_request(5, "pty-req", terminal, reply=False), channel_request(5, "shell", reply=False))
        peer.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(1) + window)
        peer.until(Message.CHANNEL_OPEN_CONFIRMATION)
        peer.send(channel_request(6, "exec", string("unrecorded"), reply=False))
        assert told(peer) == "The session can't be recorded any more."
    assert len(ran) == 1
