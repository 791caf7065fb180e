"""Power that fails under sessions: whatever of the unsynced writes and names is on the disk, all that was promised is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from doorward.proxy.messages import Ended
from doorward.proxy.worker.crashed import recover_all
from doorward.proxy.worker.outbox import SUFFIX as END
from doorward.proxy.worker.outbox import read_end
from doorward.recording.journal import SUFFIX
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from tests.proof.boundaries import Boundary
from tests.proof.disk_log import read_log
from tests.proof.effort import Outcome, chance, tries
from tests.proof.matrix import SESSIONS, is_noticed, planned, recorded
from tests.proof.recording import Recording
from tests.proof.shim import Shim


@dataclass
class Told:
    """What was promised of sessions."""

    began: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    sealed: set[str] = field(default_factory=set)
    told: set[str] = field(default_factory=set)
    """Whose end lies beside the trail, for control."""
    said: dict[str, int] = field(default_factory=dict)

    def take(self, mark: dict[str, Any]) -> None:
        for what in ("began", "opened", "ended", "sealed", "told"):
            if what in mark:
                getattr(self, what).add(mark[what])
        self.said.update(mark.get("said", {}))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    directory = tmp_path_factory.mktemp("recorded")
    root = directory / "disk"
    root.mkdir()
    shim = Shim(directory, root, logs=True)
    command = recorded(directory, "tests.proof.power_sessions", str(root / "state"), str(shim.log))
    subprocess.run(command, check=True, env={**shim.environment, "PYTHONPATH": ":".join(sys.path)}, cwd=Path(__file__).parents[2])
    return Recording(root, read_log(shim.log))


def check_sessions(state: Path, told: Told, where: str) -> None:
    rows = {}
    if (state / "sessions.db").exists():
        with closing(sqlite3.connect(state / "sessions.db")) as catalogue:
            found = catalogue.execute("SELECT name FROM sqlite_master WHERE name = 'sessions'").fetchall()
            rows = dict(catalogue.execute("SELECT key, ended FROM sessions")) if found else {}
    assert told.began <= rows.keys(), where
    assert not [key for key in told.ended if rows[key] is None], where
    trails = state / "trails"
    if trails.is_dir():
        recover_all(trails)
    for key in told.opened:
        path = trails / f"{key}{SUFFIX}"
        assert path.exists(), f"{where}: {key}"
        reader = TrailReader(path.read_bytes())
        verdict = reader.verify()
        assert (verdict.damage, verdict.cut) == (None, 0), f"{where}: {key}"
        assert verdict.ended or key not in told.ended, f"{where}: {key}"
        lines = [record.data for record in reader.records() if record.kind is RecordKind.OUTPUT]
        assert lines == [b"%d\n" % (number + 1) for number in range(len(lines))], f"{where}: {key}"
        assert len(lines) >= told.said.get(key, 0), f"{where}: {key}"
        assert key not in told.sealed or b"the last one" in path.read_bytes(), f"{where}: {key}"
    for key in told.told:
        assert any(isinstance(message, Ended) for message in read_end(trails / f"{key}{END}")), f"{where}: {key}"


def check(recording: Recording, at: int, disk: Path) -> None:
    told = Told()
    for said in recording.marks(at):
        told.take(said)
    check_sessions(disk / "state", told, f"cut before entry {at} of {len(recording.entries)}")


def test_what_was_recorded_outlives_a_loss_of_power(recording: Recording, tmp_path: Path) -> None:
    dice, count = chance("power sessions"), tries(short=20, long=500)
    for at, disk in recording.cuts(recording.places(count, dice), dice, tmp_path):
        check(recording, at, disk)
    Outcome("power cut: sessions and trails", count, {"changes_recorded": len(recording.entries)}).keep()


@pytest.mark.parametrize("boundary", planned(SESSIONS), ids=lambda boundary: boundary.name)
def test_no_boundary_of_sessions_can_be_left_out(recording: Recording, boundary: Boundary, tmp_path: Path) -> None:
    assert is_noticed(recording, boundary, check, tmp_path)
