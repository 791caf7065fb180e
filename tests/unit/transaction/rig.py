"""A node without network and daemons: the real tree, store and pipeline, and a host in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher

from doorward.access.passwords import LocalPasswords
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine
from doorward.host.ntp_probe import Prober, ProbeResult
from doorward.store.anchor import HistoryKey
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.candidate import Candidate
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.order import Order
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.privileged import Committer
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import first_revision, load_running, whole_tree
from doorward.tree.places import Place
from tests.support.fake_host import FakeHost

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.store.port import CommitRecord

TREE = whole_tree()
ROOT = "/api/configuration/"
SERVERS, ZONE = "datetime/ntp_servers", "datetime/timezone"
USERS, GROUPS = "aaa/local_database/users", "aaa/local_database/groups"
WEB, ACCOUNTING, PASSWORDS = "management/webinterface", "management/accounting", "passwords"
SOURCES = "/etc/chrony/sources.d/doorward.sources"
ADMIN = Committer("admin", everything=True)
ADMIN_PASSWORD = "a password for admin"
GOOD_PASSWORD = "correct horse battery"

_hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class CheapPasswords(LocalPasswords):
    """Real argon2id hashes that take no time, for tests that make many."""

    def hashed(self, text: str) -> str:
        return _hasher.hash(text)


class Probes(Prober):
    """Knows what it was told and asks nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, ProbeResult] = {}

    def begin(self, host: str, port: int = 123) -> None:
        return

    def found(self, host: str, port: int = 123) -> ProbeResult | None:
        return self.results.get(host)


def fast_response(work: Callable[[], None]) -> None:
    work()


class Rig:
    """``make`` replaces the store, for one that fails; ``host`` is handed on over a restart, as a machine is.

    Without ``password`` the node awaits its first settings.
    """

    def __init__(
        self,
        directory: Path,
        host: FakeHost | None = None,
        make: type[SqliteStore] = SqliteStore,
        password: str | None = ADMIN_PASSWORD,
    ) -> None:
        self.directory, self.tree, self.prober = directory, TREE, Probes()
        self.vault = Vault.at(directory / "data.key", create=True)
        self.store = make(directory / "doorward.db", self.vault, key=HistoryKey.at(directory))
        self.passwords = CheapPasswords()
        if self.store.head() is None:
            first_revision(TREE, Machine(), self.store, self.vault, self.passwords, password=password, admin=users.ADMIN)
        self.host = host or FakeHost()
        self.secrets = SecretKeeping(TREE, self.store, self.vault, self.passwords)
        running = load_running(TREE, Machine(), self.store)
        self.pipeline = Pipeline(TREE, self.store, self.host, self.secrets, self.prober, running)
        self.confirmations = Confirmations(self.store, self.pipeline, fast_response)

    def started(self) -> Rig:
        """Do what a start does before it serves."""
        self.pipeline.recover()
        self.confirmations.load()
        return self

    def restarted(self) -> Rig:
        """What a new process finds: the same files, the same machine."""
        self.close()
        return Rig(self.directory, self.host).started()

    def close(self) -> None:
        self.confirmations.close()
        self.store.close()

    def candidate(self) -> Candidate:
        return Candidate.on(self.pipeline.running)

    def put(self, candidate: Candidate, path: str, value: Any, key: str = "") -> None:
        TREE.node(ROOT + path).replace(candidate, key, value, strict=True)

    def post(self, candidate: Candidate, path: str, value: Any) -> str:
        """Append to a list, or make an object and return its key."""
        return TREE.node(ROOT + path).add(candidate, value, strict=True)[0]

    def delete(self, candidate: Candidate, path: str, key: str) -> None:
        TREE.node(ROOT + path).delete(candidate, key, TREE.node)

    def commit(self, candidate: Candidate, user: str = "admin", **order: Any) -> CommitRecord:
        members: dict[str, Any] = {"everything": user == "admin", "account": user} | order
        return self.pipeline.commit(candidate, Order(user, "192.0.2.9", **members))

    def committed(self, *puts: tuple[str, Any], **order: Any) -> CommitRecord:
        """Commit some bodies in a transaction of their own."""
        candidate = self.candidate()
        for path, value in puts:
            self.put(candidate, path, value)
        return self.commit(candidate, **order)

    def value(self, path: str, key: str = "") -> Any:
        """A running body as GET shows it; None where there is none."""
        return value_of(self.pipeline.running.snapshot.document(place(path, key)))

    @property
    def number(self) -> int:
        return self.pipeline.running.number

    def sources(self) -> bytes:
        """What the host's sources file holds."""
        entry = self.host.files.read(SOURCES)
        return b"" if entry is None else entry.content


def place(path: str, key: str = "") -> Place:
    return Place(ROOT + path, key)


def value_of(document: Any) -> Any:
    return None if document is None else document.shown_value


def ip(address: str) -> dict[str, str]:
    return {"selection": "ip", "value": address}
