"""Listeners in a real event loop, asked from another thread as the host does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from doorward.host.errors import HostError
from doorward.host.resources import AccessRule, Listener, ServerCertificate
from doorward.listening import listeners as listeners_module
from doorward.listening import open_listener as module
from doorward.listening.http.crowds import limit_connections
from doorward.listening.http.options import Errors, HttpOptions
from doorward.listening.http.service import HttpService
from doorward.listening.listeners import Listeners
from doorward.listening.service import Connection, Peer
from doorward.listening.sockets import bind
from doorward.listening.tls import ConfiguredTls
from tests.support.pki import Authority, Identity
from tests.support.ports import free_port
from tests.support.server import until
from tests.support.waiting import PATIENCE

AUTHORITY = Authority()
HERE = "127.0.0.1"
OPTIONS = HttpOptions(errors=Errors(lambda: b"", lambda: b"{}"), make_room=limit_connections)


class Show:
    """Which certificate the configuration wants, and the private keys that are here."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}
        self.tls = True
        self.wants("one")

    def wants(self, name: str) -> None:
        made: Identity = AUTHORITY.identity(name)
        self.keys[name] = made.private_key
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.certificate)).hexdigest()
        self.certificate = ServerCertificate(made.certificate, name, self.fingerprint)


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    """Answer which listener this is."""
    body = scope["state"]["listener"].name.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Switched:
    """HTTP with TLS or without, as the test has it."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._secure, self._plain = HttpService(hello, OPTIONS, ConfiguredTls(show.keys.get)), HttpService(hello, OPTIONS)

    @property
    def _one(self) -> HttpService:
        return self._secure if self._show.tls else self._plain

    def prepare(self, listener: Listener) -> None:
        self._one.prepare(listener)

    async def serve(self, connection: Connection, peer: Peer, listener: Listener) -> None:
        await self._one.serve(connection, peer, listener)

    def prove(self, source: socket.socket, listener: Listener) -> None:
        self._one.prove(source, listener)


class Running:
    """Listeners, their loop in a thread of its own, and a port that nobody has."""

    def __init__(self) -> None:
        self.show, self.listeners, self.loop = Show(), Listeners(), uvloop.new_event_loop()
        self.listeners.services |= {name: Switched(self.show) for name in ("one", "other")}
        self.listeners.run_in(self.loop)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.port = free_port(HERE)
        self.name = f"{HERE}:{self.port}"

    def listener(self, *rules: AccessRule) -> Listener:
        return Listener(HERE, self.port, rules or (AccessRule("one"),), self.show.certificate if self.show.tls else None)

    def open(self, *rules: AccessRule) -> Listener:
        made = self.listener(*rules)
        self.listeners.open(made, time.monotonic() + 5)
        return made

    def prove(self, listener: Listener) -> None:
        self.listeners.prove(listener, time.monotonic() + 5)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.listeners.stop(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def connect(self, source: str = HERE) -> socket.socket:
        """A connection with TLS if there is any."""
        raw = socket.create_connection((HERE, self.port), 10, source_address=(source, 0))
        if not self.show.tls:
            return raw
        checked = ssl.create_default_context(cadata=AUTHORITY.pem)
        return checked.wrap_socket(raw, server_hostname=HERE)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.5)
    made = Running()
    yield made
    made.stop()


def in_queue(listening: socket.socket) -> int:
    """How many connections wait to be accepted: what the kernel says as tcpi_unacked of a listening socket."""
    return int(struct.unpack_from("=I", listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28), 24)[0])


def said(connection: socket.socket) -> bytes:
    """What a request on a connection is answered."""
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    found = connection.recv(9000)
    while found and found.endswith(b"\r\n\r\n"):
        found += connection.recv(9000)
    return found


def is_refused(running: Running) -> bool:
    try:
        socket.create_connection((HERE, running.port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_is_open_is_served_and_proven(running: Running) -> None:
    assert is_refused(running)
    made = running.open()
    assert running.listeners.at(running.name) == made
    running.prove(made)
    with running.connect() as one:
        assert said(one).endswith(running.name.encode())
    running.listeners.close(running.name)
    assert running.listeners.at(running.name) is None
    assert is_refused(running)
    with pytest.raises(HostError, match="nothing listens"):
        running.prove(made)


def test_plain_http_is_proven_too(running: Running) -> None:
    running.show.tls = False
    running.prove(running.open())
    with running.connect() as one:
        assert said(one).startswith(b"HTTP/1.1 200")


def test_a_port_that_somebody_has_is_named(running: Running) -> None:
    reason = rf"^listening on {running.name} failed: Address already in use$"
    with socket.create_server((HERE, running.port)), pytest.raises(HostError, match=reason):
        running.open()
    running.prove(running.open())


def test_a_service_that_is_not_there_is_named(running: Running) -> None:
    with pytest.raises(HostError, match="nothing here serves cluster"):
        running.open(AccessRule("cluster"))


def test_a_certificate_is_swapped_for_new_connections_only(running: Running) -> None:
    running.open()
    with running.connect() as before:
        running.show.wants("two")
        running.prove(running.open())
        with running.connect() as after:
            shown = [hashlib.sha256(one.getpeercert(binary_form=True)).hexdigest() for one in (before, after)]  # type: ignore[attr-defined]
            assert shown[1] == running.show.fingerprint != shown[0]
            assert said(before)
            assert said(after)


def test_another_certificate_than_the_one_promised_is_no_proof(running: Running) -> None:
    made = running.open()
    running.show.wants("two")
    with pytest.raises(HostError, match="shows another certificate"):
        running.prove(running.listener())
    running.prove(made)


def test_a_listener_whose_certificate_can_not_be_shown_stays_as_it_was(running: Running) -> None:
    made = running.open()
    running.show.wants("two")
    del running.show.keys["two"]
    with pytest.raises(HostError, match="private key"):
        running.open()
    assert running.listeners.at(running.name) == made
    running.prove(made)


def test_somebody_else_who_answers_is_no_proof(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listeners, "is_own", lambda *_: False)
    made = running.open()
    with pytest.raises(HostError, match="somebody else answers"):
        running.listeners.prove(made, time.monotonic() + 0.3)


def test_who_is_not_let_in_is_disconnected_before_tls(running: Running) -> None:
    made = running.open(AccessRule("one", ("127.0.0.8/29",)))
    with socket.create_connection((HERE, running.port), 10) as one, contextlib.suppress(ConnectionResetError):
        assert one.recv(1) == b""
    with running.connect("127.0.0.9") as other:
        assert said(other)
    running.prove(made)  # although the node's own address is shut out


def test_open_connections_have_a_time_of_grace(running: Running) -> None:
    running.open()
    with running.connect() as kept, running.connect("127.0.0.9") as shut_out:
        running.open(AccessRule("one", (f"{HERE}/32",)))
        assert said(shut_out)
        until(lambda: shut_out.recv(9000) == b"", what="the end of the grace")
        assert said(kept)


def test_a_connection_that_another_rule_is_for_now_ends_too(running: Running) -> None:
    running.open(AccessRule("one"))
    with running.connect() as before:
        running.open(AccessRule("other"))
        assert said(before)
        until(lambda: before.recv(9000) == b"", what="the end of the grace")


def test_a_dismissed_one_goes_on_until_it_is_settled(running: Running) -> None:
    made = running.open()
    running.listeners.dismiss(running.name)
    assert running.listeners.at(running.name) is None
    assert not is_refused(running)
    running.open()
    running.listeners.settle()
    running.prove(made)
    running.listeners.dismiss(running.name)
    running.listeners.settle()
    assert is_refused(running)


def test_a_dismissed_one_closes_by_itself(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners_module, "_DISMISSED_SECONDS", 0.1)
    running.open()
    running.listeners.dismiss(running.name)
    until(lambda: is_refused(running), what="the end")


def test_who_is_in_the_queue_is_served_when_it_closes(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 20.0)  # all are asked one after the other before it is over
    running.show.tls = False
    running.open()
    listening = running.listeners._open[running.name]._socket
    holding, held = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        holding.wait(PATIENCE)

    running.loop.call_soon_threadsafe(hold)
    held.wait(PATIENCE)
    running.listeners._open[running.name]._socket = Failing(listening, 3, errno.ECONNABORTED)  # type: ignore[assignment]
    with contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(running.connect()) for _ in range(100)]  # the loop accepts nobody at this moment
        until(lambda: in_queue(listening) == len(waiting), what="the last one's acknowledgment")
        running.loop.call_soon_threadsafe(lambda: running.listeners._close(running.name))
        holding.set()
        assert all(said(one).startswith(b"HTTP/1.1 200") for one in waiting)


def test_a_bound_socket_is_taken_over(running: Running) -> None:
    bound = bind(HERE, running.port)
    running.listeners.adopt(bound)
    running.prove(running.open())
    spare = bind(HERE, 0)
    running.listeners.adopt(spare)
    running.listeners.release()
    assert spare.fileno() == -1


def test_a_listener_that_dies_is_gone(running: Running) -> None:
    made = running.open()
    running.listeners._open[running.name]._socket.shutdown(socket.SHUT_RD)
    until(lambda: running.listeners.at(running.name) is None, what="its end")
    with pytest.raises(HostError):
        running.prove(made)
    running.prove(running.open())


class Failing:
    """A socket whose ``accept`` fails, for some times."""

    def __init__(self, listening: socket.socket, times: int, code: int) -> None:
        self._listening, self.times, self._code = listening, times, code

    def accept(self) -> Any:
        if self.times:
            self.times -= 1
            raise OSError(self._code, os.strerror(self._code))
        return self._listening.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listening, name)


def test_a_lack_of_descriptors_is_sat_out(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REST_SECONDS", 0.05)
    running.open()
    found = running.listeners._open[running.name]
    found._socket = short = Failing(found._socket, 3, errno.EMFILE)  # type: ignore[assignment]
    with running.connect() as one:
        assert said(one)
    assert short.times == 0


def test_an_event_loop_that_ended_is_said_plainly(running: Running) -> None:
    other = Running()
    other.stop()
    with pytest.raises(HostError, match="the server is stopping"):
        other.open()


class Handing:
    """A service that is no HTTP: hands each connection on before anything was read of it."""

    def __init__(self) -> None:
        self.handed: list[tuple[socket.socket, Peer]] = []
        self.proven = 0

    def prepare(self, listener: Listener) -> None:
        if listener.port == 1:
            raise HostError("never there")

    async def serve(self, connection: Connection, peer: Peer, _listener: Listener) -> None:
        self.handed.append((connection.socket.dup(), peer))

    def prove(self, source: socket.socket, _listener: Listener) -> None:
        assert source.recv(5) == b"SSH-2"
        self.proven += 1


def test_a_service_may_hand_on_its_connections(running: Running) -> None:
    handing = Handing()
    running.listeners.services["ssh"] = handing
    made = running.open(AccessRule("ssh", ("127.0.0.8/29",)))
    with socket.create_connection((HERE, running.port), 10, ("127.0.0.9", 0)) as client:
        client.sendall(b"SSH-2.0-client\r\n")
        until(lambda: handing.handed, what="the connection")
        [(taken, peer)] = handing.handed
        assert peer == client.getsockname()
        with taken:
            taken.settimeout(PATIENCE)
            assert taken.recv(100) == b"SSH-2.0-client\r\n"
            taken.sendall(b"SSH-2.0-server\r\n")
            assert client.recv(100) == b"SSH-2.0-server\r\n"
        assert client.recv(1) == b"", "nothing of the server's own keeps it open"

    def answer() -> None:
        until(lambda: len(handing.handed) > 1, what="the proof's connection")
        with handing.handed[1][0] as proof:
            proof.sendall(b"SSH-2")

    answering = threading.Thread(target=answer)
    answering.start()
    running.prove(made)
    answering.join()
    assert handing.proven == 1


class Keeping(Handing):
    """A service that keeps its connections until it is asked to end them, or is made to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()
        self.cancelled = 0

    async def serve(self, connection: Connection, peer: Peer, _listener: Listener) -> None:
        over = asyncio.Event()

        def end() -> None:
            self.asked.add(peer[0])
            if peer[0] != "127.0.0.9":
                over.set()

        connection.on_end(end)
        self.handed.append((connection.socket, peer))
        try:
            await over.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


