"""From an accepted connection to a session on a worker: which policy, whether there is room, a number, the socket handed over."""

from __future__ import annotations

import socket
from concurrent.futures import Executor
from dataclasses import dataclass, field

import structlog

from doorward.host.resources import Listener
from doorward.proxy import messages
from doorward.proxy.control.admission import Admission
from doorward.proxy.control.backends import run
from doorward.proxy.control.connections import Connections, ResolvedPolicy
from doorward.proxy.control.notices import Notices
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.refusing import refuse
from doorward.proxy.control.session import Session, new_key
from doorward.proxy.control.sessions import Sessions
from doorward.proxy.control.workers import WorkerProxies
from doorward.sessions.catalogue.port import Catalogue, CatalogueUnavailableError
from doorward.tracing import span

WORKER_SECONDS = 10.0
"""How long a client waits for workers that are started anew."""
_NOT_NOW = "Sessions can't be taken at the moment."

log = structlog.get_logger()


@dataclass
class Acceptor:
    """Serves the listeners of SSH."""

    connections: Connections
    admission: Admission
    sessions: Sessions
    workers: WorkerProxies
    catalogue: Catalogue
    notices: Notices
    secret: Secret
    threads: Executor
    _host_keys: dict[str, messages.GatewayHostKey] = field(default_factory=dict, repr=False)

    async def serve(self, connection: socket.socket, peer: tuple[str, int], _listener: Listener | None = None) -> None:
        """Take a connection of which nothing was read. The socket is another's afterwards, or closed."""
        local = connection.getsockname()[:2]
        found = self.connections.matching(local, peer[0])
        if found is None:
            text = f"A connection from {peer[0]} to {local[0]}:{local[1]} is for no connection policy"
            self.notices.denied(text, peer[0], "no_policy", local=f"{local[0]}:{local[1]}")
            connection.close()
            return
        if not self.admission.is_stopping:
            await self.workers.wait(WORKER_SECONDS)
        refusal = self.admission.refusal(found, peer[0])
        if refusal is not None:
            await self._refuse(connection, peer, found, refusal.reason, refusal.words)
            return
        session = Session(new_key(), 0, found, (peer[0], peer[1]), local)
        self.sessions.add(session)
        try:
            with span("session.begin", doorward__session=session.key) as traced:
                placed = await self._placed(session, connection)
                if placed is not None:
                    traced.fail(placed)
        except BaseException:
            self.sessions.end(session)
            connection.close()
            raise
        if placed is None:
            connection.close()
        else:
            self.sessions.end(session)
            await self._refuse(connection, peer, found, placed, _NOT_NOW)

    async def _placed(self, session: Session, connection: socket.socket) -> str | None:
        """Hand a connection to a worker; return why that can't be."""
        policy = session.connection
        try:
            session.number = await self.catalogue.number(policy.key)
            keys = await run(self.threads, self._keys, policy)
        except CatalogueUnavailableError as error:
            log.error("a session is refused: it can't be numbered", policy=policy.name, reason=str(error))
            return "catalogue"
        worker = self.workers.least_busy()
        if worker is None:
            return "no_worker"
        if not keys:
            log.error("a session is refused: there is no host key", policy=policy.name)
            return "no_host_key"
        begin = messages.Begin(
            session=session.key, number=session.number, began=session.began, client=session.client, local=session.local,
            rules=policy.rules, host_keys=keys,
        )  # fmt: skip
        session.worker, session.host = worker, worker.name
        worker.sessions.add(session)
        return None if worker.send(begin, connection.fileno()) else "no_worker"

    async def show(self, connection: socket.socket, listener: Listener) -> None:
        """Have a worker show the host keys of a listener to a connection of our own: its policy may yet have to be published."""
        worker = self.workers.least_busy()
        kept = [await run(self.threads, self.secret, key.secret) for key in listener.host_keys]
        keys = tuple(messages.GatewayHostKey(private=text.encode()) for text in kept if text is not None)
        if worker is not None and keys:
            worker.send(messages.Show(host_keys=keys), connection.fileno())
        connection.close()

    def _keys(self, policy: ResolvedPolicy) -> tuple[messages.GatewayHostKey, ...]:
        """Return the host keys that clients get to see. They don't change under their keys, so they are read once."""
        wanted = [reference.key for reference in policy.policy.host_keys]
        for key in wanted:
            if key not in self._host_keys and (text := self.secret(key)) is not None:
                self._host_keys[key] = messages.GatewayHostKey(private=text.encode())
        return tuple(self._host_keys[key] for key in wanted if key in self._host_keys)

    async def _refuse(
        self, connection: socket.socket, peer: tuple[str, int], policy: ResolvedPolicy, reason: str, words: str
    ) -> None:  # fmt: skip
        path = f"/api/configuration/ssh/connections/{policy.key}"
        self.notices.denied(f"A connection from {peer[0]} was refused: {words}", peer[0], reason, path, policy=policy.name)
        await refuse(connection, words)
