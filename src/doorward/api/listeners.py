"""The listeners of a node: sockets whose new connections are let in, or hung up on, by what is configured at that moment.

The host asks for them in the commit thread and waits; they live in the event loop. A listener changes in place: only new
connections notice. Connections that it would no longer let in end after a minute of grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import hmac
import ipaddress
import socket
import ssl
import struct
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import TypeVar

import structlog
from uvicorn.server import ServerState

from doorward.access.guard import busiest_source, source_of
from doorward.api.server import Identity, Service
from doorward.host.errors import HostError, os_reason
from doorward.host.resources import AccessRule, Listener

GRACE_SECONDS = 60.0
"""How long connections go on that their listener no longer lets in."""
HANDSHAKE_SECONDS = 10.0
"""How long a client may take for the TLS handshake."""
MAX_HANDSHAKES = 500
"""Handshakes that go on at a time; then the address that has the most loses its first one."""
STOP_SECONDS = 20.0
"""How long requests that run may go on when the server ends."""
_DISMISSED_SECONDS = 60.0
"""When a dismissed listener closes by itself; well above the time that a commit may take."""
_WINDOW = 32 << 10
"""Bytes that a client may send ahead of us, which the kernel doubles: what a thousand clients send without end takes memory."""
_BACKLOG = 2048
_AT_A_TIME = 64
"""Connections accepted before the event loop goes on with something else."""
_REST_SECONDS = 0.5
"""How long no more are accepted after there was no descriptor or memory for one."""
_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_GONE = {errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH}
"""What ``accept`` says of one connection, not of the listener: the next one is asked for."""

_NO_TRACE = struct.pack("ii", 1, 0)
"""Ends a connection without leaving its port in TIME_WAIT, where nobody could listen on it for a minute."""

log = structlog.get_logger()

_T = TypeVar("_T")
_Peer = tuple[str, int]


class Listeners:
    """The listeners that are open, for the host's kind ``Listener``. ``services`` stand behind the names of doors."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, _Open] = {}  # changed in the event loop only
        self._leaving: set[_Open] = set()
        self._bound: dict[str, socket.socket] = {}
        self._expected: dict[tuple[str, _Peer], Event] = {}

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in an event loop from now on."""
        self._loop = loop

    def adopt(self, bound: socket.socket) -> None:
        """Take a bound socket for the listener at its address that is opened first."""
        address, port = bound.getsockname()[:2]
        self._bound[Listener(address, port, ()).name] = bound

    def release(self) -> None:
        """Close the bound sockets that no listener took."""
        while self._bound:
            self._bound.popitem()[1].close()

    # What the host asks for, in its thread

    def at(self, name: str) -> Listener | None:
        """Return what is open at an address and port and was not dismissed."""
        found = self._open.get(name)
        return None if found is None or found.dismissed is not None else found.listener

    def open(self, listener: Listener, deadline: float) -> None:
        """Accept by this value from now on. Raises HostError."""
        service = self.services.get(listener.doors[0].service)
        if service is None:
            raise HostError(f"nothing here serves {listener.doors[0].service}")
        identity = service.identity(listener)
        self._in_loop(lambda: self._put(listener, identity), deadline)

    def dismiss(self, name: str) -> None:
        """Close at ``settle``, or by itself after a while, unless it is opened again before."""
        self._in_loop(lambda: self._dismiss(name), time.monotonic() + GRACE_SECONDS)

    def close(self, name: str) -> None:
        """Accept no more at once."""
        self._in_loop(lambda: self._close(name), time.monotonic() + GRACE_SECONDS)

    def settle(self) -> None:
        """Close what was dismissed: the commit is published."""
        for name in [name for name, found in self._open.items() if found.dismissed is not None]:
            self.close(name)

    def prove(self, listener: Listener, deadline: float) -> None:
        """Connect from this very process and be accepted; with TLS see the right certificate. Raises HostError."""
        found = self._open.get(listener.name)
        if found is None:
            raise HostError(f"nothing listens on {listener.name}")
        try:
            with socket.socket(_family(listener), socket.SOCK_STREAM) as source:
                source.settimeout(_left(deadline))
                source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_TRACE)
                source.bind((listener.address, 0))
                self._reach(listener, found, source, deadline)
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror or "no answer in time"
            raise HostError(f"{listener.name} can't be reached: {why}") from error

    def _reach(self, listener: Listener, found: _Open, source: socket.socket, deadline: float) -> None:
        accepted, peer = Event(), source.getsockname()[:2]
        self._expected[listener.name, peer] = accepted
        try:
            source.connect((listener.address, listener.port))
            if found.identity is not None:
                wanted = listener.shows.fingerprint if listener.shows else found.identity.fingerprint
                if not hmac.compare_digest(_shown_to(source), wanted):
                    raise HostError(f"{listener.name} shows another certificate than the configured one")
            if not accepted.wait(_left(deadline)):
                raise HostError(f"somebody else answers on {listener.name}")
        finally:
            self._expected.pop((listener.name, peer), None)

    def _in_loop(self, work: Callable[[], _T], deadline: float) -> _T:
        """Do something in the event loop and wait for it. Raises HostError."""
        done: Future[_T] = Future()

        def run() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:  # noqa: BLE001 - for whoever waits
                    done.set_exception(error)

        try:
            assert self._loop is not None  # noqa: S101 - nothing is asked before
            self._loop.call_soon_threadsafe(run)
            return done.result(_left(deadline))
        except TimeoutError:
            done.cancel()
            raise HostError("the server did not come to it in time") from None
        except RuntimeError as error:
            raise HostError("the server is stopping") from error

    # What happens in the event loop

    def _put(self, listener: Listener, identity: Identity | None) -> None:
        found = self._open.get(listener.name)
        if found is None:
            bound = self._bound.pop(listener.name) if listener.name in self._bound else _bound(listener)
            found = _Open(self, listener, bound)
            self._open[listener.name] = found
            log.debug("listener opened", address=listener.name, services=[door.service for door in listener.doors])
        found.change(listener, identity)

    def _dismiss(self, name: str) -> None:
        if found := self._open.get(name):
            found.dismissed = found.loop.call_later(_DISMISSED_SECONDS, self._close, name)

    def _close(self, name: str) -> None:
        found = self._open.pop(name, None)
        if found is not None:
            self._leaving.add(found)
            found.close()
            found.loop.call_later(GRACE_SECONDS + STOP_SECONDS, self._leaving.discard, found)
            log.debug("listener closed", address=name)

    def expected(self, listener: Listener, peer: _Peer) -> bool:
        """Whether a connection comes from ``prove``, which is told that it arrived."""
        event = self._expected.get((listener.name, peer))
        if event is not None:
            event.set()
        return event is not None

    def refuse(self) -> None:
        """Accept no more. Only what a running commit opens from now on is there until ``stop``. Called in the event loop."""
        for name in list(self._open):
            self._close(name)

    async def stop(self) -> None:
        """Accept no more, let running requests end, close the connections."""
        self.refuse()
        leaving = list(self._leaving)
        for found in leaving:
            found.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                while any(found.busy for found in leaving):  # noqa: ASYNC110 - uvicorn's sets tell nobody when they are empty
                    await asyncio.sleep(0.02)
        for found in leaving:
            found.cancel()


class _Open:
    """One socket that listens. Lives in the event loop; ``listener`` and ``identity`` are what new connections get."""

    def __init__(self, listeners: Listeners, listener: Listener, listening: socket.socket) -> None:
        self._listeners, self._socket = listeners, listening
        self.loop = asyncio.get_running_loop()
        self.listener = listener
        self.identity: Identity | None = None
        self.dismissed: asyncio.TimerHandle | None = None
        self._states: dict[str, ServerState] = {}
        self._handshakes: dict[asyncio.Task[None], str] = {}
        self._resume: asyncio.TimerHandle | None = None
        self._dead = False
        listening.listen(_BACKLOG)
        self.loop.add_reader(listening, self._accept, _AT_A_TIME)

    def change(self, listener: Listener, identity: Identity | None) -> None:
        """Let in by another value from now on."""
        if self.dismissed is not None:
            self.dismissed.cancel()
            self.dismissed = None
        stricter = listener.doors != self.listener.doors
        self.listener, self.identity = listener, identity
        if stricter:
            self.loop.call_later(GRACE_SECONDS, self._prune)

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, peer = self._socket.accept()
            except OSError as error:
                if error.errno in _GONE:
                    continue
                if error.errno in _SHORT_OF:
                    log.error("no connection can be accepted", address=self.listener.name, reason=error.strerror)
                    self.loop.remove_reader(self._socket)
                    self._resume = self.loop.call_later(_REST_SECONDS, self._again)
                elif error.errno != errno.EAGAIN:
                    log.error("a listener died", address=self.listener.name, reason=error.strerror)
                    self._dead = True
                    self._listeners._close(self.listener.name)  # noqa: SLF001 - its own part
                return
            service = self._service(peer[:2])
            if service is None:
                connection.close()
                continue
            connection.setblocking(False)  # noqa: FBT003 - the standard library's signature
            if len(self._handshakes) >= MAX_HANDSHAKES:
                source = busiest_source(self._handshakes.values())
                first = next(task for task, of in self._handshakes.items() if of == source)
                self._handshakes.pop(first)
                first.cancel()
            task = self.loop.create_task(self._welcome(connection, service))
            self._handshakes[task] = source_of(peer[0])
            task.add_done_callback(lambda ended: self._handshakes.pop(ended, None))

    def _again(self) -> None:
        if not self._dead:
            self.loop.add_reader(self._socket, self._accept, _AT_A_TIME)

    def _service(self, peer: _Peer) -> str | None:
        """Return what a client is served; None: it is not let in."""
        if self._listeners.expected(self.listener, peer):
            return self.listener.doors[0].service
        return admit(self.listener.doors, peer[0])

    async def _welcome(self, connection: socket.socket, service: str) -> None:
        listener, state = self.listener, self._states.setdefault(service, ServerState())
        behind = self._listeners.services[service]
        context = self.identity.context if self.identity else None
        try:
            await self.loop.connect_accepted_socket(
                lambda: behind.protocol(listener, state),
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
            )
        except OSError:  # the client went away, or its TLS is none that we speak
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        except Exception:
            log.exception("a connection could not be begun", address=listener.name)
            connection.close()

    def _prune(self) -> None:
        """End the connections that would not be let in any more."""
        for service, state in self._states.items():
            for protocol in list(state.connections):
                peer: _Peer | None = getattr(protocol, "client", None)
                if peer is None or admit(self.listener.doors, peer[0]) != service:
                    protocol.shutdown()

    def close(self) -> None:
        """Accept no more; connections that are open have their time of grace."""
        for timer in (self.dismissed, self._resume):
            if timer is not None:
                timer.cancel()
        self.loop.remove_reader(self._socket)
        if not self._dead:
            self._accept(_BACKLOG)  # who is in the queue came in time; closing would reset the connection
        self._dead = True
        self._socket.close()
        self.loop.call_later(GRACE_SECONDS, self.hang_up)

    def hang_up(self) -> None:
        """End every connection, after the request that runs."""
        for state in self._states.values():
            for protocol in list(state.connections):
                protocol.shutdown()

    @property
    def busy(self) -> bool:
        """Whether connections or requests are still there."""
        return any(state.connections or state.tasks for state in self._states.values())

    def cancel(self) -> None:
        """End what would not end."""
        for task in [*self._handshakes, *(task for state in self._states.values() for task in state.tasks)]:
            task.cancel()


def admit(doors: tuple[AccessRule, ...], address: str) -> str | None:
    """Return the service behind the first door that lets a client's address in."""
    peer = ipaddress.ip_address(address)
    for door in doors:
        if door.allowed_from is None or any(peer in ipaddress.ip_network(cidr, strict=False) for cidr in door.allowed_from):
            return door.service
    return None


def bind(address: str, port: int) -> socket.socket:
    """Return a socket bound to an address, ready to listen. Raises OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        bound.bind((address, port))
        bound.setblocking(False)  # noqa: FBT003 - the standard library's signature
    except BaseException:
        bound.close()
        raise
    return bound


def _bound(listener: Listener) -> socket.socket:
    try:
        return bind(listener.address, listener.port)
    except OSError as error:
        raise HostError(os_reason(f"listening on {listener.name} failed", error)) from error


def _family(listener: Listener) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in listener.address else socket.AF_INET


def _shown_to(source: socket.socket) -> str:
    """Finish a TLS handshake and return the SHA-256 of the certificate that was shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the certificate is compared as a whole
    with context.wrap_socket(source) as connection:
        return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
