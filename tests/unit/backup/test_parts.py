"""What runs are made of on a real node."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from doorward.backup.names import archive_name
from doorward.backup.parts import NodeParts
from doorward.backup.records import Log, Run

if TYPE_CHECKING:
    from doorward.backup.records import Clock
    from doorward.store.sqlite import SqliteStore

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


def parts(store: SqliteStore, clock: Clock) -> NodeParts:
    unused = cast("Any", None)
    node = cast("Any", SimpleNamespace(pipeline=SimpleNamespace(store=store)))
    return NodeParts(node, unused, unused, clock)
