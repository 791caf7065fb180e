"""A gateway without network: real configuration, store, secrets and pipe; workers, names of targets and catalogue are fakes."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.configuration.aaa import settings
from doorward.proxy import messages
from doorward.proxy.control.control import ProxyControl, Surroundings
from doorward.proxy.control.names import UnknownNameError
from doorward.proxy.messages import PipeMessage
from doorward.proxy.pipe import ControlEnd, WorkerEnd
from doorward.proxy.worker.places import Places
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.rows import AlertRow, ChannelRow, EventRow, Facts, IndexLine, SessionEnd, SessionRow
from doorward.sessions.host_keys import TrustedHostKeys

if TYPE_CHECKING:
    from tests.unit.transaction.rig import Rig

ALICE_PASSWORD = "correct horse battery"
PORT = 2222
CLIENT = ("192.0.2.7", 50123)
IDENTIFIER = b"\x07" * 32

_Answer = TypeVar("_Answer", bound=PipeMessage)


class MemoryCatalogue:
    """Keeps what it is told; refuses while ``is_full``."""

    def __init__(self) -> None:
        self.rows: dict[str, SessionRow] = {}
        self.channels: list[tuple[str, ChannelRow | int]] = []
        self.lines: list[tuple[str, IndexLine]] = []
        self.events: list[tuple[str, EventRow]] = []
        self.ends: dict[str, SessionEnd] = {}
        self.recovered_ends: dict[str, SessionEnd] = {}
        self.is_full = False
        self._numbers = itertools.count(1)

    def _check(self) -> None:
        if self.is_full:
            raise CatalogueUnavailableError("the disk is full")

    async def number(self, policy_key: str) -> int:
        self._check()
        return next(self._numbers)

    async def begin(self, row: SessionRow) -> None:
        self._check()
        await asyncio.sleep(0)
        self.rows.setdefault(row.key, row)

    async def update(self, key: str, facts: Facts) -> None:
        self._check()
        known = {name: value for name in facts.__struct_fields__ if (value := getattr(facts, name)) is not msgspec.UNSET}
        if "extra" in known:
            known["extra"] = {**self.rows[key].extra, **known["extra"]}
        self.rows[key] = msgspec.structs.replace(self.rows[key], **known)

    async def channel_opened(self, key: str, channel: ChannelRow) -> None:
        self._check()
        self.channels.append((key, channel))

    async def channel_closed(self, key: str, number: int, at: int, down: int, up: int) -> None:
        self.channels.append((key, number))

    async def text(self, key: str, channel: int, lines: Sequence[IndexLine]) -> None:
        self.lines += [(key, line) for line in lines]

    async def event(self, key: str, event: EventRow) -> None:
        self.events.append((key, event))

    async def alert(self, key: str, alert: AlertRow) -> None:
        raise NotImplementedError

    async def end(self, key: str, end: SessionEnd) -> None:
        self._check()
        self.ends.setdefault(key, end)
        self.rows[key] = msgspec.structs.replace(self.rows[key], ended=end.at, verdict=end.verdict)

    async def recovered(self, key: str, end: SessionEnd) -> None:
        self.recovered_ends[key] = end
        self.rows[key] = msgspec.structs.replace(self.rows[key], ended=end.at, verdict=end.verdict)

    async def synced(self) -> None:
        self._check()

    def open_sessions(self) -> list[SessionRow]:
        return [row for row in self.rows.values() if row.ended is None]

    def session(self, key: str) -> SessionRow | None:
        return self.rows.get(key)


@dataclass
class Names:
    """Knows some names."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[tuple[str, str | None, tuple[str, ...]]] = field(default_factory=list)

    async def addresses(self, name: str, server: str | None, suffixes: Sequence[str]) -> tuple[str, ...]:
        self.asked.append((name, server, tuple(suffixes)))
        found = self.known.get(name, (name,) if name.replace(".", "").isdigit() or ":" in name else ())
        if not found:
            raise UnknownNameError("The server is not known.")
        return found


@dataclass
class Bus:
    """Keeps the events that were raised."""

    raised: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        self.raised.append((key, text, details))

    def kinds(self) -> list[str]:
        return [key for key, _, _ in self.raised]

    def details(self, key: str) -> dict[str, Any]:
        """Of the last one of a key."""
        return next(details for name, _, details in reversed(self.raised) if name == key)