def test_what_goes_on_is_asked_to_end_before_it_is_made_to(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners_module, "STOP_SECONDS", 0.5)
    keeping = Keeping()
    running.listeners.services["ssh"] = keeping
    running.open(AccessRule("ssh"))
    with contextlib.ExitStack() as stack:
        for source in ("127.0.0.2", "127.0.0.3", "127.0.0.9"):
            stack.enter_context(socket.create_connection((HERE, running.port), 10, (source, 0)))
        until(lambda: len(keeping.handed) == 3, what="the connections")
        running.open(AccessRule("ssh", ("127.0.0.3/32", "127.0.0.9/32")))
        until(lambda: keeping.asked == {"127.0.0.2"}, what="the end of the one that is not let in any more")
        asyncio.run_coroutine_threadsafe(running.listeners.stop(), running.loop).result(PATIENCE)
        until(lambda: keeping.cancelled == 1, what="the one that does not listen")
        assert keeping.asked == {"127.0.0.2", "127.0.0.3", "127.0.0.9"}
        until(lambda: all(one.fileno() == -1 for one, _ in keeping.handed), what="their sockets to be closed")


class Failed(Handing):
    async def serve(self, connection: Connection, _peer: Peer, _listener: Listener) -> None:
        self.handed.append((connection.socket, connection.peer))
        raise RuntimeError("a fault of ours")


