"""One run: its phases, its attempts, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from doorward.backup import runs
from doorward.backup.failure import CODES, BackupError
from doorward.backup.records import Drill, Run
from doorward.backup.runs import RunStop, Work
from tests.unit.backup.fakes import NODE, Clock, FakeParts, MemoryTarget

POLICY = {"name": "nightly", "retention": {"enabled": False}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAUSES", (0.0, 0.0, 0.0))


class Rig:
    """A run that can be looked at: every state of it that was kept, and its drills."""

    def __init__(self, spool: Path, clock: Clock, trouble: Callable[[str], None] = lambda _part: None) -> None:
        self.spool, self.clock = spool, clock
        self.target = MemoryTarget(clock)
        self.parts = FakeParts(self.target, trouble)
        self.stop = RunStop(threading.Event())
        self.kept: list[Run] = []
        self.drills: list[Drill] = []

    def save(self, kept: Run | Drill) -> None:
        if isinstance(kept, Run):
            self.kept.append(kept)
        else:
            self.drills.append(kept)

    def run(self) -> Run:
        return Work(self.parts, POLICY, self.spool, self.stop, self.save, self.clock)(Run(policy="p"))


def failing(code: str, part: str, times: int = 1000) -> Callable[[str], None]:
    """Trouble: a part fails so often with a code."""
    left = [times]

    def trouble(used: str) -> None:
        if used == part and left[0]:
            left[0] -= 1
            raise BackupError(code, f"{part} did not work")

    return trouble


def test_a_run_goes_through_its_phases_and_leaves_nothing_behind(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "spool", clock)
    ended = rig.run()
    phases = [kept.status for kept in rig.kept]
    assert list(dict.fromkeys(phases)) == ["preparing", "uploading", "verifying"]
    assert (ended.status, ended.result, ended.code, ended.message) == ("finished", "succeeded", None, None)
    assert ended.revision == {"hash": "ab", "number": 3}
    name = ended.files[0]["name"]
    assert [call for call in rig.target.calls if call[0] == "put"] == [("put", name), ("put", f"{name}.manifest")]
    assert rig.parts.used == ["prepare", "connect", "drill", "clean_up"]
    assert [attempt["code"] for attempt in ended.attempts] == [None]
    assert ended.drill == rig.drills[0].id
    assert rig.drills[0].file == name
    assert rig.drills[0].finished
    assert not rig.spool.exists()


def test_what_may_pass_is_tried_again_with_the_same_archive(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "spool", clock, failing("connect", "connect", 3))
    ended = rig.run()
    assert ended.result == "succeeded"
    assert [attempt["code"] for attempt in ended.attempts] == ["connect", "connect", "connect", None]
    assert rig.parts.made == 1


def test_after_four_attempts_a_run_failed(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "spool", clock, failing("timeout", "connect"))
    ended = rig.run()
    assert (ended.result, ended.code, ended.message) == ("failed", "timeout", "connect did not work")
    assert len(ended.attempts) == 4
    assert not rig.spool.exists()


@pytest.mark.parametrize("part", ["prepare", "connect"])
@pytest.mark.parametrize("code", sorted(CODES - {"cancelled", "shutdown"}))
def test_every_code_is_tried_again_or_not_as_the_table_says(tmp_path: Path, clock: Clock, part: str, code: str) -> None:
    ended = Rig(tmp_path / "spool", clock, failing(code, part)).run()
    assert (ended.result, ended.code) == ("failed", code)
    transient = {
        "resolve", "connect", "timeout", "stalled", "connection_lost", "server_busy", "no_space", "quota", "verify_failed",
        "drill_failed", "no_local_space", "store_error",
    }  # fmt: skip
    assert len(ended.attempts) == (4 if code in transient else 1)


def test_a_pause_beyond_the_end_of_the_run_is_not_begun(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "PAUSES", (0.0, runs.RUN_SECONDS, 0.0))
    ended = Rig(tmp_path / "spool", clock, failing("connect", "connect")).run()
    assert (ended.result, ended.code, len(ended.attempts)) == ("failed", "connect", 2)


def test_a_file_that_reads_back_differently_fails_the_drill_and_the_next_attempt_takes_another_name(
    tmp_path: Path, clock: Clock
) -> None:
    rig = Rig(tmp_path / "spool", clock)
    flips = [True]

    def flip(part: str) -> None:
        if part == "drill" and flips.pop() if flips else False:
            name = next(iter(rig.target.content))
            rig.target.content[name] = b"flipped"

    rig.parts.trouble = flip
    ended = rig.run()
    assert [attempt["code"] for attempt in ended.attempts] == ["drill_failed", None]
    assert [drill.result for drill in rig.drills] == ["failed", "passed"]
    assert "withdraw" in rig.parts.used
    assert rig.parts.made == 2
    assert ended.files[0]["name"] == rig.drills[1].file != rig.drills[0].file
    assert ended.drill == rig.drills[1].id


def test_trouble_with_old_backups_is_a_warning_of_a_success(tmp_path: Path, clock: Clock) -> None:
    ended = Rig(tmp_path / "spool", clock, failing("permission_denied", "clean_up")).run()
    assert ended.result == "succeeded"
    assert ended.warnings == [{"code": "retention_failed", "message": "clean_up did not work"}]


def test_an_error_nobody_thought_of_ends_the_run_too(tmp_path: Path, clock: Clock) -> None:
    def trouble(part: str) -> None:
        if part == "connect":
            raise ZeroDivisionError

    ended = Rig(tmp_path / "spool", clock, trouble).run()
    assert (ended.result, ended.code) == ("failed", "store_error")
    assert "log" in (ended.message or "")


@pytest.mark.parametrize("code", ["cancelled", "shutdown"])
def test_a_run_is_broken_off_in_a_part_and_in_a_pause(
    tmp_path: Path, clock: Clock, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "PAUSES", (600.0, 600.0, 600.0))
    rig = Rig(tmp_path / "spool", clock)

    def trouble(part: str) -> None:
        if part == "connect":
            rig.stop.set(code)
            raise BackupError("cancelled", "it was broken off")

    rig.parts.trouble = trouble
    ended = rig.run()
    assert (ended.result, ended.code) == ("cancelled", code)
    waiting = Rig(tmp_path / "spool", clock, failing("connect", "connect"))
    threading.Timer(0.1, waiting.stop.set, [code]).start()
    ended = waiting.run()
    assert (ended.result, ended.code, len(ended.attempts)) == ("cancelled", code, 1)


def test_a_run_that_is_broken_off_before_it_connects_sends_nothing(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "spool", clock)
    rig.stop.set("cancelled")
    assert rig.run().result == "cancelled"
    assert rig.target.calls == []


@pytest.mark.parametrize("code", ["no_space", "permission_denied", "verify_failed"])
def test_what_was_written_goes_when_the_manifest_can_not_be(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    rig = Rig(tmp_path / "spool", clock)
    put = rig.target.put

    def full(name: str, content: Path) -> None:
        put(name, content)
        if name.endswith(".manifest"):
            if code != "verify_failed":
                del rig.target.content[name]
            raise BackupError(code, "There is no room for this.")

    monkeypatch.setattr(rig.target, "put", full)
    rig.target.content["of-somebody-else"] = b"stays"
    ended = rig.run()
    assert (ended.result, ended.code) == ("failed", code)
    assert rig.target.content == {"of-somebody-else": b"stays"}
    assert ended.warnings == []


def test_what_can_not_be_removed_is_told(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path / "spool", clock)
    put = rig.target.put

    def broken(name: str, content: Path) -> None:
        if name.endswith(".manifest"):
            raise BackupError("permission_denied", "Not this one.")
        put(name, content)

    def refused(_name: str) -> None:
        raise BackupError("permission_denied", "Nothing can be deleted here.")

    monkeypatch.setattr(rig.target, "put", broken)
    monkeypatch.setattr(rig.target, "delete", refused)
    ended = rig.run()
    assert [warning["code"] for warning in ended.warnings] == ["partial_backup_left"]
    assert ended.files[0]["name"] in ended.warnings[0]["message"]


def test_an_archive_of_somebody_else_under_the_name_stays(tmp_path: Path, clock: Clock) -> None:
    rig = Rig(tmp_path / "spool", clock)
    name = f"doorward-20261121T120001Z-{NODE[:8]}.config"
    rig.target.content[name] = b"of somebody else"
    assert rig.run().code == "name_exists"
    assert rig.target.content == {name: b"of somebody else"}
