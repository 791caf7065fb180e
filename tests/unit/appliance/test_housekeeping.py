"""What a node forgets by itself."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path

import pytest

from doorward.appliance.areas import Areas
from doorward.appliance.housekeeping import Transactions
from doorward.backup.temporary_files import TemporaryFiles
from doorward.transaction.queue import CommitQueue
from tests.support.server import until
from tests.unit.transaction.rig import WEB, Rig


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
        rig.confirmations.pending = dataclasses.replace(rig.confirmations.pending, failure="half done")
        assert told() == [1, 1]
        rig.confirmations.confirm(rig.confirmations.pending)
        assert told() == [0, 0]
