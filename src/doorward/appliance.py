"""The composition root: the only place where the parts are put together, started and stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.access.logins import Logins
from doorward.access.passwords import LocalPasswords
from doorward.api.app import Application
from doorward.api.listeners import Listeners, bind
from doorward.api.routes import Parts, application
from doorward.api.setup import ready_state
from doorward.api.tls import no_identity, web_identity
from doorward.api.transaction import Service
from doorward.api.web import administrators, channel_service, hand_out, open_early, web_services
from doorward.backup import aftermath
from doorward.backup.checking import Checks
from doorward.backup.keeping import Shelf
from doorward.backup.node import NodeView
from doorward.backup.restores import Restores
from doorward.backup.service import Backups
from doorward.backup.signing import Signing
from doorward.backup.table import Table
from doorward.cluster.cluster import Cluster
from doorward.cluster.keys import NodeKey, NodeKeyError
from doorward.cluster.links import Links
from doorward.cluster.statuses import Backup
from doorward.configuration.aaa import settings
from doorward.configuration.aaa.local_database import users
from doorward.configuration.management import certificates, webinterface
from doorward.configuration.network._addresses import listening
from doorward.events.senders import Senders
from doorward.host.engine import Host
from doorward.host.errors import HostFailure
from doorward.host.kinds.job import JobKind
from doorward.host.kinds.listener import ListenerKind
from doorward.host.machine import Machine, MachineKind
from doorward.host.nics import WILDCARDS, resolved
from doorward.host.ntp_probe import Prober
from doorward.host.resources import Job, Listener
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.membership import channel
from doorward.membership.standing import standing
from doorward.store.lock import StateInUse, locked
from doorward.store.node import node_id
from doorward.store.port import Edit, StoreDamaged
from doorward.store.rotation import settle
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from doorward.transaction.candidate import Candidate, Running
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Order, Pipeline
from doorward.transaction.queue import CommitQueue, QueueTimeout
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import first_revision, load_running, whole_tree
from doorward.transaction.sweep import unowned
from doorward.tree.places import Place
from doorward.tree.problems import MeaningRefused

log = structlog.get_logger()

_HOUSEKEEPING_SECONDS = 3600
_MOST_LATE = 120


class CannotStart(Exception):
    """Why the server can't start, in one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run.

    ``host`` and ``port`` count at the first start; ``listen_given``: somebody asked for them. ``cluster_port`` None: as it was.
    ``plain_http`` is for measurements on loopback only.
    """

    state: Path
    host: str = "127.0.0.1"
    port: int = 8443
    machine: MachineKind = "sandbox"
    admin_password: str | None = None
    plain_http: bool = False
    listen_given: bool = False
    cluster_port: int | None = None
    wizard: bool = False
    """Whether a first start leaves the first settings to ``POST /api/setup``."""


class Appliance:
    """A node: its store, its host, its API."""

    def __init__(self, options: Options, say: Callable[[str], None] = print, warn: Callable[[str], None] = print) -> None:
        self._options, self._say, self._warn = options, say, warn
        self.tree = whole_tree()
        # Port 0 is any port at the first start; later the configuration alone says where to listen.
        self._machine = Machine(options.machine, options.host, options.port or Machine().port)
        self._queue = CommitQueue()
        state = options.state
        fresh = not (state / "doorward.db").exists()
        settle(state)
        self._vault = Vault.at(state / "data.key", create=fresh)
        self.store = SqliteStore(state / "doorward.db", self._vault)
        self.listeners = Listeners()
        if self.store.head() is None:
            self._machine = self._bound()
            self._first_start()
        self.node = node_id(self.store)
        self.host: Host = sandbox(state) if options.machine == "sandbox" else system(state)
        self.table = Table(self.store, offset=self._late)
        prober = Prober()
        passwords = LocalPasswords()
        keeping = SecretKeeping(self.tree, self.store, self._vault, passwords)
        running = load_running(self.tree, self._machine, self.store)
        admin = running.snapshot.document(Place(users.PATH, users.ADMIN))
        if admin and (password := admin.value["password"]):
            keeping.text(password)  # raises where the data key is not the one of this store
        self.pipeline = Pipeline(self.tree, self.store, self.host, keeping, prober, running)
        self.confirmations = Confirmations(self.store, self.pipeline, self._queue.later)
        value = self._value
        self._logins = Logins(lambda: int(value(webinterface.PATH)["timeout"]) * 60)
        guard = Guard(lambda: value(settings.PATH)["bruteforce_protection"])
        authenticator = Authenticator(lambda: self.pipeline.running, keeping.text)
        self._service = service = Service(self.pipeline, self._queue, self.confirmations)
        self.senders = Senders(self.pipeline, state)
        self.host.handle(Job, JobKind({"core_files": self.senders.core_files, "system_backup": self.table}))
        aftermath.finish(state, self.store, keeping)
        uploads = Shelf(state / "backup" / "uploads", self.store, "backup_upload")
        self.backups = self._backing_up(uploads)
        key = NodeKey.at(state, self.node)
        links = Links(key, self.node, lambda: channel.port(self.pipeline.running.snapshot))
        self.cluster = Cluster(
            self.pipeline,
            self._queue,
            node_id=self.node,
            key=key,
            connector=links,
            events=self.senders.events,
            state=state,
            backup=self._backup_report,
        )
        parts = Parts(
            service, self._logins, authenticator, guard, prober, self.senders, self.backups, uploads, state, self.cluster
        )  # fmt: skip
        self.app: Application = application(parts)
        identity = no_identity if options.plain_http else web_identity(keeping.text)
        self.listeners.services.update(web_services(self.app, identity))
        self.listeners.services["cluster"] = channel_service(self.cluster.channel)
        self.host.handle(Listener, ListenerKind(self.listeners))
        self._trusted = state / "tls" / "ca.pem"
        try:
            hand_out(running.snapshot, self._trusted)
        except OSError as error:
            raise CannotStart(f"{self._trusted} can't be written: {error.strerror}.") from error
        self._say_if_ignored()

    def _backing_up(self, uploads: Shelf) -> Backups:
        state = self._options.state
        view = NodeView(self.pipeline, state, self.node, self._machine, Signing(state, self.store))
        made = Backups(view, self.table, self.senders, Checks(view), uploads.path)
        self.senders.monitor.watches.append(made.watch)
        return made

    def _late(self) -> float:
        """By how many seconds backups are late on purpose: the nodes of a cluster don't come to the target all at once."""
        member = standing(self.pipeline.running.snapshot).is_member
        return float(UUID(self.node).int % (_MOST_LATE + 1)) if member else 0.0

    def _backup_report(self) -> Backup | None:
        """What the other nodes are told of the backups of this one."""
        if self.backups.selected() is None:
            return None
        fresh = self.backups.freshness()
        return Backup(fresh.success.ended if fresh.success else None, fresh.overdue)

    def _value(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self.pipeline.running.snapshot.value(path)
        return found

    def _bound(self) -> Machine:
        """Bind what ``--listen`` says, ahead of the first revision: only then the port is known. Raises CannotStart."""
        options = self._options
        try:
            bound = bind(options.host, options.port)
        except OSError as error:
            raise CannotStart(f"Can't listen on {options.host}:{options.port}: {error.strerror}.") from error
        host, port = bound.getsockname()[:2]
        machine = Machine(options.machine, host, port)
        if host in WILDCARDS:
            bound.close()
        else:
            self.listeners.adopt(bound)
        if not listening(machine):
            raise CannotStart(f"No network interface has the address {host}; say with --listen where to serve.")
        return machine

    def _say_if_ignored(self) -> None:
        """Say so where ``--listen`` asks for something else than the configuration, which counts."""
        options, wanted = self._options, administrators(self._desired())
        asked = {str(address) for address in resolved(options.host)}
        met = [one for one in wanted if options.host in WILDCARDS or one.address in asked]
        if options.listen_given and not any(options.port in {0, one.port} for one in met):
            where = ", ".join(one.name for one in wanted)
            self._warn(
                f"--listen {options.host}:{options.port} counts at the first start only;"
                f" this node listens where local_services/admin_web says: {where}."
            )

    def _first_start(self) -> None:
        """Write revision 1: the defaults, and the password of ``admin`` unless the wizard asks for it."""
        if self._options.wizard:
            if self._options.admin_password is not None:
                raise CannotStart("The setup wizard asks for the password of admin; don't set DOORWARD_ADMIN_PASSWORD.")
            self._first_revision(None)
            return
        password = self._options.admin_password or secrets.token_urlsafe(15)
        path = self._options.state / "initial-admin-password"
        if self._options.admin_password is None:  # kept before it counts: a crash in between must not lock everybody out
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(password + "\n")
                file.flush()
                os.fsync(file.fileno())
        self._first_revision(password)
        if self._options.admin_password is None:
            self._say(f"First start: log in as admin with the password {password} (kept in {path}).")

    def _first_revision(self, password: str | None) -> None:
        first_revision(self.tree, self._machine, self.store, self._vault, LocalPasswords(), password=password, admin=users.ADMIN)

    def converge(self) -> None:
        """Bring the host to the running revision. Blocks; runs in the commit thread."""
        try:
            self.host.start()
        except HostFailure as failure:
            raise CannotStart(f"The host can't be prepared: {failure.reason}.") from failure
        self.pipeline.recover()
        Restores(self.store).close_unfinished()
        self.listeners.settle()
        self._take_cluster_port()
        if not self._open():
            where = ", ".join(wanted.name for wanted in administrators(self._desired()))
            raise CannotStart(f"No listener for administrators can be opened ({where}); the log says why.")
        self.confirmations.load()

    def _take_cluster_port(self) -> None:
        """Make the start option ``--cluster-port`` part of what runs."""
        wanted, place = self._options.cluster_port, Place(channel.PATH)
        if wanted is not None and wanted != channel.port(self.pipeline.running.snapshot):
            candidate = Candidate.on(self.pipeline.running)
            candidate.put(place, self.tree.load(place, wanted))
            try:
                self.pipeline.commit(candidate, Order(SYSTEM, "", "The start option --cluster-port."))
            except (ApplyFailed, MeaningRefused) as error:
                raise CannotStart(f"--cluster-port {wanted} can't be used: {error}") from error

    async def serve(self, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serve until told to stop. ``ready`` gets the address once connections are answered."""
        loop = asyncio.get_running_loop()
        self.listeners.run_in(loop)

        def published(before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
            """Tell the login sessions, which live in the event loop, of a commit, which runs in a thread."""
            if Logins.concerned(edits):
                loop.call_soon_threadsafe(self._logins.published, before, after, edits)

        def trusted(_: Running, after: Running, edits: tuple[Edit, ...]) -> None:
            """Hand out other certificates. One never changes, so only the choice of them counts."""
            if any(edit.place.path == certificates.PATH for edit in edits):
                hand_out(after.snapshot, self._trusted)

        self.pipeline.published += [published, lambda *_: self.listeners.settle(), trusted]
        self.senders.start()
        housekeeping = asyncio.create_task(self._keep_house())
        try:
            await self._queue.run(self._accept)
            await self._queue.run(self.converge)
            self.cluster.start()
            self.app.state = ready_state(self._service)
            await asyncio.to_thread(self.backups.start)
            self.senders.watch(lambda: loop.call_soon_threadsafe(self._logins.expire))
            scheme = "http" if self._options.plain_http else "https"
            ready(f"{scheme}://{self._open()[0]}")
            await stop.wait()
        finally:
            self.app.state = "stopping"
            await asyncio.to_thread(self.backups.stop)
            housekeeping.cancel()
            self.listeners.refuse()
            with contextlib.suppress(QueueTimeout):
                await self._queue.run(lambda: None)  # a commit that runs may move listeners
            stopping = asyncio.create_task(self.listeners.stop())
            await asyncio.sleep(0)  # idle connections end first, so that nobody asks again
            self.cluster.channel.release()
            await stopping

    def _accept(self) -> None:
        """Open the listeners, by which everybody learns that the server is starting. Runs in the commit thread."""
        try:
            open_early(self.listeners, self._desired())
        except HostFailure as failure:
            raise CannotStart(f"{failure.reason[0].upper()}{failure.reason[1:]}.") from failure

    def _desired(self) -> list[Any]:
        return self.pipeline.desired(self.pipeline.running.snapshot)

    def _open(self) -> list[str]:
        """Return where administrators are served."""
        return [wanted.name for wanted in administrators(self._desired()) if self.listeners.at(wanted.name) is not None]

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
        self.cluster.stop()
        self._queue.close()
        self.confirmations.close()
        self.senders.stop()
        self.listeners.release()
        self.host.stop()
        self.store.close()


def run(options: Options, say: Callable[[str], None] = print, warn: Callable[[str], None] = print) -> None:
    """Run a node until SIGTERM or SIGINT. Raises CannotStart."""
    began = time.monotonic()
    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # every connection takes a descriptor
    try:
        with locked(options.state):
            _run(options, say, warn, began)
    except StateInUse as why:
        raise CannotStart(str(why)) from why


def _run(options: Options, say: Callable[[str], None], warn: Callable[[str], None], began: float) -> None:
    import uvloop

    try:
        appliance = Appliance(options, say, warn)
    except (VaultError, StoreDamaged, HostFailure, NodeKeyError) as error:
        raise CannotStart(str(error)) from error

    def ready(address: str) -> None:
        log.info("serving", address=address, seconds=round(time.monotonic() - began, 3))
        gc.freeze()  # what a start makes stays; later collections need not look at it
        gc.enable()
        say(f"Doorward is ready at {address} ({options.machine} host, state in {options.state}).")
        if appliance.app.state != "serving":
            say(f"It awaits its first settings: POST {address}/api/setup.")

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await appliance.serve(ready, stop)

    try:
        uvloop.run(main())
    finally:
        appliance.close()
