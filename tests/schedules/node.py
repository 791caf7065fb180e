"""A node within this process: real store, pipeline and cluster, a host in memory, and a fuse that kills it at any step."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from doorward import __version__
from doorward.api.cluster.join_request import OwnJoinRequest
from doorward.api.cluster.nodes import ClusterNode, Nodes
from doorward.api.cluster.shared import ClusterResource, Promote, Shared
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.cluster.cluster import Cluster
from doorward.cluster.keys import NodeKey
from doorward.cluster.links import Links
from doorward.configuration.aaa.local_database import users
from doorward.configuration.local_services import cluster as interface
from doorward.events.events import Events
from doorward.host.machine import Machine
from doorward.host.plan import Action
from doorward.membership import join_request, nodes, promote
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService, NothingToConfirmError, PendingConfirmationError
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.conflicts import ConflictingChangesError
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed, Pipeline
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import documents, first_revision, load_running, node_id
from doorward.tree.jsontext import encode
from doorward.tree.nodes import WriteOnce
from doorward.tree.problems import SemanticError
from doorward.tree.times import SystemClock
from tests.support.accounts import login_of
from tests.support.areas import follow
from tests.support.fake_host import FakeHost
from tests.support.travelling import travelling
from tests.unit.transaction.rig import ADMIN_PASSWORD, ROOT, TREE, CheapPasswords, Probes

_T = TypeVar("_T")


class Killed(BaseException):
    """The process of a node ends here."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.name)
        self.node = node


class Fuse:
    """Kills a node after so many steps; None: never."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.steps: int | None = None

    def burn(self) -> None:
        """One step further."""
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                raise Killed(self._node)


class FusedStore(SqliteStore):
    """A store whose node may die before or after anything becomes durable."""

    fuse: Fuse | None = None

    def _open(self, *, room: bool) -> sqlite3.Connection:
        connection = super()._open(room=room)
        connection.execute("PRAGMA synchronous = OFF")  # the machine goes on, only the node dies
        return connection

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self.fuse is not None:
            self.fuse.burn()
        result = super()._write(work)
        if self.fuse is not None:
            self.fuse.burn()
        return result


class FusedHost(FakeHost):
    """A host whose node may die between any two steps of what it does."""

    fuse: Fuse | None = None

    def _step(self, action: Action, done: list[Any], deadline: float) -> None:
        if self.fuse is not None:
            self.fuse.burn()
        super()._step(action, done, deadline)


class Told(Events):
    """Events of which only the last word is kept, by key and path."""

    def __init__(self) -> None:
        super().__init__()
        self.lasting: set[tuple[str, str]] = set()

    def raise_(self, key: str, text: str, path: str = "", *, ended: bool = False, **details: Any) -> None:
        del text, details
        (self.lasting.discard if ended else self.lasting.add)((key, path))


class OwnClock(SystemClock):
    """The time of the world, with an error that is the node's own."""

    def __init__(self, world: Callable[[], float]) -> None:
        self._world = world
        self.error = 0.0

    def time(self) -> float:
        return self._world() + self.error

    def monotonic(self) -> float:
        return self._world()


class Turn:
    """The commit thread of a node, which has but one: whatever is to be done is done at once."""

    def wait(self, work: Callable[[], _T]) -> _T:
        return work()

    later = wait

    async def run(self, work: Callable[[], _T]) -> _T:
        return work()


class Impatient(threading.Event):
    """Says that the node stops to whoever would wait for the end of a trial; the world lets it try again."""

    def wait(self, timeout: float | None = None) -> bool:
        return timeout is not None


class Trials(Confirmations):
    """What is on trial; ``due`` is when it goes back, a moment of the world."""

    due: float | None = None

    def _arm(self, seconds: float) -> None:
        self.due = self._clock.monotonic() + seconds

    def _cancel(self) -> None:
        self.due = None


