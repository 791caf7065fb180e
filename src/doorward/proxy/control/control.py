"""Control as a whole: put together, connected to its workers, told of commits, asked by the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from msgspec import Struct

from doorward import __version__
from doorward.access.accounts import Account, account_in
from doorward.access.guard import Guard
from doorward.configuration.aaa.local_database import users
from doorward.events.node import full_name
from doorward.proxy import messages
from doorward.proxy.control.acceptor import Acceptor
from doorward.proxy.control.admission import Admission
from doorward.proxy.control.adoption import WAIT_SECONDS, Adoption
from doorward.proxy.control.answers import Answers
from doorward.proxy.control.backends import Backends
from doorward.proxy.control.belonging import Belonging
from doorward.proxy.control.connections import Connections
from doorward.proxy.control.dispatch import Dispatch
from doorward.proxy.control.effects import dropped, revoked
from doorward.proxy.control.failures import Failures
from doorward.proxy.control.figures import Figures, WorkerFigures
from doorward.proxy.control.judging import Judge
from doorward.proxy.control.live import Live, terminate
from doorward.proxy.control.names import Resolver, SystemResolver
from doorward.proxy.control.notices import Bus, Notices
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.reports import EVENTS, Reports
from doorward.proxy.control.sealing import TrailSealer
from doorward.proxy.control.sessions import Sessions
from doorward.proxy.control.targets import Targets
from doorward.proxy.control.workers import WorkerProxies
from doorward.proxy.local_sockets import StrangerError
from doorward.proxy.pipe import connect
from doorward.proxy.worker.places import Places
from doorward.sessions.catalogue.port import Catalogue
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.transaction.candidate import Running
from doorward.transaction.merge import Merged
from doorward.tree.problems import Problem

LOOK_SECONDS = 0.5
"""How often control looks for workers that it is not connected to."""
THREADS = 16
"""What waits for directories, name servers and hashes at a time."""

log = structlog.get_logger()


class Surroundings(Struct, frozen=True):
    """What control is given. ``authenticate`` judges name and password of an account; ``node`` is the id of this node."""

    running: Callable[[], Running]
    secret: Secret
    authenticate: Callable[[tuple[str, str]], Account | None]
    guard: Guard
    catalogue: Catalogue
    host_keys: TrustedHostKeys
    events: Bus
    places: Places
    node: str
    resolver: Resolver | None = None


class ProxyControl:
    """The part of the server that decides for sessions. Lives in the event loop, but for what says otherwise."""

    def __init__(self, given: Surroundings) -> None:
        self._given = given
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sessions")
        self.sessions, self.workers = Sessions(), WorkerProxies()
        self.live = Live(self.sessions)
        self.notices = Notices(given.events)
        connections, failures = Connections(given.running), Failures(given.guard)
        backends = Backends(
            given.secret, self._threads, given.authenticate, self._account, self._account_keys, self._name()
        )  # fmt: skip
        resolver = given.resolver or SystemResolver(self._threads)
        targets = Targets(connections, resolver, given.host_keys, backends)
        answers = Answers(
            given.catalogue, given.running, backends, failures, targets, Judge(given.host_keys, self.notices), self.notices,
            given.secret, self._threads, given.node,
        )  # fmt: skip
        reports = Reports(given.catalogue, self.sessions, self.live, self.notices, lambda address: failures.failed(address, ""))
        adoption = Adoption(given.catalogue, self.sessions, self.notices, given.running, given.places.trails)
        self.dispatch = Dispatch(
            self.sessions, self.workers, answers, reports, self.live, adoption,
            Belonging(self.sessions, adoption, reports, given.catalogue), TrailSealer(given.secret, self._threads),
            given.catalogue, self._settle, self._misbehaved,
        )  # fmt: skip
        self.admission = Admission(connections, self.sessions, self.workers, failures, given.places.trails)
        self.acceptor = Acceptor(
            connections, self.admission, self.sessions, self.workers, given.catalogue, self.notices, given.secret, self._threads
        )
        self._adoption = adoption
        self._tasks: list[asyncio.Task[None]] = []
        self._connecting: set[str] = set()

    # What the parts ask

    def _account(self, name: str) -> Account | None:
        """Return an account by its name, whatever its capitals."""
        snapshot = self._given.running().snapshot
        keys = snapshot.objects(users.PATH).with_names(name.casefold())
        return account_in(snapshot, keys[0]) if keys else None

    def _account_keys(self, key: str) -> tuple[str, ...]:
        """Return the public keys of an account, by the key of the account."""
        user = self._given.running().snapshot.find(users.NODE, key)
        return tuple(user.public_keys) if user is not None else ()

    def _name(self) -> str:
        return full_name(self._given.running().snapshot) or "doorward"

    def _settle(self) -> messages.Settle:
        return messages.Settle(trails=str(self._given.places.trails.resolve()), node=self._given.node, release=__version__)

    def _misbehaved(self, worker: str, why: str) -> None:
        self.notices.counts["worker_misbehaved"] += 1
        text = f"The worker {worker} {why}; nothing it says is believed any more"
        self._given.events.raise_("alert", text, worker=worker, reason=why)

    # Life

    def start(self) -> None:
        """Look for workers, and after a while close the rows of sessions that none of them has."""
        self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._tidy())]

    async def stop(self) -> None:
        """Take no more sessions and let go of the workers, which go on."""
        self.admission.is_stopping = True
        self.workers.wake()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dispatch.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look(self) -> None:
        """Connect to every worker that there is."""
        while True:
            for name in self._given.places.workers():
                known = name in self._connecting or name in self.workers.banned
                if not known and self.workers.find(name) is None:
                    self._connecting.add(name)
                    task = asyncio.create_task(self._attend(name))
                    self._tasks.append(task)
                    task.add_done_callback(self._tasks.remove)
            await asyncio.sleep(LOOK_SECONDS)

    async def _attend(self, name: str) -> None:
        try:
            link = await connect(self._given.places.socket(name), self._given.places.owners())
        except (OSError, StrangerError) as error:
            log.debug("a worker can't be reached", worker=name, reason=str(error))
        else:
            await self.dispatch.attend(link)
        finally:
            self._connecting.discard(name)

    async def _tidy(self) -> None:
        await asyncio.sleep(WAIT_SECONDS)
        while await self._adoption.close_rows():  # noqa: ASYNC110 - nobody tells when a worker lets go of its journal
            await asyncio.sleep(WAIT_SECONDS)

    # Commits

    def published(self) -> None:
        """End the sessions that the running configuration no longer allows."""
        running = self._given.running()
        for session in self.sessions:
            if session.ending:
                continue
            reason = revoked(session, running.snapshot)
            if reason is not None:
                log.info("session ends by a commit", session=session.id, reason=reason)
                terminate(session, reason)

    def advise(self, merged: Merged) -> list[Problem]:
        """Return the warning of a commit that ends sessions. In any thread."""
        return dropped(self.sessions, merged)

    def count(self, policy_key: str) -> int:
        """Return how many sessions of a connection policy run. In any thread."""
        return sum(session.connection.key == policy_key for session in self.sessions.live())

    # Figures

    def figures(self) -> Figures:
        """Return how sessions are doing."""
        live = self.sessions.live()
        counts = self.notices.counts
        return Figures(
            sessions=len(live),
            before_login=len(self.sessions) - len(live),
            channels=sum(session.channels for session in live),
            down=sum(session.down for session in live),
            up=sum(session.up for session in live),
            workers={one.name: WorkerFigures(len(one.sessions), one.memory, one.lag) for one in self.workers},
            refused={name.removeprefix("refused_"): count for name, count in counts.items() if name.startswith("refused_")},
            # Who counts increases does not see what is not there before it happens for the first time.
            events=dict.fromkeys(sorted(EVENTS), 0) | {n: count for n, count in counts.items() if not n.startswith("refused_")},
        )
