"""Power that fails under proposals, trials, restores, another data key, and nodes that join: old or new, nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.boundaries import SOURCES, Boundary, boundaries
from tests.proof.disk_log import read_log
from tests.proof.effort import SOAK, Outcome, chance, tries
from tests.proof.failing_records import DEEDS
from tests.proof.faults import FAULTS
from tests.proof.matrix import PLAN, RECORDS, is_noticed, planned, recorded
from tests.proof.observed import Observed, Told, observe
from tests.proof.power_records import FILE
from tests.proof.recording import Recording
from tests.proof.shim import Shim


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    directory = tmp_path_factory.mktemp("records")
    root = directory / "disk"
    root.mkdir()
    shim = Shim(directory, root, logs=True)
    command = recorded(directory, "tests.proof.power_records", str(root), str(shim.log))
    environment = {**os.environ, **shim.environment, "PYTHONPATH": f"{SOURCES}:{SOURCES.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=SOURCES.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    return Recording(root, read_log(shim.log))


def told(recording: Recording, at: int) -> dict[str, Told]:
    """What is known of each node before an entry."""
    found: dict[str, Told] = {}
    asked: set[str] = set()
    for number, said in recording.said:
        node = said.get("node", "")
        if number < at and "asked" in said:
            asked.add(node)
        elif number < at and node:
            found[node] = Told(Observed.of(said["known"]))
            asked.discard(node)
        elif node in asked and "known" in said:
            found[node].coming = Observed.of(said["known"])
            asked.discard(node)
    return found


def check(recording: Recording, at: int, disk: Path) -> None:
    for node, known in told(recording, at).items():
        known.check(observe(disk / node, after_a_cut=True))
    said = [mark["file"] for mark in recording.marks(at) if "file" in mark]
    file = disk / "host" / FILE.lstrip("/")
    found = file.read_text() if file.exists() else None
    assert found in ([None] if len(said) == 2 else ["there\n", None]), said


def test_what_was_recorded_of_nodes_outlives_a_loss_of_power(recording: Recording, tmp_path: Path) -> None:
    dice, count = chance("power records"), tries(short=20, long=500)
    for at, disk in recording.cuts(recording.places(count, dice), dice, tmp_path):
        try:
            check(recording, at, disk)
        except BaseException as wrong:
            wrong.add_note(f"cut before entry {at} of {len(recording.entries)}")
            raise
    Outcome("power cut: records of nodes", count, {"changes_recorded": len(recording.entries)}).keep()


def test_every_boundary_of_the_sources_is_planned() -> None:
    assert {one.name for one in boundaries()} == PLAN.keys()


@pytest.mark.parametrize("boundary", planned(RECORDS), ids=lambda boundary: boundary.name)
def test_no_boundary_of_records_can_be_left_out(recording: Recording, boundary: Boundary, tmp_path: Path) -> None:
    assert is_noticed(recording, boundary, check, tmp_path)


def test_what_a_failing_disk_does_not_take_has_not_happened(tmp_path: Path) -> None:
    """The last acceptance of a proposal, the restore of a system, another data key: with the disk failing from any change on."""
    shim = Shim(tmp_path, tmp_path / "disk")
    shim.root.mkdir()
    command = [sys.executable, "-m", "tests.proof.failing_records", str(shim.root), "1" if SOAK else "47"]
    environment = {**os.environ, **shim.environment, "PYTHONPATH": f"{SOURCES}:{SOURCES.parent}"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=SOURCES.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(outcomes) == len(DEEDS) * len(FAULTS)
    for outcome in outcomes:
        assert outcome["untouched done"] == 1, outcome  # it came to its end when the disk was whole for so long
        tried = sum(number for said, number in outcome.items() if isinstance(number, int))
        Outcome(f"disk: {outcome['deed']}, {outcome['fault']}", tried, {"refused": outcome.get("refused", 0)}).keep()
