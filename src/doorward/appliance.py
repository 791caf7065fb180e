"""The composition root: the only place where the parts are put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import resource
import secrets
import signal
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

import doorward.configuration
from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.access.logins import Logins
from doorward.access.passwords import LocalPasswords
from doorward.api import tls
from doorward.api.app import Application
from doorward.api.routes import Parts, application
from doorward.api.server import HttpServer, bind
from doorward.api.transaction import Service
from doorward.backup.table import Table
from doorward.configuration.aaa import settings
from doorward.configuration.aaa.local_database import users
from doorward.configuration.management import webinterface
from doorward.events.senders import Senders
from doorward.host.engine import Host
from doorward.host.errors import HostFailure
from doorward.host.kinds.job import JobKind
from doorward.host.machine import Machine, MachineKind
from doorward.host.ntp_probe import Prober
from doorward.host.resources import Job
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.store.node import node_id
from doorward.store.port import Edit, StoreDamaged
from doorward.store.rotation import settle
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.candidate import Running
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.pipeline import SYSTEM, Order, Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import first_revision, load_running
from doorward.transaction.sweep import unowned
from doorward.tree.places import Place
from doorward.tree.registry import discover

log = structlog.get_logger()

_HOUSEKEEPING_SECONDS = 3600


class CannotStart(Exception):
    """Why the server can't start, in one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. ``plain_http`` is for measurements on loopback only; it is no option of the command line."""

    state: Path
    host: str = "127.0.0.1"
    port: int = 8443
    machine: MachineKind = "sandbox"
    admin_password: str | None = None
    plain_http: bool = False


