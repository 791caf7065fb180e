"""What a node forgets by itself."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import msgspec.structs
import pytest

from doorward.appliance.areas import Areas
from doorward.appliance.housekeeping import Transactions
from doorward.backup.temporary_files import TemporaryFiles
from doorward.transaction.queue import CommitQueue
from doorward.tree.times import SystemClock
from tests.support.server import until
from tests.unit.transaction.rig import WEB, Rig

HOUR, YEAR = 3600.0, 31_557_600.0


def test_archives_that_nobody_asks_for_go_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Rig(tmp_path).started()) as rig, contextlib.closing(CommitQueue()) as queue:
        files = TemporaryFiles(tmp_path / "shelf", rig.store, "backup_upload")
        with files.room() as (name, path):
            path.write_bytes(b"every secret")
            files.keep(name)
        now = time.time()
        monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now + 25 * 3600)
        monkeypatch.setattr("doorward.appliance.housekeeping._EVERY_SECONDS", 0.01)

        transactions = Transactions(rig.pipeline, queue, rig.confirmations)
        areas = Areas(rig.pipeline, [transactions, files])
        areas.start(early=False)
        until(lambda: not path.exists())
        areas.stop(early=False)


def test_metrics_tell_of_a_commit_on_trial_and_of_one_that_can_not_be_taken_back(tmp_path: Path) -> None:
    with contextlib.closing(Rig(tmp_path).started()) as rig, contextlib.closing(CommitQueue()) as queue:
        transactions = Transactions(rig.pipeline, queue, rig.confirmations)

        def told() -> list[float]:
            return [figure.value for figure in transactions.metrics()]

        assert told() == [0, 0]
        rig.committed((WEB, {"timeout": 20}), confirm_seconds=600)
        rig.confirmations.load()
        assert told() == [1, 0]
        assert rig.confirmations.pending is not None
        rig.confirmations.pending = msgspec.structs.replace(rig.confirmations.pending, failure="half done")
        assert told() == [1, 1]
        rig.confirmations.confirm(rig.confirmations.pending)
        assert told() == [0, 0]


class SteppedClock(SystemClock):
    """A clock that somebody sets, beside time that goes by."""

    step = passed = 0.0

    def time(self) -> float:
        return super().time() + self.step + self.passed

    def monotonic(self) -> float:
        return super().monotonic() + self.passed


def test_keys_of_commits_are_kept_for_a_day_whatever_the_clock_says(tmp_path: Path) -> None:
    with contextlib.closing(Rig(tmp_path).started()) as rig, contextlib.closing(CommitQueue()) as queue:
        clock = rig.pipeline.clock = SteppedClock()
        transactions = Transactions(rig.pipeline, queue, rig.confirmations)
        rig.committed((WEB, {"timeout": 20}), idempotency_key="once", account="-1")
        for clock.step in (5 * YEAR, -5 * YEAR, 25 * HOUR):
            transactions.tidy()
            assert rig.store.commit_record("once", "-1") is not None
        clock.step, clock.passed = 0.0, 25 * HOUR
        transactions.tidy()
        assert rig.store.commit_record("once", "-1") is None