class Node:
    """A node; it lives from ``open`` to ``close`` or to its death, and its files and its machine outlive it."""

    def __init__(self, name: str, directory: Path, address: str, now: Callable[[], float]) -> None:
        self.name, self.directory, self.address = name, directory, address
        self.clock, self.fuse = OwnClock(now), Fuse(self)
        self.host = FusedHost()
        self.host.fuse = self.fuse
        self.version = __version__
        self.trial: int | None = None
        """For how many seconds its next commit is on trial; None: it is for good."""
        self.lives = 0
        self.alive = False
        self._content: tuple[int, str, str] = 0, "", ""

    def open(self) -> None:
        """Start, as a process does."""
        self.vault = Vault.at(self.directory / "data.key", create=not (self.directory / "data.key").exists())
        self.store = FusedStore(self.directory / "doorward.db", self.vault)
        turn: Any = Turn()
        machine, passwords = Machine("sandbox", self.address, 8443), CheapPasswords()
        if self.store.head() is None:
            first_revision(TREE, machine, self.store, self.vault, passwords, password=ADMIN_PASSWORD, admin=users.ADMIN)
        self.id = node_id(self.store)
        self.key = NodeKey.at(self.directory, self.id)
        self.alive, self.lives, self._content = True, self.lives + 1, (0, "", "")
        self.store.fuse = self.fuse
        secrets = SecretKeeping(TREE, self.store, self.vault, passwords)
        self.host.listeners.open_ones.clear()
        running = load_running(TREE, machine, self.store)
        self.pipeline = Pipeline(TREE, self.store, self.host, secrets, Probes(), running, clock=self.clock)
        self.confirmations = Trials(self.store, self.pipeline, turn.later)
        self.commits = CommitService(self.pipeline, turn, self.confirmations)
        self.pipeline.recover()
        self.confirmations.load()
        self.events = Told()
        self.cluster = Cluster(
            self.pipeline,
            turn,
            node_id=self.id,
            key=self.key,
            connector=Links(self.key, self.id, lambda: 7443, self.version),
            events=self.events,
            state=self.directory,
            clock=self.clock,
            version=self.version,
        )
        self.cluster.follower._stopping = self.cluster._following.stopping = Impatient()
        follow(self.cluster, self.pipeline).attach()

    def close(self) -> None:
        """End, or die: the files stay as they are."""
        if self.alive:
            self.alive = False
            self.fuse.steps = None
            self.store.fuse = None
            self.store.close()

    # What it is

    @property
    def cluster_role(self) -> ClusterRole:
        return cluster_role(self.pipeline.running.snapshot)

    @property
    def listens_at(self) -> str | None:
        """Its address in the cluster."""
        return interface.listen_address(self.pipeline.running.snapshot) if self.alive else None

    @property
    def content(self) -> str:
        """A digest of the settings that Central Management sets, whoever set them here."""
        return self._digests()[1]

    @property
    def whole(self) -> str:
        """A digest of all that goes back with a commit that is not confirmed."""
        return self._digests()[2]

    def _digests(self) -> tuple[int, str, str]:
        running = self.pipeline.running
        if self._content[0] != running.number:
            rows = travelling(TREE, running.snapshot)
            everything = [
                (place.path, position, place.key, document.stored.decode())
                for place, position, document in documents(running.snapshot)
                if not isinstance(TREE[place.path].node, WriteOnce)
            ]
            in_order = [(path, key, stored) for path, _, key, stored in sorted(everything)]
            content, whole = (hashlib.sha256(encode(found)).hexdigest() for found in (rows, in_order))
            self._content = running.number, content, whole
        return self._content

    def value(self, path: str) -> Any:
        return self.pipeline.running.snapshot.value(ROOT + path)

    def revision(self, number: int) -> str | None:
        """The hash of a revision of its own history."""
        found = self.store.revision(number)
        return found.hash if found else None

    def secrets_of_pairings(self) -> list[str]:
        """The keys of secrets that it keeps to pair with."""
        snapshot = self.pipeline.running.snapshot
        members = [document.value["psk"] for _, document in snapshot.objects(nodes.PATH).items()]
        return [record.id for record in self.store.records("cluster_psk")] + [
            psk for psk in [*members, self.cluster_role.psk] if psk
        ]

    # What an administrator does with it

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request below ``/api/cluster`` and commit it; what it answers. Raises ApiError, SemanticError or ApplyFailed."""
        shared = Shared(TREE, lambda: self.pipeline.running, self.cluster)
        request = _request(method, path, body)
        answer = _fast_response(getattr(_resource(shared, path), method.lower())(request))
        self.commit(request.member.candidate)
        return answer.content

    def write(self, path: str, value: Any) -> None:
        """Put a body of the configuration and commit. Raises SemanticError or ApplyFailed."""
        candidate = self.candidate()
        TREE.node(ROOT + path).replace(candidate, "", value, strict=True)
        self.commit(candidate)

    def candidate(self) -> Candidate:
        return Candidate.on(self.pipeline.running)

    def commit(self, candidate: Candidate | None) -> None:
        if candidate is not None:
            seconds, self.trial = self.trial, None
            order = Order("admin", "", confirm_seconds=seconds, everything=True, account=users.ADMIN)
            self.commits.commit_now(order, _permitted, lambda order: (candidate, order))

    def confirm(self) -> None:
        """Keep what is on trial. Raises NothingToConfirmError where nothing is."""
        _fast_response(self.commits.confirm(users.ADMIN, _permitted, lambda: True))

    def enable(self) -> None:
        """Open the cluster interface."""
        from doorward.configuration.network._addresses import addresses

        key, _ = addresses(self.pipeline.running.snapshot)[0]
        self.write("local_services/cluster", {"enabled": True, "listen_address": key})


REFUSALS = (ApiError, NothingToConfirmError, PendingConfirmationError, ConflictingChangesError, SemanticError, ApplyFailed)
"""What a request that is not granted raises."""


def _permitted() -> None:
    """Stand for the check whether an administrator may still commit."""


def _resource(shared: Shared, path: str) -> ClusterResource:
    if path == promote.PATH:
        return Promote(shared)
    if path == join_request.PATH:
        return OwnJoinRequest(shared)
    return Nodes(shared) if path == nodes.PATH else ClusterNode(shared, path.rpartition("/")[2])


def _request(method: str, path: str, body: Any = None) -> Request:
    """A request of an administrator."""
    login = login_of()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"" if body is None else msgspec.json.encode(body)}

    scope: dict[str, Any] = {"headers": [], "query_string": b"", "client": None}
    return Request(method, tuple(path.strip("/").split("/")), scope, receive, "id", login=login)


def _fast_response(work: Any) -> Any:
    """Carry out what is asynchronous only by its looks."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