class Appliance:
    """A node: its store, its host, its API."""

    def __init__(self, options: Options, say: Callable[[str], None] = print) -> None:
        self._options, self._say = options, say
        self.tree = discover(doorward.configuration)
        self._machine = Machine(options.machine, options.host, options.port)
        self._queue = CommitQueue()
        state = options.state
        fresh = not (state / "doorward.db").exists()
        settle(state)
        self._vault = Vault.at(state / "data.key", create=fresh)
        self.store = SqliteStore(state / "doorward.db", self._vault)
        if self.store.head() is None:
            self._first_start()
        self.node = node_id(self.store)
        self.host: Host = sandbox(state) if options.machine == "sandbox" else system(state)
        self.table = Table(self.store)
        self.host.handle(Job, JobKind(self.table))
        prober = Prober()
        passwords = LocalPasswords()
        keeping = SecretKeeping(self.tree, self.store, self._vault, passwords)
        running = load_running(self.tree, self._machine, self.store)
        if admin := running.snapshot.document(Place(users.PATH, users.ADMIN)):
            keeping.text(admin.value["password"])  # raises where the data key is not the one of this store
        self.pipeline = Pipeline(self.tree, self.store, self.host, keeping, prober, running)
        self.confirmations = Confirmations(self.store, self.pipeline, self._queue.later)
        value = self._value
        self._logins = Logins(lambda: int(value(webinterface.PATH)["timeout"]) * 60)
        guard = Guard(lambda: value(settings.PATH)["bruteforce_protection"])
        authenticator = Authenticator(lambda: self.pipeline.running, keeping.text)
        service = Service(self.pipeline, self._queue, self.confirmations)
        self.senders = Senders(self.pipeline, state)
        self.app: Application = application(Parts(service, self._logins, authenticator, guard, prober, self.senders, state))

    def _value(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.pipeline.running.snapshot.value(path)
        return found

    def _first_start(self) -> None:
        """Write revision 1: the defaults, and the password of ``admin``."""
        password = self._options.admin_password or secrets.token_urlsafe(15)
        path = self._options.state / "initial-admin-password"
        if self._options.admin_password is None:  # kept before it counts: a crash in between must not lock everybody out
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(password + "\n")
                file.flush()
                os.fsync(file.fileno())
        first_revision(self.tree, self._machine, self.store, self._vault, LocalPasswords(), password=password, admin=users.ADMIN)
        if self._options.admin_password is None:
            self._say(f"First start: log in as admin with the password {password} (kept in {path}).")

    def converge(self) -> None:
        """Bring the host to the running revision. Blocks; runs in the commit thread."""
        try:
            self.host.start()
        except HostFailure as failure:
            raise CannotStart(f"The host can't be prepared: {failure.reason}.") from failure
        self.pipeline.recover()
        self.confirmations.load()

    async def serve(self, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serve until told to stop. ``ready`` gets the address once connections are answered."""
        options = self._options
        try:
            bound = bind(options.host, options.port)
        except OSError as error:
            raise CannotStart(f"Can't listen on {options.host}:{options.port}: {error.strerror}.") from error
        server = HttpServer(self.app, bound, None if options.plain_http else self._tls())
        await server.start()
        loop = asyncio.get_running_loop()

        def published(before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
            """Tell the login sessions, which live in the event loop, of a commit, which runs in a thread."""
            loop.call_soon_threadsafe(self._logins.published, before, after, edits)

        self.pipeline.published.append(published)
        self.senders.start()
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            await self._queue.run(self.converge)
            self.app.state = "serving"
            self.senders.watch(lambda: loop.call_soon_threadsafe(self._logins.expire))
            scheme = "http" if options.plain_http else "https"
            host = f"[{options.host}]" if ":" in options.host else options.host
            ready(f"{scheme}://{host}:{bound.getsockname()[1]}")
            await stop.wait()
        finally:
            self.app.state = "stopping"
            housekeeping.cancel()
            await server.stop()

    def _tls(self) -> ssl.SSLContext:
        name = self.pipeline.running.snapshot.value("/api/configuration/network/naming")
        names = [
            f"{name['hostname']}.{name['domainname']}",
            name["hostname"],
            "localhost",
            "127.0.0.1",
            "::1",
            self._options.host,
        ]
        wildcards = {"0.0.0.0", "::"}  # noqa: S104 - left out of the certificate
        certificate, key = tls.ensure_certificate(
            self._options.state / "tls", [n for n in dict.fromkeys(names) if n not in wildcards]
        )
        try:
            return tls.context(certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise CannotStart(f"The certificate in {certificate.parent} can't be used: {error}.") from error

    async def _keep_house(self) -> None:
        """Forget Idempotency-Keys, and secrets that nobody came to own, after a day."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            try:
                await self._queue.run(self._sweep)
            except Exception:
                log.exception("housekeeping failed")

    def _sweep(self) -> None:
        """Runs in the commit thread."""
        before = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.store.forget_tickets(before)
        candidate = unowned(self.tree, self.pipeline.running, before)
        if candidate is not None and self.confirmations.pending is None:
            self.pipeline.commit(candidate, Order(SYSTEM, "", "Secrets that nothing came to refer to."))

    def close(self) -> None:
        """Stop what was started, the store last."""
        self._queue.close()
        self.confirmations.close()
        self.senders.stop()
        self.host.stop()
        self.store.close()


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Hold the state directory for one server. Raises CannotStart where another one has it."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CannotStart(f"The state directory {state} can't be used: {error.strerror}.") from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = file.read().strip() or "unknown"
            raise CannotStart(f"Another server (process {owner}) uses the state directory {state}.") from None
        file.truncate(0)
        file.seek(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def run(options: Options, say: Callable[[str], None] = print) -> None:
    """Run a node until SIGTERM or SIGINT. Raises CannotStart."""
    import uvloop

    began = time.monotonic()
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every connection takes a descriptor
    with locked(options.state):
        try:
            appliance = Appliance(options, say)
        except (VaultError, StoreDamaged, HostFailure) as error:
            raise CannotStart(str(error)) from error

        def ready(address: str) -> None:
            log.info("serving", address=address, seconds=round(time.monotonic() - began, 3))
            say(f"Doorward is ready at {address} ({options.machine} host, state in {options.state}).")

        async def main() -> None:
            stop = asyncio.Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await appliance.serve(ready, stop)

        try:
            uvloop.run(main())
        finally:
            appliance.close()
