"""The figures for Prometheus, as its own parser reads them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from doorward import __version__
from doorward.api.metrics import Metrics
from doorward.backup.service import Backups
from doorward.proxy.control.figures import Figures, WorkerFigures
from doorward.transaction.subscribers import CommitSubscribers
from tests.support.accounts import logins


def test_every_figure() -> None:
    pipeline: Any = SimpleNamespace(subscribers=CommitSubscribers(), running=SimpleNamespace(number=7), unknown="half applied")
    health: Any = SimpleNamespace(
        warnings=lambda: ["one", "two"], issues=lambda: {"errors": ["one"], "warnings": ["two", "three"]}
    )
    fresh: Any = SimpleNamespace(
        success=SimpleNamespace(ended_at=1.5), failure=SimpleNamespace(ended_at=2.5), drill=None, overdue=True
    )
    backups: Any = SimpleNamespace(freshness=lambda: fresh)
    figures = Figures(
        sessions=3, before_login=1, channels=5, down=700, up=70, workers={"w1": WorkerFigures(3, 1 << 20, 12)},
        refused={"disk": 2}, events={"session_started": 4},
    )  # fmt: skip
    metrics = Metrics(pipeline, logins(), health, lambda: Backups.metrics(backups), lambda: figures)
    metrics.count("GET", 200)
    metrics.count("PUT", 400)
    metrics.count("PUT", 400)
    for told in pipeline.subscribers.published:
        told(None, None, ())
    answer = asyncio.run(metrics.get(None))  # type: ignore[arg-type]  # the request says nothing
    assert isinstance(answer.content, bytes)
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }
    assert found.pop(("doorward_commits_created",)) > 1e9
    assert found.pop(("process_resident_memory_bytes",)) > 1e6
    assert found == {
        ("doorward_http_answers_total", "GET", "200"): 1,
        ("doorward_http_answers_total", "PUT", "400"): 2,
        ("doorward_commits_total",): 1,
        ("doorward_running_revision",): 7,
        ("doorward_login_sessions",): 0,
        ("doorward_host_state_unknown",): 1,
        ("doorward_host_warnings",): 2,
        ("doorward_backup_last_success_timestamp_seconds",): 1.5,
        ("doorward_build_info", __version__): 1,
        ("doorward_health_issues", "error"): 1,
        ("doorward_health_issues", "warning"): 2,
        ("doorward_backup_last_failure_timestamp_seconds",): 2.5,
        ("doorward_backup_last_drill_timestamp_seconds",): 0,
        ("doorward_backup_overdue",): 1,
        ("doorward_sessions", "ssh"): 3,
        ("doorward_sessions_before_login",): 1,
        ("doorward_session_channels",): 5,
        ("doorward_session_bytes", "down"): 700,
        ("doorward_session_bytes", "up"): 70,
        ("doorward_sessions_refused_total", "disk"): 2,
        ("doorward_session_events_total", "session_started"): 4,
        ("doorward_worker_sessions", "w1"): 3,
        ("doorward_worker_memory_bytes", "w1"): 1 << 20,
        ("doorward_worker_recorder_lag_seconds", "w1"): 0.012,
    }
