"""A socket that listens: whom it lets in, by which rules, and what becomes of them when those change."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Mapping

import structlog

from doorward.host.resources import Listener
from doorward.listening.admission import admit
from doorward.listening.service import Connection, Peer, Service
from doorward.listening.sources import busiest_source

GRACE_SECONDS = 60.0
"""How long connections go on that their listener no longer lets in."""
MAX_BEGINNING = 500
"""Clients of a listener that have yet to begin, for example to shake hands; then the source with the most loses its first one."""
_BACKLOG = 2048
_AT_A_TIME = 64
"""Connections accepted before the event loop goes on with something else."""
_REST_SECONDS = 0.5
"""How long no more are accepted after there was no descriptor or memory for one."""
_SHORT_OF = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_GONE = {errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH}
"""What ``accept`` says of one connection, not of the listener: the next one is asked for."""

log = structlog.get_logger()


class OpenListener:
    """One socket that listens. Lives in the event loop; ``listener`` is what new connections are let in by.

    ``is_own`` tells whether a connection comes from this very process, which proves that it can be reached; ``died`` is called
    when the socket fails for good.
    """

    def __init__(
        self,
        listener: Listener,
        listening: socket.socket,
        services: Mapping[str, Service],
        is_own: Callable[[Listener, Peer], bool],
        died: Callable[[Listener], None],
    ) -> None:
        self.listener = listener
        self.dismissed: asyncio.TimerHandle | None = None
        self.loop = asyncio.get_running_loop()
        self._socket, self._services, self._is_own, self._died = listening, services, is_own, died
        self._connections: set[Connection] = set()
        self._beginning: dict[Connection, None] = {}
        self._resume: asyncio.TimerHandle | None = None
        self._dead = False
        listening.listen(_BACKLOG)
        self.loop.add_reader(listening, self._accept, _AT_A_TIME)

    def change(self, listener: Listener) -> None:
        """Let in by another value from now on."""
        if self.dismissed is not None:
            self.dismissed.cancel()
            self.dismissed = None
        stricter = listener.rules != self.listener.rules
        self.listener = listener
        if stricter:
            self.loop.call_later(GRACE_SECONDS, self._prune)

    def _prune(self) -> None:
        """End the connections that would not be let in any more, or to another service."""
        for connection in list(self._connections):
            if admit(self.listener.rules, connection.peer[0]) != connection.service:
                connection.end()

    # Whoever comes

    def _accept(self, most: int) -> None:
        for _ in range(most):
            try:
                accepted, peer = self._socket.accept()
            except OSError as error:
                if error.errno in _GONE:
                    continue
                self._failed(error)
                return
            self._let_in(accepted, peer[:2])

    def _failed(self, error: OSError) -> None:
        if error.errno in _SHORT_OF:
            log.error("no connection can be accepted", address=self.listener.name, reason=error.strerror)
            self.loop.remove_reader(self._socket)
            self._resume = self.loop.call_later(_REST_SECONDS, self._again)
        elif error.errno != errno.EAGAIN:
            log.error("a listener died", address=self.listener.name, reason=error.strerror)
            self._dead = True
            self._died(self.listener)

    def _again(self) -> None:
        if not self._dead:
            self.loop.add_reader(self._socket, self._accept, _AT_A_TIME)

    def _let_in(self, accepted: socket.socket, peer: Peer) -> None:
        rules = self.listener.rules
        is_own = self._is_own(self.listener, peer)
        service = rules[0].service if is_own else admit(rules, peer[0])
        if service is None:
            accepted.close()
            return
        accepted.setblocking(False)  # noqa: FBT003 - the standard library's signature
        if len(self._beginning) >= MAX_BEGINNING:
            busiest = busiest_source(one.source for one in self._beginning)
            first = next(one for one in self._beginning if one.source == busiest)
            first.begun()
            first.cancel()
        connection = Connection(accepted, peer, service, self._beginning, is_own=is_own)
        self._connections.add(connection)
        connection.task = self.loop.create_task(self._serve(connection))
        connection.task.add_done_callback(lambda _: self._ended(connection))

    async def _serve(self, connection: Connection) -> None:
        listener = self.listener
        try:
            await self._services[connection.service].serve(connection, connection.peer, listener)
        except OSError:  # the client went away, or its TLS is none that we speak
            pass
        except Exception:
            log.exception("a connection could not be served", address=listener.name, service=connection.service)

    def _ended(self, connection: Connection) -> None:
        connection.begun()
        self._connections.discard(connection)
        connection.socket.close()

    # The end

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
        self.loop.call_later(GRACE_SECONDS, self.end)

    def end(self) -> None:
        """End every connection, after what runs."""
        for connection in list(self._connections):
            connection.end()

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What is served."""
        return [connection.task for connection in self._connections if connection.task is not None]
