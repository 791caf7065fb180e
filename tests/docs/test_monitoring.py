"""What Operations and the page of metrics say of monitoring is so, and each alert is tested and explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

from scripts.dashboard.model import encoded
from scripts.dashboard.panels import DOCUMENT, dashboard
from tests.docs.guide import pasted
from tests.support.server import Server, running

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
SHOWN_ELSEWHERE = ("backup.", "revision.")
"""Members of these objects are those of the API."""
TYPES: dict[type, str] = {bool: "boolean", dict: "object", int: "number", list: "list", str: "string", type(None): "null"}


def section(title: str) -> str:
    return (ROOT / "docs" / "operations.md").read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def members(value: dict[str, Any], above: str = "") -> dict[str, str]:
    """Return the type of each member of a JSON object, and of those within, named with dots in between."""
    found = {}
    for name, inner in value.items():
        found[above + name] = TYPES[type(inner)]
        if isinstance(inner, dict):
            found |= members(inner, f"{above}{name}.")
    return found


def test_the_dashboard_is_what_the_script_makes() -> None:
    assert DOCUMENT.read_bytes() == encoded(dashboard()), "run: python -m scripts.dashboard"


def test_each_alert_is_tested_and_explained() -> None:
    groups = yaml.safe_load((MONITORING / "doorward.rules.yml").read_text("utf-8"))["groups"]
    alerts = {rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"]}
    tested = [
        test["alertname"]
        for path in MONITORING.glob("*.test.yml")
        for case in yaml.safe_load(path.read_text("utf-8"))["tests"]
        for test in case["alert_rule_test"]
        if test["exp_alerts"]
    ]
    assert sorted(tested) == sorted(alerts)
    explained = re.findall(r"^\| `(Doorward\w+)` \| (\w+) \|", (ROOT / "docs" / "metrics.md").read_text("utf-8"), re.MULTILINE)
    assert dict(explained) == alerts
    assert len(explained) == len(alerts)


def test_what_to_do_about_alerts_are_commands_that_there_are() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    commands = set(re.findall(r"`(doorward [a-z -]+)`", (ROOT / "docs" / "metrics.md").read_text("utf-8")))
    assert len(commands) > 4
    assert [command for command in sorted(commands) if f"\n{command}" not in operations] == []


def test_the_section_on_monitoring_is_true(tmp_path: Path) -> None:
    scrape, others = re.findall(r"```sh\n(.*?)```", section("Monitoring"), re.DOTALL)
    [configuration] = re.findall(r"```yaml\n(.*?)```", section("Monitoring"), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(configuration)
    (tmp_path / "monitoring").symlink_to(MONITORING)
    state = tmp_path / ".local" / "state" / "doorward"
    with running(state, environment={"HOME": str(tmp_path), "DOORWARD_ADMIN_PASSWORD": ""}) as server:
        done = pasted(scrape, tmp_path, DOORWARD_URL=server.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("SUCCESS") == 5, done.stdout
        assert (tmp_path / "doorward.token").stat().st_mode & 0o777 == 0o600
        _status(server, tmp_path, others)


def _status(server: Server, home: Path, commands: str) -> None:
    """Look at the status with everything in it: on a Central Management, with a commit on trial."""
    prepared = """
        doorward cluster promote --yes --listen 127.0.0.1
        doorward set --yes --confirm 10m management/webinterface.timeout 20
    """
    done = pasted(prepared + commands, home, DOORWARD_URL=server.url)
    shown = json.loads((home / "status.json").read_text())
    assert done.returncode == (1 if shown["health"]["errors"] else 0), done.stderr
    documented = dict(re.findall(r"^\| `([\w.]+)` \| ([a-z ]+) \|", section("doorward status"), re.MULTILINE))
    there = {name: kind for name, kind in members(shown).items() if not name.startswith(SHOWN_ELSEWHERE)}
    assert set(documented) == set(there)
    assert {name: kind for name, kind in there.items() if kind not in documented[name].split(" or ")} == {}
    assert [name for name, kind in there.items() if kind == "null"] == ["node.nickname"]
