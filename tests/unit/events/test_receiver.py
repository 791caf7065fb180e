"""A receiver that comes and goes: what waits, what is dropped, what is said about it."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any, Self

import pytest

from doorward.configuration.management import syslog
from doorward.events.forwarder import Forwarder
from doorward.events.receiver import MAX_WAITING, SyslogReceiver
from doorward.events.syslog import Origin
from doorward.events.tap import LogRecord
from doorward.events.tls import context
from doorward.store.vault import VaultError
from tests.support.server import until
from tests.support.waiting import PATIENCE
from tests.unit.events.parts import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator


def no_tls(_settings: syslog.Tls) -> ssl.SSLContext:
    raise AssertionError


class Collector:
    """A TCP server that keeps what it is sent, as messages."""

    def __init__(self, port: int = 0) -> None:
        self.listening = socket.create_server(("127.0.0.1", port))
        self.listening.settimeout(PATIENCE)
        self.port = self.listening.getsockname()[1]
        self.connection: socket.socket | None = None
        self.read = b""

    def accept(self) -> Self:
        self.connection = self.listening.accept()[0]
        self.connection.settimeout(PATIENCE)
        return self

    def messages(self, count: int) -> list[str]:
        """Wait for so many messages."""
        found: list[str] = []
        while len(found) < count:
            size = re.match(rb"(\d+) ", self.read)
            if size and len(self.read) >= size.end() + int(size[1]):
                end = size.end() + int(size[1])
                found.append(self.read[size.end() : end].decode())
                self.read = self.read[end:]
            else:
                assert self.connection is not None
                more = self.connection.recv(1 << 20)
                assert more, "the connection ended"
                self.read += more
        return found

    def close(self) -> None:
        self.listening.close()
        if self.connection:
            self.connection.close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


@contextlib.contextmanager
def sending(port: int, **transport: Any) -> Iterator[SyslogReceiver]:
    block = {
        "address": {"selection": "ip", "value": "127.0.0.1"},
        "message_format": "rfc3164",
        "port": port,
        "transport": transport or {"selection": "tcp"},
    }
    receiver = SyslogReceiver(syslog.NODE.parse({"receivers": [block]}).receivers[0], lambda: Origin("node"), no_tls, pause=0.02)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def record(number: int) -> LogRecord:
    return LogRecord(0.0, "info", f"record {number}", {})


def texts(messages: list[str]) -> list[str]:
    return [message.partition(": ")[2] for message in messages]


def test_records_arrive_in_order(collector: Collector) -> None:
    with sending(collector.port) as receiver:
        for number in range(500):
            receiver.put(record(number))
        assert texts(collector.accept().messages(500)) == [f"record {number}" for number in range(500)]


def test_records_wait_while_the_receiver_is_away(collector: Collector) -> None:
    port = collector.port
    collector.close()
    with sending(port) as receiver:
        for number in range(10):
            receiver.put(record(number))
        until(lambda: receiver.away is not None)
        again = Collector(port).accept()
        assert texts(again.messages(10)) == [f"record {number}" for number in range(10)]
        until(lambda: receiver.away is None)
        assert receiver.dropped == 0
        again.close()


def test_the_oldest_are_dropped_and_counted(collector: Collector) -> None:
    port = collector.port
    collector.close()
    with sending(port) as receiver:
        receiver.put(record(0))  # in the hand of the thread
        until(lambda: receiver.away is not None)
        for number in range(1, MAX_WAITING + 6):
            receiver.put(record(number))
        assert (len(receiver), receiver.dropped) == (MAX_WAITING + 1, 5)
        with contextlib.closing(Collector(port).accept()) as again:
            received = texts(again.messages(MAX_WAITING + 2))
        assert received[:3] == ["records dropped count=5", "record 0", "record 6"]
        assert received[-1] == f"record {MAX_WAITING + 5}"


def test_what_is_dropped_is_told_once(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.events.receiver.MAX_WAITING", 1)
    port = collector.port
    collector.close()
    with sending(port) as receiver:
        receiver.put(record(0))
        until(lambda: receiver.away is not None)
        receiver.put(record(1))
        receiver.put(record(2))
        with contextlib.closing(Collector(port).accept()) as again:
            assert texts(again.messages(3)) == ["records dropped count=1", "record 0", "record 2"]
            receiver.put(record(3))
            assert texts(again.messages(1)) == ["record 3"]
        assert receiver.dropped == 1


def test_a_connection_that_the_receiver_closed_is_made_anew(collector: Collector) -> None:
    with sending(collector.port) as receiver:
        receiver.put(record(1))
        collector.accept().messages(1)
        assert collector.connection
        collector.connection.close()
        receiver.put(record(2))
        assert texts(collector.accept().messages(1)) == ["record 2"]


def test_datagrams_carry_one_record_each() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        with sending(server.getsockname()[1], selection="udp") as receiver:
            for number in range(3):
                receiver.put(record(number))
            received = [server.recv(65536).decode() for _ in range(3)]
    assert texts(received) == [f"record {number}" for number in range(3)]


def test_the_end_sends_what_still_waits(collector: Collector) -> None:
    with sending(collector.port) as receiver:
        for number in range(100):
            receiver.put(record(number))
    assert texts(collector.accept().messages(100))[-1] == "record 99"


def test_the_end_does_not_wait_for_a_receiver_that_is_away(collector: Collector) -> None:
    port = collector.port
    collector.close()
    with sending(port) as receiver:
        receiver.put(record(1))
        until(lambda: receiver.away is not None)
        receiver.stop()
        assert not receiver._worker._thread.is_alive()


def block(port: int) -> dict[str, Any]:
    return {"address": {"selection": "ip", "value": "127.0.0.1"}, "port": port}


def test_another_configuration_leaves_alone_the_receivers_that_stay() -> None:
    one, two = Collector(), Collector()
    forwarder = Forwarder(lambda key: None)
    forwarder.configure(snapshot(management__syslog={"receivers": [block(one.port)]}))
    forwarder(record(1))
    assert len(one.accept().messages(1)) == 1
    kept = forwarder.receivers[0]
    forwarder.configure(snapshot(management__syslog={"receivers": [block(two.port), block(one.port)]}))
    forwarder(record(2))
    assert "doorward1 doorward" in one.messages(1)[0].replace(".example.com", "")
    assert len(two.accept().messages(1)) == 1
    assert kept in forwarder.receivers
    forwarder.configure(snapshot())
    assert forwarder.receivers == ()
    until(lambda: not kept._worker._thread.is_alive())
    forwarder.stop()
    one.close()
    two.close()


def test_a_key_that_can_not_be_had_keeps_a_receiver_away_and_the_thread_alive(collector: Collector) -> None:
    def broken(_key: str) -> str:
        if broken_now:
            raise VaultError("The secret was altered.")
        return "no key"

    broken_now = [True]
    identity = {"client_authentication": {"enabled": True, "x509_identity": "k"}, "server_certificate_check": {"enabled": False}}
    settings = {
        "address": {"selection": "ip", "value": "127.0.0.1"}, "message_format": "rfc5424", "port": collector.port,
        "transport": {"selection": "tls", **identity},
    }  # fmt: skip
    block = syslog.NODE.parse({"receivers": [settings]}).receivers[0]
    receiver = SyslogReceiver(block, lambda: Origin("node"), lambda transport: context(snapshot(), transport, broken), pause=0.02)
    receiver.start()
    receiver.put(record(1))
    until(lambda: receiver.away == "the private key of the client certificate can't be had: The secret was altered")
    broken_now.clear()
    until(lambda: receiver.away == "a certificate that the configuration refers to is gone")  # it goes on trying
    receiver.stop()


def test_debug_records_stay_here(collector: Collector) -> None:
    forwarder = Forwarder(lambda key: None)
    forwarder.configure(snapshot(management__syslog={"receivers": [block(collector.port)]}))
    forwarder(LogRecord(0.0, "debug", "detail", {}))
    forwarder(record(1))
    assert "record 1" in collector.accept().messages(1)[0]
    forwarder.stop()


def test_health_tells_of_receivers_that_are_away(collector: Collector) -> None:
    port = collector.port
    collector.close()
    forwarder = Forwarder(lambda key: None)
    forwarder.configure(snapshot(management__syslog={"receivers": [block(port)]}))
    assert list(forwarder.issues()) == []
    forwarder(record(1))
    [issue] = until(lambda: list(forwarder.issues()))
    assert issue == f"The syslog receiver 127.0.0.1:{port} is away (Connection refused); waiting records: 1."
    forwarder.stop()


@contextlib.contextmanager
def name_of(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> Iterator[None]:
    """``logs.example`` has these addresses."""
    real = socket.getaddrinfo

    def found(host: Any, port: Any, *more: Any, **named: Any) -> Any:
        places = addresses if host == "logs.example" else (host,)
        return [row for place in places for row in real(place, port, *more, **named)]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", found)
        yield


def test_datagrams_go_to_the_address_at_which_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name with several: where the kernel has no way, where nobody listens, and where the receiver is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        settings = {
            "address": {"selection": "fqdn", "value": "logs.example"}, "message_format": "rfc3164",
            "port": server.getsockname()[1], "transport": {"selection": "udp"},
        }  # fmt: skip
        with name_of(monkeypatch, "2001:db8::1", "127.0.0.2", "127.0.0.3", "127.0.0.1"):
            block = syslog.NODE.parse({"receivers": [settings]}).receivers[0]
            receiver = SyslogReceiver(block, lambda: Origin("node"), no_tls, pause=0.02)
            receiver.start()
            for number in range(5):
                receiver.put(record(number))
            received = [server.recv(65536).decode() for _ in range(5)]
            receiver.stop()
    assert texts(received) == [f"record {number}" for number in range(5)]
    assert receiver.away is None
