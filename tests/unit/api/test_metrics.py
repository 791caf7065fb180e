"""The figures for Prometheus, as its own parser reads them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from doorward.api.metrics import Metrics
from doorward.backup.service import Backups
from tests.support.accounts import logins


def test_every_figure() -> None:
    pipeline: Any = SimpleNamespace(published=[], running=SimpleNamespace(number=7), unknown="half applied")
    health: Any = SimpleNamespace(warnings=lambda: ["one", "two"])
    fresh: Any = SimpleNamespace(success=SimpleNamespace(ended_at=1.5), drill=None, overdue=True)
    backups: Any = SimpleNamespace(freshness=lambda: fresh)
    metrics = Metrics(pipeline, logins(), health, lambda: Backups.metrics(backups))
    metrics.count("GET", 200)
    metrics.count("PUT", 400)
    metrics.count("PUT", 400)
    for told in pipeline.published:
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
        ("doorward_backup_last_drill_timestamp_seconds",): 0,
        ("doorward_backup_overdue",): 1,
    }
