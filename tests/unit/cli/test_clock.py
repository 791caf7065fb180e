"""`doorward time`, against answers made by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from doorward.cli import session
from doorward.cli.commands import clock
from doorward.cli.main import app
from tests.support.runner import CliRunner


def status(state: str) -> dict[str, Any]:
    source = {"server": "192.0.2.1", "state": state, "reachability": 1, "offset": 0.0, "stratum": 2}
    return {
        "clock": {"time": "2026-11-29T10:00:00Z", "synchronised": state == "selected"},
        "daemon": {"name": "chronyd", "running": True},
        "sources": [source],
        "timezone": {"name": "Etc/UTC"},
    }


@pytest.mark.parametrize(("states", "is_told"), [(["selected"], False), (["unusable", "unusable", "selected"], True)])
def test_whoever_has_to_wait_is_told_once(monkeypatch: pytest.MonkeyPatch, states: list[str], is_told: bool) -> None:
    answers = iter(map(status, states))

    @contextmanager
    def connected(*_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(client=SimpleNamespace(body=lambda _path: next(answers)))

    monkeypatch.setattr(session, "connected", connected)
    monkeypatch.setattr(clock, "_LOOK_SECONDS", 0)
    done = CliRunner().invoke(app, ["time", "--wait", "--json"])
    assert done.exit_code == 0
    assert done.stderr.count("Waiting until the clock has a source to follow") == is_told
    assert "Waiting" not in done.stdout
