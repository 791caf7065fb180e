"""A node that archives: real tree, store, catalogue and trails; the bucket is in memory, and fails as a test wants."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import IO, TYPE_CHECKING, Any, Self

from doorward.archiving import archiver, fetching
from doorward.archiving.archiver import Archiver
from doorward.backup.failure import BackupError
from doorward.backup.node import NodeView
from doorward.backup.signing import NodeSigningKeys
from doorward.backup.targets.s3_objects import ObjectStatus
from doorward.cluster.keys import NodeKey
from doorward.configuration.policies.archive_cleanup_policies import ArchivePolicy
from doorward.host.machine import Machine
from doorward.sessions.catalogue.rows import ACCEPT, SessionEnd, SessionRow, TrailArchive
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from doorward.sessions.trails import Trails
from doorward.transaction.startup import node_id
from tests.support.recorded import BEGAN, key_of, put_trail, row, tell
from tests.unit.backup.fakes import Clock
from tests.unit.configuration.policies.checks import ARCHIVES, password
from tests.unit.configuration.policies.samples import ARCHIVE, S3
from tests.unit.configuration.ssh.checks import CONNECTIONS, add, connection
from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DAY = 86_400_000
SECRET = "the secret of the bucket"
LABEL = "s3://s3.example.com:9000/doorward-backups"
PLACE = "doorward/node1/trails/SSH/linux/2026-11-29"


class ConnectionLostError(Exception):
    """Stands for the end of the process."""


@dataclass
class MemoryBucket:
    """What a bucket holds, and how it behaves. ``failing``: codes by what is asked; ``dying``: where the process ends."""

    objects: dict[str, bytes] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    dying: str = ""
    opened: list[str] = field(default_factory=list)
    """Prefixes that somebody connected with."""
    root: str = "doorward/node1/"
    records: dict[str, bytes] = field(default_factory=dict)
    """What lies beside recordings."""
    page_size: int = 3

    def connect(self, _node: NodeView, policy: ArchivePolicy, _size: int, _stop: Any) -> Self:
        self.meet("connect")
        self.opened.append(policy.name)
        return self

    def meet(self, what: str) -> None:
        if self.dying == what:
            self.dying = ""
            raise ConnectionLostError(what)
        if what in self.failing:
            raise BackupError(self.failing[what], f"{what} fails.")

    def send(self, archive: TrailArchive, content: IO[bytes]) -> str:
        self.meet("send")
        content.seek(0)
        if self.objects.setdefault(archive.path, content.read()) and self._digest(archive) != archive.sha256:
            raise BackupError("name_exists", "there is another file of that name")
        self.meet("sent")
        return f"tag {self._digest(archive)}"

    def keep(self, path: str, content: bytes) -> None:
        self.meet("keep")
        assert self.records.setdefault(path, content) == content
        self.meet("kept")

    def page(self, below: str, after: str) -> list[tuple[str, int]]:
        self.meet("page")
        names = sorted(name for name in self.records if name.startswith(below) and name > below + after)
        return [(name.removeprefix(below), len(self.records[name])) for name in names[: self.page_size]]

    def read(self, path: str, into: Path, most: int) -> None:
        self.meet("read")
        if path not in self.records or len(self.records[path]) > most:
            raise BackupError("no_such_path", "there is none")
        into.write_bytes(self.records[path])

    def status(self, archive: TrailArchive) -> ObjectStatus | None:
        self.meet("status")
        if archive.path not in self.objects:
            return None
        return ObjectStatus(len(self.objects[archive.path]), "", 0.0, f"tag {self._digest(archive)}")

    def fetch(self, archive: TrailArchive, into: Path) -> None:
        self.meet("fetch")
        if archive.path not in self.objects:
            raise BackupError("no_such_path", "there is none")
        into.touch(mode=0o600, exist_ok=False)
        into.write_bytes(self.objects[archive.path])

    def _digest(self, archive: TrailArchive) -> str:
        return hashlib.sha256(self.objects[archive.path]).hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


@dataclass
class Told:
    """What was said to others."""

    alerts: list[tuple[str, str]] = field(default_factory=list)
    """Code and path of each ``archive_failed``."""
    mails: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def notifications(self) -> Any:
        def raise_(key: str, _text: str, path: str, **details: Any) -> None:
            assert key == "archive_failed"
            self.alerts.append((details["code"], path))

        return SimpleNamespace(
            events=SimpleNamespace(raise_=raise_), mails=SimpleNamespace(post=lambda *mail: self.mails.append(mail))
        )


class ArchivingSite:
    """A node with one connection policy, whose recordings are archived."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch | None = None, place: dict[str, Any] | None = None,
        secret: str = SECRET, authority: str = "", **policy: Any,
    ) -> None:  # fmt: skip
        """``monkeypatch`` puts the bucket in memory in the place of a real one, which ``place`` and the others tell of."""
        self.directory, self.rig = directory, Rig(directory).started()
        self.clock, self.bucket, self.told = Clock(), MemoryBucket(), Told()
        self.clock.now = self.clock.now.replace(day=29, hour=12)
        if monkeypatch is not None:
            monkeypatch.setattr(archiver, "open_bucket", self.bucket.connect)
            monkeypatch.setattr(fetching, "open_bucket", self.bucket.connect)
        self.node = node_id(self.rig.store)
        self.trails = Trails(directory / "trails")
        self.trails.directory.mkdir()
        candidate = self.rig.candidate()
        target = {**S3, "object_lock": {"enabled": False}, **(place or {})}
        target["secret_access_key"] = password(self.rig, candidate, secret)
        if authority:
            target["server_certificate_ca"] = self.rig.post(candidate, "x509", {"certificate": authority, "private_key": None})
        body = {**ARCHIVE, "notification_event": {"type": "errors-only"}, "target": target, **policy}
        self.policy = self.rig.post(candidate, ARCHIVES, body)
        self.connection = add(self.rig, candidate, at={"policies/archive_cleanup_policy": self.policy})
        self.rig.commit(candidate)
        self.catalogue = SqliteCatalogue(directory / "sessions.db", key=b"k" * 32)
        self.key = NodeKey.at(directory, self.node)
        self.archiver = self.begun()

    def begun(self) -> Archiver:
        """What a new process has."""
        return Archiver(self.view, self.catalogue, self.trails, self.told.notifications, self.clock, sign=self.key.sign)

    @property
    def view(self) -> NodeView:
        """What archiving sees of the node."""
        return NodeView(self.rig.pipeline, self.directory, self.node, Machine(), NodeSigningKeys(self.directory, self.rig.store))

    def recommit(self, **policy: Any) -> None:
        """Commit other members of the archive policy."""
        candidate = self.rig.candidate()
        self.rig.put(candidate, ARCHIVES, {**self.rig.value(ARCHIVES, self.policy), **policy}, self.policy)
        self.rig.commit(candidate)

    def unarchived(self) -> None:
        """Commit that recordings go nowhere."""
        candidate = self.rig.candidate()
        self.rig.put(candidate, CONNECTIONS, connection(at={"policies/archive_cleanup_policy": None}), self.connection)
        self.rig.commit(candidate)

    def put(self, number: int, content: bytes = b"a trail", *, ends: bool = True, **changes: Any) -> SessionRow:
        """A session of the morning, with a trail."""
        made: dict[str, Any] = {
            "began": BEGAN + number * 1000, "node": self.node, "policy_key": self.connection,
            "trail": put_trail(self.trails.directory, key_of(number), content), **changes,
        }  # fmt: skip
        end = SessionEnd(at=57_000, verdict=ACCEPT, reason="", trail_bytes=len(content)) if ends else None
        tell(self.catalogue, row(number, **made), end=end)
        return self.row(number)

    def end(self, number: int, size: int, *, recovered: bool = False) -> None:
        """Tell that a session has ended."""
        end = SessionEnd(at=57_000, verdict=ACCEPT, reason="", trail_bytes=size)
        asyncio.run((self.catalogue.recovered if recovered else self.catalogue.end)(key_of(number), end))

    def row(self, number: int) -> SessionRow:
        found = self.catalogue.session(key_of(number))
        assert found is not None
        return found

    def turn(self) -> float | None:
        """Do what the worker does at once; return after how many seconds it would go on."""
        while (pause := self.archiver._turn()) == 0:
            pass
        return pause

    @property
    def here(self) -> list[int]:
        """The sessions whose trails are on the node."""
        return sorted(int(path.stem[1:]) for path in self.trails.directory.iterdir())

    def retry(self) -> None:
        """Let the pause after a failure pass."""
        for trouble in (*self.archiver._policies.values(), *self.archiver._trails.values()):
            trouble.again = 0.0

    def close(self) -> None:
        self.archiver.stop()
        self.catalogue.close()
        self.rig.close()
