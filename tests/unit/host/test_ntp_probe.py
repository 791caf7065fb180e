"""The NTP client against a small server on the loopback."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING

import pytest

from doorward.host.ntp_probe import Prober, ProbeResult, probe, read_answer
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ADDRESS = "127.0.0.9"
EPOCH = 2_208_988_800


def stamp(unix: float) -> bytes:
    seconds, part = divmod(unix + EPOCH, 1)
    return struct.pack("!II", int(seconds) % 2**32, int(part * 2**32))


def answer(question: bytes, *, leap: int = 0, mode: int = 4, stratum: int = 2, ahead: float = 0.0) -> bytes:
    now = stamp(time.time() + ahead)
    head = bytes([leap << 6 | 4 << 3 | mode, stratum, 6, 0xEC])
    return head + bytes(12) + now + question[40:48] + now + now


class Server:
    """One UDP socket and the function that makes the datagrams of an answer."""

    def __init__(self, family: int, address: str) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.settimeout(0.05)
        self.port: int = self.socket.getsockname()[1]
        self.asked: list[bytes] = []
        self.peers: list[tuple[str, int]] = []
        self.reply: Callable[[bytes], list[bytes]] = lambda question: [answer(question)]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._end.is_set():
            try:
                question, peer = self.socket.recvfrom(512)
            except TimeoutError:
                continue
            self.peers.append(peer)
            self.asked.append(question)
            for datagram in self.reply(question):
                self.socket.sendto(datagram, peer)

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        self.socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(socket.AF_INET, ADDRESS)
    yield made
    made.close()


def test_a_good_answer(server: Server) -> None:
    server.reply = lambda question: [answer(question, ahead=30)]
    result = probe(ADDRESS, port=server.port)
    assert (result.resolved, result.answered, result.stratum, result.leap, result.synchronised) == (True, True, 2, 0, True)
    assert result.offset_seconds == pytest.approx(30, abs=2)
    question = server.asked[0]
    assert (len(question), question[0]) == (48, 0x23)
    assert question[1:40] == bytes(39), "nothing about us leaves the machine"


def test_ipv6() -> None:
    server = Server(socket.AF_INET6, "::1")
    try:
        assert probe("::1", port=server.port).answered
    finally:
        server.close()


@pytest.mark.parametrize(
    "forged",
    [
        lambda question: answer(question[:40] + bytes(8)),
        lambda question: answer(question, mode=3),
        lambda question: answer(question)[:47],
        lambda question: b"",
    ],
    ids=["origin", "mode", "short", "empty"],
)
def test_what_is_no_answer_to_us_is_ignored(server: Server, forged: Callable[[bytes], bytes]) -> None:
    server.reply = lambda question: [forged(question)]
    assert probe(ADDRESS, port=server.port, timeout=0.2) == ProbeResult(resolved=True, answered=False)
    server.reply = lambda question: [forged(question), answer(question)]
    assert probe(ADDRESS, port=server.port).answered, "a forged answer does not shut out the true one"


def test_an_answer_from_elsewhere_is_not_heard(server: Server) -> None:
    def from_elsewhere(question: bytes) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.10", 0))
            other.sendto(answer(question), server.peers[-1])
        return []

    server.reply = from_elsewhere
    assert probe(ADDRESS, port=server.port, timeout=0.3) == ProbeResult(resolved=True, answered=False)
    assert server.peers


@pytest.mark.parametrize(("leap", "stratum"), [(3, 2), (0, 16), (0, 0)])
def test_a_server_without_the_time(server: Server, leap: int, stratum: int) -> None:
    server.reply = lambda question: [answer(question, leap=leap, stratum=stratum)]
    result = probe(ADDRESS, port=server.port)
    assert (result.answered, result.leap, result.stratum, result.synchronised) == (True, leap, stratum, False)


def test_nobody_there(server: Server) -> None:
    port = server.port
    server.close()
    began = time.monotonic()
    assert probe(ADDRESS, port=port, timeout=PATIENCE) == ProbeResult(resolved=True, answered=False)
    assert time.monotonic() - began < PATIENCE, "a closed port is known ahead of the end"


@pytest.mark.parametrize("name", ["nothing.invalid", "a..b", "x" * 70 + ".invalid"])
def test_a_name_that_does_not_resolve(name: str) -> None:
    assert probe(name) == ProbeResult(resolved=False, answered=False)


def test_the_era_after_2036() -> None:
    later = 2**32 - EPOCH + 1000.0
    packet = bytes([0x24, 1]) + bytes(22) + b"12345678" + stamp(later + 5) + stamp(later + 5)
    result = read_answer(packet, b"12345678", later, later)
    assert result is not None
    assert result.offset_seconds == pytest.approx(5, abs=0.001)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.01)


def test_the_prober_never_waits_and_asks_once(server: Server) -> None:
    prober = Prober()
    assert prober.found(ADDRESS, server.port) is None
    for _ in range(5):
        prober.begin(ADDRESS, server.port)
    until(lambda: prober.found(ADDRESS, server.port))
    prober.begin(ADDRESS, server.port)
    result = prober.found(ADDRESS, server.port)
    assert result is not None
    assert result.answered
    assert len(server.asked) == 1


def test_an_address_of_a_family_that_the_kernel_lacks_hinders_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    class WithoutIpv6(socket.socket):
        def __init__(self, family: int = -1, *more: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *more)

    both = [
        (socket.AF_INET6, socket.SOCK_DGRAM, 17, "", ("::1", server.port, 0, 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (ADDRESS, server.port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    monkeypatch.setattr(socket, "socket", WithoutIpv6)
    assert probe("both.invalid", port=server.port).answered


def test_addresses_that_nothing_can_be_sent_to_take_no_places(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with many addresses of IPv6, on a node that has none."""
    away = [(socket.AF_INET6, socket.SOCK_DGRAM, 17, "", (f"2001:db8::{number}", server.port, 0, 0)) for number in range(1, 20)]
    here = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", (ADDRESS, server.port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [*away, here])
    assert probe("many.invalid", port=server.port).answered


def test_the_prober_asks_again_when_the_result_is_old(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    prober = Prober()
    prober.begin(ADDRESS, server.port)
    until(lambda: prober.found(ADDRESS, server.port))
    monkeypatch.setattr("doorward.host.background_prober._FRESH_SECONDS", 0.0)
    assert prober.found(ADDRESS, server.port) is None
    prober.begin(ADDRESS, server.port)
    until(lambda: len(server.asked) == 2)


def test_the_prober_is_bounded_and_forgets(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.host.background_prober._REMEMBERED", 4)
    running: list[int] = []
    gate = threading.Event()

    def slow(host: str, *, port: int, timeout: float) -> ProbeResult:
        running.append(1)
        gate.wait(PATIENCE)
        return ProbeResult(resolved=True, answered=True)

    monkeypatch.setattr("doorward.host.ntp_probe.probe", slow)
    prober = Prober()
    for number in range(40):
        prober.begin(f"host{number}")
    until(lambda: len(running) == 16)
    gate.set()
    until(lambda: len(running) == 40 and prober._threads == 0)
    assert len(prober._results) == 4
