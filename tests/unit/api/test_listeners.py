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

from doorward.api import listeners as module
from doorward.api.listeners import Listeners, admit, bind
from doorward.api.server import HttpService, Identity
from doorward.api.tls import context
from doorward.host.errors import HostError
from doorward.host.resources import AccessRule, Listener
from tests.support.pki import Authority
from tests.support.ports import free_port
from tests.support.server import until

AUTHORITY = Authority()
HERE = "127.0.0.1"


class Show:
    """Which certificate is shown now."""

    def __init__(self) -> None:
        self.made = AUTHORITY.identity("one")
        self.tls = True

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.made.certificate)).hexdigest()

    def identity(self, _listener: Listener) -> Identity | None:
        return Identity(context(self.made.certificate, self.made.private_key), self.fingerprint) if self.tls else None


async def hello(scope: Any, _receive: Any, send: Any) -> None:
    """Answer which listener this is."""
    body = scope["state"]["listener"].name.encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """Listeners, their loop in a thread of its own, and a port that nobody has."""

    def __init__(self) -> None:
        self.show, self.listeners, self.loop = Show(), Listeners(), uvloop.new_event_loop()
        self.listeners.services |= {name: HttpService(hello, self.show.identity) for name in ("one", "other")}
        self.listeners.run_in(self.loop)
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.port = free_port(HERE)
        self.name = f"{HERE}:{self.port}"

    def listener(self, *doors: AccessRule) -> Listener:
        return Listener(HERE, self.port, doors or (AccessRule("one"),))

    def open(self, *doors: AccessRule) -> Listener:
        made = self.listener(*doors)
        self.listeners.open(made, time.monotonic() + 5)
        return made

    def prove(self, listener: Listener) -> None:
        self.listeners.prove(listener, time.monotonic() + 5)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.listeners.stop(), self.loop).result(30)
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
    made = running.open()
    with running.connect() as before:
        running.show.made = AUTHORITY.identity("two")
        running.open()
        running.prove(made)
        with running.connect() as after:
            shown = [hashlib.sha256(one.getpeercert(binary_form=True)).hexdigest() for one in (before, after)]  # type: ignore[attr-defined]
            assert shown[1] == running.show.fingerprint != shown[0]
            assert said(before)
            assert said(after)


def test_another_certificate_than_the_one_promised_is_no_proof(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made = running.open()
    monkeypatch.setattr(Show, "fingerprint", "00")
    running.open()
    running.show.made = AUTHORITY.identity("two")
    with pytest.raises(HostError, match="shows another certificate"):
        running.prove(made)


def test_somebody_else_who_answers_is_no_proof(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    made = running.open()
    monkeypatch.setattr(Listeners, "expected", lambda *_: False)
    with pytest.raises(HostError, match="somebody else answers"):
        running.listeners.prove(made, time.monotonic() + 0.3)


def test_who_is_not_let_in_is_hung_up_on_before_tls(running: Running) -> None:
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


def test_a_connection_that_another_door_is_for_now_ends_too(running: Running) -> None:
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
    monkeypatch.setattr(module, "_DISMISSED_SECONDS", 0.1)
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
        holding.wait(10)

    running.loop.call_soon_threadsafe(hold)
    held.wait(10)
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


@pytest.mark.parametrize(
    ("address", "service"),
    [("10.1.2.3", "a"), ("10.9.0.1", "b"), ("192.0.2.1", "b"), ("2001:db8::1", "a"), ("2001:db9::1", None), ("127.0.0.1", None)],
)
def test_the_first_door_counts(address: str, service: str | None) -> None:
    doors = (AccessRule("a", ("10.1.2.0/16", "2001:db8::9/64")), AccessRule("b", ("10.0.0.0/8", "192.0.2.1/32")))
    assert admit(doors, address) == service
    assert admit((*doors, AccessRule("c")), address) == (service or "c")
