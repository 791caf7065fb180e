"""The quick tour of the README is true: pasted into a shell it does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import Server

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture
def answers(tmp_path: Path) -> list[Any]:
    """What each request of the tour answered."""
    section = README.read_text().partition("## Quick tour")[2].partition("\n## ")[0]
    [script] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    state = tmp_path / ".local" / "state" / "doorward"
    server = Server(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}).start()
    try:
        script = script.replace("https://127.0.0.1:8443", server.url)
        done = subprocess.run(
            ["bash", "-eu", "-c", script],
            env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_tour_is_true(answers: list[Any]) -> None:
    login, read, added, changes, plan, commit, status, faulty, revisions, changed, restore, back, logout = answers
    assert login["meta"]["remaining_seconds"] == 600
    assert read["body"] == [{"selection": "fqdn", "value": "pool.ntp.org"}]
    wanted = {"selection": "ip", "value": "192.0.2.123"}
    assert added["body"] == [*read["body"], wanted]
    assert [change["path"] for change in changes["changes"]] == ["/api/configuration/datetime/ntp_servers"]
    assert [action["action"] for action in plan["body"]["actions"]] == ["write sources", "reload chronyd"]
    assert commit["meta"]["revision"] == 2
    assert any(source["value"] == "192.0.2.123" for source in status["body"]["sources"])
    assert faulty["error"]["type"] == "InvalidRequestBody"
    assert [error["pointer"] for error in faulty["error"]["details"]["errors"]] == ["/0/selection", "/1/value"]
    assert [item["key"] for item in revisions["items"]] == ["2", "1"]
    assert changed["changes"] == changes["changes"]
    assert restore["body"]["status"] == "open"
    assert back["meta"]["revision"] == 3
    assert logout == {"meta": {"href": "/api/authentication", "parent": "/api"}}