def test_a_connection_that_could_not_be_served_is_closed(running: Running) -> None:
    failed = running.listeners.services["ssh"] = Failed()
    running.open(AccessRule("ssh"))
    with socket.create_connection((HERE, running.port), 10) as client:
        assert client.recv(1) == b""
    until(lambda: failed.handed[0][0].fileno() == -1, what="its socket to be closed")


def test_what_a_service_can_not_do_is_said_before_anything_is_open(running: Running) -> None:
    running.listeners.services["ssh"] = Handing()
    with pytest.raises(HostError, match="never there"):
        running.listeners.open(
            Listener(HERE, 1, (AccessRule("one"), AccessRule("ssh")), running.show.certificate), time.monotonic() + 5
        )
    with pytest.raises(HostError, match="nothing here serves another"):
        running.open(AccessRule("one"), AccessRule("another"))
    assert is_refused(running)


def test_who_begins_most_loses_its_first(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BEGINNING", 3)
    running.open()
    with contextlib.ExitStack() as stack:
        few, *many = (
            stack.enter_context(socket.create_connection((HERE, running.port), 10, (source, 0)))
            for source in ("127.0.0.2", *["127.0.0.3"] * 3)
        )
        assert many[0].recv(1) == b""
        checked = ssl.create_default_context(cadata=AUTHORITY.pem)
        with checked.wrap_socket(few, server_hostname=HERE) as one:
            assert said(one)


def test_who_has_begun_does_not_count_as_beginning(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BEGINNING", 2)
    running.open()
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(running.connect()) for _ in range(5)]
        assert all(said(one) for one in many)
