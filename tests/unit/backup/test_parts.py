"""What runs are made of on a real node."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from doorward.backup.archive import prepare
from doorward.backup.failure import BackupError
from doorward.backup.files import StoredArchives
from doorward.backup.names import archive_name
from doorward.backup.parts import NodeParts
from doorward.backup.records import Log, Run
from tests.unit.backup.fakes import MemoryTarget
from tests.unit.configuration.policies.samples import BACKUP_NFS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.store.sqlite import SqliteStore
    from tests.unit.backup.fakes import Clock
    from tests.unit.backup.parts import Site

NOW = datetime(2026, 11, 21, 23, 0, 2, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "stamps"),
    [
        ([0, 0.1, 0.6, 1.1, 1.6], [2, 3, 4]),
        ([0, 5.0], [2, 7]),
        ([0, -3600.0, -3599.9, 0.2, 0.7], [2, -3598, 3]),
    ],
)
def test_no_two_archives_have_the_same_second(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, times: list[float], stamps: list[int]
) -> None:
    clock = iter(NOW + timedelta(seconds=seconds) for seconds in times)
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    made = parts(store, lambda: next(clock))
    minute = NOW.replace(second=0, microsecond=0)
    assert [made._moment() for _ in stamps] == [minute + timedelta(seconds=stamp) for stamp in stamps]
    assert len(waited) == len(times) - len(stamps)
    assert all(0 < seconds <= 1 for seconds in waited)


def test_the_second_of_an_archive_counts_after_a_restart_too(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    Log(store, Run).save(Run(files=[{"name": archive_name(NOW, "fb821932", encrypted=True), "sha256": "", "size": 1}]))
    Log(store, Run).save(Run())
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    clock = iter([NOW, NOW + timedelta(seconds=0.6)])
    assert parts(store, lambda: next(clock))._moment() == NOW.replace(second=3, microsecond=0)


class Orphanage:
    """A node, a target in memory, and the runs that the node knows."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site, self.target = site, MemoryTarget(clock)
        self.parts = NodeParts(site.node, StoredArchives(site.node), cast("Any", None), clock)
        self.clock = clock

    def archive(self, hours: int, *, known: bool = True, manifest: bool = False) -> str:
        """Put an archive on the target, made so many hours ago, perhaps by a run that is kept."""
        made = self.clock() - timedelta(hours=hours)
        with fresh_spool(self.site) as spool:
            prepared = prepare(self.site.node, spool, made)
            self.target.content[prepared.name] = prepared.archive.read_bytes()
            if manifest:
                self.target.content[f"{prepared.name}.manifest"] = prepared.manifest.read_bytes()
        if known:
            file = {"name": prepared.name, "sha256": prepared.sha256, "size": prepared.size}
            Log(self.site.rig.store, Run).save(Run(files=[file]))
        return prepared.name

    def cleaned(self) -> set[str]:
        """Clean up; what is left."""
        policy = {"target": BACKUP_NFS["target"], "retention": {"enabled": False}}
        self.parts.clean_up(self.target, policy, self.site.spool)
        return set(self.target.content)


@contextmanager
def fresh_spool(site: Site) -> Iterator[Path]:
    spool = site.directory / f"spool-{uuid.uuid4()}"
    spool.mkdir()
    yield spool


def test_archives_without_manifest_go_that_are_provably_ours(site: Site, clock: Clock) -> None:
    rig = Orphanage(site, clock)
    rig.archive(30)
    kept = {
        rig.archive(23),  # an upload may still be at work
        rig.archive(40, known=False),
        (changed := rig.archive(50)),
        (paired := rig.archive(60, manifest=True)),
        f"{paired}.manifest",
    }
    rig.target.content[changed] = rig.target.content[changed][:-1] + b"x"
    stranger = archive_name(clock() - timedelta(hours=70), "11111111-4028", encrypted=False)
    rig.target.content |= {stranger: b"x", "notes.txt": b"x"}
    assert rig.cleaned() == kept | {stranger, "notes.txt"}


def test_manifests_without_archive_go_that_are_provably_ours(site: Site, new_site: Any, clock: Clock) -> None:
    rig = Orphanage(site, clock)
    del rig.target.content[rig.archive(30, manifest=True)]
    young = rig.archive(20, manifest=True)
    del rig.target.content[young]
    moved = archive_name(clock() - timedelta(hours=90), site.node.id, encrypted=False)
    rig.target.content[f"{moved}.manifest"] = rig.target.content[f"{young}.manifest"]
    forged = archive_name(clock() - timedelta(hours=91), site.node.id, encrypted=False)
    rig.target.content[f"{forged}.manifest"] = b"{}"
    assert rig.cleaned() == {f"{young}.manifest", f"{moved}.manifest", f"{forged}.manifest"}


def test_what_looks_like_an_orphan_is_not_read_beyond_what_was_written(site: Site, clock: Clock) -> None:
    rig = Orphanage(site, clock)
    name = rig.archive(30)
    size = len(rig.target.content[name])
    listed = rig.target.names()
    rig.target.content[name] += b"x" * size
    rig.target.names = lambda: listed  # type: ignore[method-assign]
    with pytest.raises(BackupError) as caught:
        rig.cleaned()
    assert caught.value.code == "verify_failed"


def parts(store: SqliteStore, clock: Any) -> NodeParts:
    unused = cast("Any", None)
    node = cast("Any", SimpleNamespace(pipeline=SimpleNamespace(store=store)))
    return NodeParts(node, unused, unused, clock)