class FakeWorker:
    """The worker's end of a pipe."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        self.pipe = WorkerEnd(connection)
        self.name = name
        self._incoming = self.pipe.deliveries()
        self._numbers = itertools.count(1)
        self.told: list[PipeMessage] = []
        """What came while something else was waited for."""
        self.clients: list[int] = []

    def say(self, message: PipeMessage) -> None:
        self.pipe.send(message)

    def hello(self, *sessions: str) -> None:
        self.say(messages.Hello(worker=self.name, pid=1, sessions=sessions))

    async def receive(self, kind: type[_Answer]) -> _Answer:
        """Return the next message of a kind."""
        for index, known in enumerate(self.told):
            if isinstance(known, kind):
                del self.told[index]
                return known
        async for message, descriptor in self._incoming:
            if descriptor is not None:
                self.clients.append(descriptor)
            if isinstance(message, kind):
                return message
            self.told.append(message)
        raise EOFError(self.pipe.reason)

    async def ask(self, kind: type[_Answer], question: Callable[..., PipeMessage], session: str, **members: Any) -> _Answer:
        """Ask, and return the answer."""
        number = next(self._numbers)
        self.say(question(session=session, ask=number, **members))
        answer = await self.receive(kind)
        assert getattr(answer, "ask", None) == number
        return answer

    async def is_dropped(self) -> bool:
        """Wait for the end of the pipe."""
        async for message, _ in self._incoming:
            self.told.append(message)
        return self.pipe.closed


class Site:
    """What a scenario plays with."""

    def __init__(self, rig: Rig, catalogue: MemoryCatalogue | None = None) -> None:
        self.rig = rig
        self.catalogue, self.names, self.bus = catalogue or MemoryCatalogue(), Names(), Bus()
        self.places = Places.of(rig.directory)
        self.places.prepare()
        self.host_keys = TrustedHostKeys(rig.store)
        running = lambda: rig.pipeline.running  # noqa: E731
        authenticator = Authenticator(running, rig.secrets.text)
        self.guard = Guard(lambda: rig.pipeline.running.snapshot.read(settings.NODE).bruteforce_protection)
        self.control = ProxyControl(
            Surroundings(
                running, rig.secrets.text, authenticator.check, self.guard, self.catalogue, self.host_keys, self.bus, self.places,
                "node-1", self.names,
            )
        )  # fmt: skip
        self.control.start()
        self._attending: list[asyncio.Task[None]] = []
        self._workers: list[FakeWorker] = []
        self._clients: list[socket.socket] = []

    async def worker(self, name: str = "w1", *sessions: str) -> FakeWorker:
        """Connect a worker; return once control has it."""
        made = self.unmet(name)
        made.hello(*sessions)
        await made.receive(messages.Settle)
        await eventually(lambda: self.control.workers.find(name) is not None or made.pipe.closed)
        return made

    async def first_worker(self) -> FakeWorker:
        """Return the worker that is there, else connect one."""
        return self._workers[0] if self._workers else await self.worker()

    def unmet(self, name: str) -> FakeWorker:
        """Connect a worker that has not said anything yet."""
        ours, theirs = socket.socketpair()
        self._attending.append(asyncio.create_task(self.control.dispatch.attend(ControlEnd(ours))))
        made = FakeWorker(theirs, name)
        self._workers.append(made)
        return made

    async def connect(self, client: tuple[str, int] = CLIENT, local: tuple[str, int] = ("127.0.0.1", PORT)) -> socket.socket:
        """Have a client connect; return its end."""
        ours, theirs = socket.socketpair()
        self._clients += [ours, theirs]
        ours.setblocking(False)
        await self.control.acceptor.serve(Addressed(ours, local), client)  # type: ignore[arg-type]
        return theirs

    async def begun(self, worker: FakeWorker, client: tuple[str, int] = CLIENT) -> str:
        """Have a client connect, and keys exchanged; return the key of the session."""
        await self.connect(client)
        begin = await worker.receive(messages.Begin)
        worker.say(messages.Identified(session=begin.session, identifier=IDENTIFIER, client_version="SSH-2.0-Test"))
        return begin.session

    async def logged_in(self, worker: FakeWorker, user: str = "alice@db1.example.com", password: str = ALICE_PASSWORD) -> str:
        """Have alice log in; return the key of the session."""
        key = await self.begun(worker)
        decision = await worker.ask(messages.Decision, messages.TryPassword, key, user=user, password=password)
        assert decision.outcome == "accepted", decision.message
        return key

    async def targeted(self, worker: FakeWorker, user: str = "alice@db1.example.com") -> tuple[str, messages.TargetAnswer]:
        """Have alice log in and get her target."""
        key = await self.logged_in(worker, user)
        target = await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user=user, method="password")
        return key, target

    async def connected(self, worker: FakeWorker) -> str:
        """Have alice connected to her target; return the key of the session."""
        key, target = await self.targeted(worker)
        worker.say(connected(key, target))
        await eventually(lambda: self.catalogue.rows[key].server_local.port)
        return key

    async def session(self) -> tuple[FakeWorker, str]:
        """Return a worker and the key of its session, that of alice, connected to a target that is known."""
        self.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await self.worker()
        return worker, await self.connected(worker)

    async def close(self) -> None:
        await self.control.stop()
        for made in self._workers:
            made.pipe.close()
        for task in self._attending:
            task.cancel()
        await asyncio.gather(*self._attending, return_exceptions=True)
        for client in self._clients:
            with suppress(OSError):
                client.close()


class Addressed:
    """A socket that seems to be bound to an address."""

    def __init__(self, real: socket.socket, local: tuple[str, int] = ("127.0.0.1", PORT)) -> None:
        self._real, self._local = real, local

    def getsockname(self) -> tuple[str, int]:
        return self._local

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __enter__(self) -> socket.socket:
        return self._real

    def __exit__(self, *_: object) -> None:
        self._real.close()


def connected(key: str, target: messages.TargetAnswer, **changes: Any) -> messages.Connected:
    members: dict[str, Any] = {
        "address": target.addresses[0], "port": target.port, "local": ("10.0.0.1", 40000), "user": target.user,
        "method": "same_password", "server_version": "SSH-2.0-OpenSSH_9.2", "host_key": "SHA256:x", "serial": 1,
    }  # fmt: skip
    return messages.Connected(session=key, **(members | changes))


def ended(key: str, **changes: Any) -> messages.Ended:
    members: dict[str, Any] = {
        "at": 5000, "verdict": "ACCEPT", "reason": "closed", "down": 10, "up": 5, "trail_bytes": 100, "recorded": True,
        "serial": 99,
    }  # fmt: skip
    return messages.Ended(session=key, **(members | changes))


def play(rig: Rig, scenario: Callable[[Site], Awaitable[None]], catalogue: MemoryCatalogue | None = None) -> None:
    """Play a scenario in an event loop of its own."""

    async def main() -> None:
        site = Site(rig, catalogue)
        try:
            async with asyncio.timeout(120):
                await scenario(site)
        finally:
            await site.close()

    asyncio.run(main())


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    while not condition():  # noqa: ASYNC110 - whatever it is about tells nobody
        await asyncio.sleep(0.002)


# The configuration


@dataclass
class Configured:
    """The keys of what was made."""

    connection: str
    authentication: str
    database: str
    password: str
    bodies: dict[str, Any]


def configured(
    rig: Rig,
    *,
    authentication: dict[str, Any] | None = None,
    connection: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    more: Callable[[Any], dict[str, Any]] | None = None,
) -> Configured:
    """Commit a connection policy with a local user database; ``more`` makes other objects and returns policies to refer to."""
    candidate = rig.candidate()
    password = rig.post(candidate, "passwords", {"plain": ALICE_PASSWORD})
    host_key = rig.post(candidate, "private_keys", {"generate": {"selection": "ed25519"}})
    alice = {"username": "alice", "passwords": [password], "public_keys": [], "certificates": [], **(user or {})}
    database = rig.post(candidate, "policies/user_databases", {"name": "people", "users": [alice]})
    gate: dict[str, Any] = {
        "name": "gate",
        "backend": {"selection": "local", "user_database": database},
        "client": {
            "password": {"enabled": True},
            "keyboard_interactive": {"enabled": True},
            "public_key": {"enabled": True},
            "certificate": {"enabled": False},
        },
        "require": [],
        "relayed": [{"selection": "same_password"}],
    }
    gate |= authentication or {}
    made = more(candidate) if more is not None else {}
    for name, value in made.pop("authentication", {}).items():
        gate[name] = value
    authentication_key = rig.post(candidate, "ssh/authentication_policies", gate)
    body: dict[str, Any] = {
        "name": "linux",
        "network": {"clients": ["0.0.0.0/0"], "ports": [PORT], "targets": ["127.0.0.1/32"]},
        "client_side_hostkeys": {"selection": "own", "keys": [host_key]},
        "server_address": {
            "selection": "inband",
            "domains": [{"domain": {"selection": "domain", "value": "*.example.com"}, "port": None}],
        },
        "policies": {
            "audit_policy": "78101850949e47437dd91d",
            "authentication_policy": authentication_key,
            "channel_policy": "-211",
            "settings": "-300",
            **made,
        },
    }
    body |= connection or {}
    key = rig.post(candidate, "ssh/connections", body)
    rig.put(
        candidate,
        "ssh/options",
        {
            "channel_database_cleanup": {"enabled": False},
            "gssapi": {"enabled": False},
            "service": {"enabled": True, "log_level": 4},
        },
    )
    record = rig.commit(candidate)
    assert record.error is None, record.error
    return Configured(key, authentication_key, database, password, {"connection": body, "gate": gate, "alice": alice})
