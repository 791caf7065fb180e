"""A node: its store, its host, its API. Put together here, brought to its running revision, served, closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from doorward import __version__
from doorward.access.accounts import Accounts
from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.access.logins import Logins
from doorward.access.passwords import LocalPasswords
from doorward.access.setup_code import SetupCode
from doorward.access.tokens import Tokens
from doorward.api.app import Application
from doorward.api.routes import ApiParts, application
from doorward.api.server import web_services
from doorward.api.setup import ready_state
from doorward.appliance.admin_listeners import AdminListeners
from doorward.appliance.areas import Areas
from doorward.appliance.backing_up import backups, late, report
from doorward.appliance.housekeeping import Transactions
from doorward.appliance.local_server import LocalServer
from doorward.appliance.login_sessions import LoginSessions
from doorward.appliance.memory import Memory
from doorward.appliance.options import Options, StartError
from doorward.appliance.sessions import SessionParts, SharedCatalogue
from doorward.appliance.state_directory import opened
from doorward.appliance.token_keeping import TokenKeeping
from doorward.appliance.trusted import hand_out
from doorward.archiving.adopting import SessionAdoption
from doorward.archiving.archiver import Archiver
from doorward.areas import threads
from doorward.areas.area import Area
from doorward.backup.node import NodeView
from doorward.backup.restore.records import Restores
from doorward.backup.restore.settling import settle
from doorward.backup.schedule import DueJobs
from doorward.backup.signing import NodeSigningKeys
from doorward.backup.temporary_files import TemporaryFiles
from doorward.cluster.cluster import Cluster
from doorward.cluster.keys import NodeKey
from doorward.cluster.links import Links
from doorward.cluster.server import channel_service
from doorward.configuration.aaa import settings
from doorward.configuration.aaa.local_database import users
from doorward.configuration.local_services import admin_web
from doorward.configuration.management import certificates, webinterface
from doorward.configuration.ssh._rules import SERVICE
from doorward.events.clock_steps import ClockSteps
from doorward.events.drift import DriftWatch
from doorward.events.notifications import Notifications
from doorward.host import unprivileged
from doorward.host.engine import Host
from doorward.host.errors import HostError
from doorward.host.kinds.job import JobKind
from doorward.host.kinds.listener import ListenerKind
from doorward.host.ntp_probe import Prober
from doorward.host.resources import Job, Listener
from doorward.host.sandbox import sandbox
from doorward.host.system import system
from doorward.listening.kept import inherited
from doorward.listening.listeners import Listeners
from doorward.listening.tls import ConfiguredTls
from doorward.membership import channel
from doorward.proxy.control.control import ProxyControl, Surroundings
from doorward.proxy.control.service import SshAdmission
from doorward.proxy.starting import have_workers_started, start_workers
from doorward.proxy.worker.places import Places
from doorward.sessions.ending import concerned, drops
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.sessions.policies import decryption_keys
from doorward.store.lock import SPOOL
from doorward.store.port import Edit
from doorward.transaction.candidate import Running
from doorward.transaction.commits import CommitService
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.queue import CommitQueue, QueueTimeoutError
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.setup import awaited
from doorward.transaction.startup import load_running, node_id
from doorward.tree.snapshot import Snapshot

_WHERE = (admin_web.PATH, "/api/configuration/network/nics/")
"""What says where administrators are served."""


class Appliance:
    """A node.

    Raises StartError, HostError, HistoryKeyError, NodeKeyError, SigningKeyError, StoreDamagedError, VaultError, sqlite3.Error or
    OSError where it can't be put together.
    """

    def __init__(self, options: Options, say: Callable[[str], None] = print, warn: Callable[[str], None] = print) -> None:
        self._options, state = options, options.state
        self.listeners = Listeners()
        for listening in inherited():
            self.listeners.adopt(listening)
        self._directory = directory = opened(options, self.listeners, say)
        unprivileged.hide(state, state / SPOOL)
        self.store = directory.store
        self.node = node_id(self.store)
        self.host: Host = sandbox(state) if options.machine == "sandbox" else system(state)
        self._prober = Prober()
        self.pipeline, keeping = self._configured()
        self._queue = CommitQueue()
        self.pipeline.subscribers.put_off = self._queue.put_off
        self.confirmations = Confirmations(self.store, self.pipeline, self._queue.later)
        accounts = Accounts(lambda: self.pipeline.running)
        self._logins = Logins(
            accounts,
            lambda: webinterface.limits(self.pipeline.running.snapshot),
            revision=lambda: self.pipeline.running.number,
        )
        self._tokens = Tokens(self.store, accounts)
        self._service = CommitService(self.pipeline, self._queue, self.confirmations)
        self.notifications = Notifications(self.pipeline, state)
        settle(state, self.store, keeping)
        table = DueJobs(self.store, offset=lambda: late(self._snapshot, self.node))
        self.host.handle(Job, JobKind({"core_files": self.notifications.core_files, "system_backup": table}))
        uploads, exports = (
            TemporaryFiles(state / "backup" / f"{kind}s", self.store, f"backup_{kind}") for kind in ("upload", "export")
        )
        self._temporary_files = uploads, exports
        view = NodeView(self.pipeline, state, self.node, directory.machine, NodeSigningKeys(state, self.store))
        self.backups = backups(view, table, self.notifications, uploads)
        self.host_keys = TrustedHostKeys(self.store)
        self.cluster = self._clustered()
        self._login_sessions = LoginSessions(self._logins, self._tokens)
        self.sessions = self._catalogued(keeping)
        self.archiver = Archiver(
            view, self.sessions.catalogue, self.sessions.trails, self.notifications, sign=self.cluster.known.key.sign
        )  # fmt: skip
        self.cluster.search.local = self.sessions.local
        self.control = self._controlled(keeping)
        self.drift = DriftWatch(self.notifications.events, self.pipeline, self._queue)
        self.notifications.monitor.watches.append(ClockSteps(self.notifications.events, self._going_on))
        self.areas = Areas(self.pipeline, self._areas())
        self.setup_code = self._setup_code()
        self.app: Application = application(self._parts(keeping))
        self.listeners.services.update(web_services(self.app, None if options.plain_http else ConfiguredTls(keeping.text)))
        self.listeners.services["cluster"] = channel_service(self.cluster.channel)
        self.host.handle(Listener, ListenerKind(self.listeners))
        self._trusted = state / "tls" / "ca.pem"
        try:
            hand_out(self._snapshot, self._trusted)
        except OSError as error:
            raise StartError(f"{self._trusted} can't be written: {error.strerror}.") from error
        self._address = state / "address"
        self._admin_listeners = AdminListeners(options, self.pipeline, self.listeners)
        self._local = LocalServer(state, self.pipeline, self._queue, self.notifications.events, self._adoption(view))
        for ignored in (self._admin_listeners.ignored(), self._ignored_password()):
            if ignored:
                warn(ignored)

    def _areas(self) -> list[Area]:
        """Return the areas of the node, in the order in which they start: one line each."""
        return [
            self._login_sessions,
            TokenKeeping(self._tokens),
            self.sessions,
            self.notifications,
            Transactions(self.pipeline, self._queue, self.confirmations),
            self.cluster,
            *self._temporary_files,
            self.backups,
            self.archiver,
            self.notifications.monitor,
            self.drift,
            Memory(),
        ]

    @property
    def new_fingerprint(self) -> str | None:
        """The SHA-256 of the certificate as browsers show it, where this start has made it; None later and without TLS."""
        shown = certificates.shown(self._snapshot) if self._directory.is_fresh and not self._options.plain_http else None
        return None if shown is None else bytes.fromhex(shown.fingerprint).hex(":").upper()

    # The parts

    def _ignored_password(self) -> str | None:
        """Return a sentence where DOORWARD_ADMIN_PASSWORD is set and this is no first start."""
        if self._options.admin_password is None or self._directory.is_fresh:
            return None
        why = "this node awaits its first settings" if awaited(self.pipeline.running) else "admin has a password already"
        return f"DOORWARD_ADMIN_PASSWORD is ignored: {why}."

    def _configured(self) -> tuple[Pipeline, SecretKeeping]:
        """Return what keeps the configuration, and its secrets. Raises VaultError where the data key is another store's."""
        tree, store = self._directory.tree, self.store
        keeping = SecretKeeping(tree, store, self._directory.vault, LocalPasswords())
        running = load_running(tree, self._directory.machine, store)
        admin = running.snapshot.find(users.NODE, users.ADMIN)
        if admin is not None and admin.password is not None:
            keeping.text(admin.password.key)
        return Pipeline(tree, store, self.host, keeping, self._prober, running), keeping

    def _catalogued(self, keeping: SecretKeeping) -> SessionParts:
        options = self._options
        shared = SharedCatalogue(options.catalogue, self.node) if options.catalogue is not None else None
        return SessionParts.at(
            options.state, lambda: self._snapshot, lambda: decryption_keys(self._snapshot, keeping.text), shared
        )

    def _adoption(self, view: NodeView) -> SessionAdoption:
        """Return what takes over sessions of nodes that are gone."""
        return SessionAdoption(
            view, self.sessions.catalogue, self.cluster.certificate_of, lambda: self.cluster.search.nodes.all().keys()
        )  # fmt: skip

    def _clustered(self) -> Cluster:
        state = self._options.state
        key = NodeKey.at(state, self.node)
        links = Links(key, self.node, lambda: channel.port(self._snapshot), __version__)
        return Cluster(
            self.pipeline,
            self._queue,
            node_id=self.node,
            key=key,
            connector=links,
            events=self.notifications.events,
            state=state,
            backup=lambda: report(self.backups),
            version=__version__,
            host_keys=self.host_keys,
        )

    def _parts(self, keeping: SecretKeeping) -> ApiParts:
        authenticator = Authenticator(lambda: self.pipeline.running, keeping.text)
        guard = Guard(lambda: self._snapshot.read(settings.NODE).bruteforce_protection)
        return ApiParts(
            self._service, self._logins, self._tokens, authenticator, guard, self._prober, self.notifications, self.backups,
            *self._temporary_files, self._options.state, self.cluster, self.setup_code, self.areas.issues, self.areas.metrics,
            self.sessions.catalogue, self.sessions.trails, self.control.live, self.host_keys, self.control.figures,
            self.drift,
        )  # fmt: skip

    def _controlled(self, keeping: SecretKeeping) -> ProxyControl:
        """Return what decides for SSH sessions."""
        state, running = self._options.state, lambda: self.pipeline.running
        guard = Guard(lambda: self._snapshot.read(settings.NODE).bruteforce_protection)
        control = ProxyControl(Surroundings(
            running, keeping.text, Authenticator(running, keeping.text).check, guard, self.sessions.catalogue, self.host_keys,
            self.notifications.events, Places.of(state), self.node,
        ))  # fmt: skip
        self.pipeline.planner.advisers.append(control.advise)
        self.pipeline.dropping.append(lambda before, after: drops(before, after, control.count))
        # The sandbox belongs to one user, whoever that is.
        start = start_workers if self._options.machine == "sandbox" else have_workers_started
        self.listeners.services[SERVICE] = SshAdmission(control, partial(start, state))
        return control

    def _going_on(self) -> list[str]:
        """Return what a step of the clock meets, beside what is scheduled."""
        sessions = self.control.figures().sessions
        found = [f"{sessions} sessions"] if sessions else []
        return [*found, "a commit that awaits its confirmation"] if self.confirmations.pending is not None else found

    def _setup_code(self) -> SetupCode | None:
        """Make the code that first settings must come with. The sandbox, which serves users of the machine, has none."""
        is_needed = self._options.machine != "sandbox" and awaited(self.pipeline.running)
        return SetupCode(self._options.state / "setup-code") if is_needed else None

    @property
    def _snapshot(self) -> Snapshot:
        return self.pipeline.running.snapshot

    # Life

    def converge(self) -> None:
        """Bring the host to the running revision. Blocks; runs in the commit thread. Raises StartError."""
        try:
            self.host.start()
        except HostError as failure:
            raise StartError(f"The host can't be prepared: {failure.reason}.") from failure
        self.pipeline.recover()
        Restores(self.store).close_unfinished()
        self.listeners.settle()
        self.confirmations.load()
        self._admin_listeners.take_cluster_port()
        self._admin_listeners.open()
        self.listeners.release()

    async def serve(self, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serve until told to stop. ``ready`` gets the address once connections are answered."""
        loop = asyncio.get_running_loop()
        self.listeners.run_in(loop)
        self._login_sessions.loop = loop
        self._tell_of_commits(loop)
        self.areas.start(early=True)
        self.control.start()
        try:
            await self._queue.run(self._admin_listeners.open_early)
            await self._queue.run(self.converge)
            await asyncio.to_thread(self.areas.start, early=False)
            self.app.state = ready_state(self._service)
            await self._local.start()
            self._admin_listeners.tell(self._address)
            self.pipeline.subscribers.published.append(self._moved)
            scheme = "http" if self._options.plain_http else "https"
            ready(f"{scheme}://{self._admin_listeners.open()[0]}")
            await stop.wait()
        finally:
            self.app.state = "stopping"
            threads.stop()
            self._address.unlink(missing_ok=True)
            self._local.stop()
            await asyncio.to_thread(self.areas.stop, early=False)
            self.listeners.refuse()
            await self.control.stop()
            with contextlib.suppress(QueueTimeoutError):
                await self._queue.run(lambda: None)  # a commit that runs may move listeners
            stopping = asyncio.create_task(self.listeners.stop())
            await asyncio.sleep(0)  # idle connections end first, so that nobody asks again
            self.cluster.channel.release()
            await stopping

    def _tell_of_commits(self, loop: asyncio.AbstractEventLoop) -> None:
        def trusted(_: Running, after: Running, edits: tuple[Edit, ...]) -> None:
            """Hand out other certificates. One never changes, so only the choice of them counts."""
            if any(edit.place.path == certificates.PATH for edit in edits):
                hand_out(after.snapshot, self._trusted)

        def published(_before: Running, _after: Running, edits: tuple[Edit, ...]) -> None:
            # A session that comes later is held against what runs by now.
            if self.control.sessions and concerned(edits):
                loop.call_soon_threadsafe(self.control.published)

        self.pipeline.subscribers.published += [lambda *_: self.listeners.settle(), trusted, published]

    def _moved(self, _before: Running, _after: Running, edits: tuple[Edit, ...]) -> None:
        """Write down where administrators are served now."""
        if any(edit.place.path.startswith(_WHERE) for edit in edits):
            self._admin_listeners.tell(self._address)

    def close(self) -> None:
        """Stop what was started, the store last."""
        self._queue.close()
        self.confirmations.close()
        self.areas.stop(early=True)
        self.listeners.release()
        self.host.stop()
        self.store.close()
