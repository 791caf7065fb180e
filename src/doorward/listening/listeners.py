"""The listeners of a node: sockets whose new connections are let in, or disconnected, by what is configured at that moment.

The host asks for them in the commit thread and waits; they live in the event loop. A listener changes in place: only new
connections notice. Connections that it would no longer let in end after a minute of grace.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Event
from typing import TypeVar

import structlog

from doorward.host.errors import HostError
from doorward.host.resources import Listener
from doorward.listening import kept, open_listener
from doorward.listening.open_listener import OpenListener
from doorward.listening.service import Peer, Service
from doorward.listening.sockets import bound_for, own_client

STOP_SECONDS = 20.0
"""How long requests that run may go on when the server ends."""
_DISMISSED_SECONDS = 60.0
"""When a dismissed listener closes by itself; well above the time that a commit may take."""
_PATIENCE_SECONDS = 60.0
"""How long the event loop may take to come to what needs no work."""

log = structlog.get_logger()

_T = TypeVar("_T")


class Listeners:
    """The listeners that are open, for the host's kind ``Listener``. ``services`` stand behind the names in access rules."""

    def __init__(self) -> None:
        self.services: dict[str, Service] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, OpenListener] = {}  # changed in the event loop only
        self._leaving: set[OpenListener] = set()
        self._bound: dict[str, socket.socket] = {}
        self._expected: dict[tuple[str, Peer], Event] = {}
        self._is_stopping = False

    def run_in(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in an event loop from now on."""
        self._loop = loop

    def adopt(self, bound: socket.socket) -> None:
        """Take a bound socket for the listener at its address that is opened first."""
        address, port = bound.getsockname()[:2]
        name = Listener(address, port, ()).name
        if before := self._bound.pop(name, None):
            before.close()
        self._bound[name] = bound

    def release(self) -> None:
        """Close the bound sockets that no listener took."""
        for name in list(self._bound):
            self._let_go(name)

    # What the host asks for, in its thread

    def at(self, name: str) -> Listener | None:
        """Return what is open at an address and port and was not dismissed."""
        found = self._open.get(name)
        return None if found is None or found.dismissed is not None else found.listener

    def open(self, listener: Listener, deadline: float) -> None:
        """Accept by this value from now on. Raises HostError."""
        for name in dict.fromkeys(rule.service for rule in listener.rules):
            if name not in self.services:
                raise HostError(f"nothing here serves {name}")
            self.services[name].prepare(listener)
        self._in_loop(lambda: self._put(listener), deadline)

    def dismiss(self, name: str) -> None:
        """Close at ``settle``, or by itself after a while, unless it is opened again before."""
        self._in_loop(lambda: self._dismiss(name), time.monotonic() + _PATIENCE_SECONDS)

    def close(self, name: str) -> None:
        """Accept no more at once."""
        self._in_loop(lambda: self._close(name), time.monotonic() + _PATIENCE_SECONDS)

    def settle(self) -> None:
        """Close what was dismissed: the commit is published."""
        for name in [name for name, found in self._open.items() if found.dismissed is not None]:
            self.close(name)

    def prove(self, listener: Listener, deadline: float) -> None:
        """Connect from this very process, be accepted, and see there what the service has to show. Raises HostError."""
        if listener.name not in self._open:
            raise HostError(f"nothing listens on {listener.name}")
        try:
            with own_client(listener, _left(deadline)) as source:
                self._reach(listener, source, deadline)
        except OSError as error:
            why = error.reason if isinstance(error, ssl.SSLError) else error.strerror or "no answer in time"
            raise HostError(f"{listener.name} can't be reached: {why}") from error

    def _reach(self, listener: Listener, source: socket.socket, deadline: float) -> None:
        accepted, expected = Event(), (listener.name, source.getsockname()[:2])
        self._expected[expected] = accepted
        try:
            source.connect((listener.address, listener.port))
            self.services[listener.rules[0].service].prove(source, listener)
            if not accepted.wait(_left(deadline)):
                raise HostError(f"somebody else answers on {listener.name}")
        finally:
            self._expected.pop(expected, None)

    def _in_loop(self, work: Callable[[], _T], deadline: float) -> _T:
        """Do something in the event loop and wait for it. Raises HostError."""
        done: Future[_T] = Future()
        if self._loop is None:
            raise HostError("the server has not begun")

        def run() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:  # noqa: BLE001 - for whoever waits
                    done.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(run)
            return done.result(_left(deadline))
        except TimeoutError:
            done.cancel()
            raise HostError("the server did not come to it in time") from None
        except RuntimeError as error:
            raise HostError("the server is stopping") from error

    # What happens in the event loop

    def _put(self, listener: Listener) -> None:
        found = self._open.get(listener.name)
        if found is None:
            bound = self._bound.pop(listener.name) if listener.name in self._bound else self._fresh(listener)
            found = OpenListener(listener, bound, self.services, self.is_own, lambda dead: self._close(dead.name))
            kept.keep(listener.name, bound)
            self._open[listener.name] = found
            log.debug("listener opened", address=listener.name, services=[rule.service for rule in listener.rules])
        found.change(listener)

    def _fresh(self, listener: Listener) -> socket.socket:
        """Return a new socket; one that was kept for another address may stand in its way. Raises HostError."""
        for name in [name for name, one in self._bound.items() if one.getsockname()[1] == listener.port]:
            self._let_go(name)
        return bound_for(listener)

    def _let_go(self, name: str) -> None:
        kept.forget(name)
        self._bound.pop(name).close()

    def _dismiss(self, name: str) -> None:
        if found := self._open.get(name):
            found.dismissed = found.loop.call_later(_DISMISSED_SECONDS, self._close, name)

    def _close(self, name: str) -> None:
        found = self._open.pop(name, None)
        if found is not None:
            self._leaving.add(found)
            if not self._is_stopping:
                kept.forget(name)
            found.close()
            found.loop.call_later(open_listener.GRACE_SECONDS + STOP_SECONDS, self._leaving.discard, found)
            log.debug("listener closed", address=name)

    def is_own(self, listener: Listener, peer: Peer) -> bool:
        """Whether a connection comes from ``prove``, which is told that it arrived."""
        event = self._expected.get((listener.name, peer))
        if event is not None:
            event.set()
        return event is not None

    def refuse(self) -> None:
        """Accept no more. Only what a running commit opens from now on is there until ``stop``. Called in the event loop.

        Where systemd keeps the sockets, whoever connects from now on is the next server's.
        """
        self._is_stopping = True
        for name in list(self._open):
            self._close(name)

    async def stop(self) -> None:
        """Accept no more, let running requests end, close the connections."""
        self.refuse()
        leaving = list(self._leaving)
        for found in leaving:
            found.end()
        tasks = [task for found in leaving for task in found.tasks]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in unfinished:
                task.cancel()


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())
