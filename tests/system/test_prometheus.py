"""Prometheus reads the figures with a token, knows all that rules and dashboard ask for, and the documents name all of them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from doorward.api.exposition import of_sessions, text
from doorward.proxy.control.figures import Figures, WorkerFigures
from scripts.dashboard.panels import ROWS
from tests.support.ports import free_port
from tests.support.server import Server, running, until
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
RULES = ROOT / "monitoring" / "doorward.rules.yml"
_CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: doorward
    scheme: https
    metrics_path: /api/metrics
    authorization: {{credentials_file: {token}}}
    tls_config: {{ca_file: {ca}, server_name: 127.0.0.1}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
BUSY = Figures(
    sessions=1, workers={"w1": WorkerFigures(1, 1, 0)}, refused={"disk": 1}, events={"session_started": 1},
)  # fmt: skip
NOT_OURS = {"up"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("prometheus") / "state") as started:
        yield started


@pytest.fixture(scope="module")
def scraped(server: Server) -> str:
    """What a scrape gets once the certificates have been looked at, which the node does by itself."""
    admin = server.login()

    def looked_at() -> str | None:
        found: str = admin.get("/api/metrics").text
        return found if "certificate=" in found else None

    return str(until(looked_at, what="the ends of certificates"))


def rows(scrape: str) -> list[str]:
    """Every figure as a row of the table in the documents; labels of what has no value yet are those of a busy node."""
    families = {family.name: family for family in text_string_to_metric_families(scrape)}
    busy = {family.name: family for family in text_string_to_metric_families(text(of_sessions(BUSY)).decode())}
    found = []
    for name, family in families.items():
        samples = family.samples or busy[name].samples
        labels = sorted({label for sample in samples for label in sample.labels})
        shown = ", ".join(f"`{label}`" for label in labels) or "-"
        total = "_total" if family.type == "counter" else ""
        found.append(f"| `{name}{total}` | {family.type} | {shown} | {family.documentation} |")
    return sorted(found)


def test_every_figure_is_documented_as_it_is(scraped: str) -> None:
    table = re.findall(r"^\| `[a-z_]+` \| (?:gauge|counter) .*$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE)
    assert sorted(table) == rows(scraped)


def test_rules_and_dashboard_ask_for_what_there_is(scraped: str) -> None:
    there = set(re.findall(r"^# TYPE (\w+)", scraped, re.MULTILINE)) | NOT_OURS
    queries = [query.expr for _, panels in ROWS for panel in panels for query in panel.queries]
    asked = set(re.findall(r"\b(?:doorward|process)_\w+", " ".join([*queries, RULES.read_text()])))
    assert len(asked) > 25
    assert asked - there == set()


def checked(figures: str) -> tuple[int, str, str]:
    """What promtool says of a scrape."""
    command = ["promtool", "check", "metrics"]
    done = subprocess.run(command, input=figures, capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


def test_figures_of_a_node_with_sessions_are_named_as_prometheus_wants() -> None:
    assert checked(text(of_sessions(BUSY)).decode()) == (0, "", "")


def test_prometheus_scrapes_with_a_token(server: Server, tmp_path: Path) -> None:
    admin = server.login()
    wanted = {
        "name": "prometheus",
        "expires_days": 366,
        "rights": "read",
        "paths": ["/api/metrics"],
        "networks": ["127.0.0.1"],
    }
    bearer = admin.post("/api/user/tokens", wanted).json()["body"]["token"]
    scrape = server.client().get("/api/metrics", headers={"Authorization": f"Bearer {bearer}"})
    assert checked(scrape.text) == (0, "", "")
    (tmp_path / "token").write_text(bearer)
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(
        _CONFIGURATION.format(rules=RULES, token=tmp_path / "token", ca=server.certificate, port=server.port)
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
    ]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as prometheus:
        try:
            assert until(lambda: _value(address, "up"), 60, "the first scrape") == "1"
            assert int(_value(address, "doorward_running_revision") or 0) >= 1
            _every_panel_can_be_drawn(address)
            until(lambda: {rule["health"] for rule in _rules(address)} == {"ok"}, what="every rule evaluated")
            firing = {rule["name"] for rule in _rules(address) if rule["state"] == "firing"}
            assert firing == set(), "a fresh node has nothing to tell"
        finally:
            prometheus.terminate()
    uses = [item["body"]["last_used"] for item in admin.get("/api/user/tokens").json()["items"]]
    assert all(uses)


def _every_panel_can_be_drawn(address: str) -> None:
    for _, panels in ROWS:
        for panel in panels:
            for query in panel.queries:
                assert _asked(address, "query?query=" + urllib.parse.quote(query.expr.replace("@", 'instance=~".+"')))


def _rules(address: str) -> list[dict[str, Any]]:
    return [rule for group in _asked(address, "rules")["groups"] for rule in group["rules"]]


def _asked(address: str, path: str) -> dict[str, Any]:
    """Ask Prometheus. Raises urllib.error.HTTPError where it does not understand the query."""
    with urllib.request.urlopen(f"http://{address}/api/v1/{path}", timeout=PATIENCE) as answer:
        return dict(json.load(answer)["data"])


def _value(address: str, query: str) -> str | None:
    """Ask Prometheus for the value of one series; None where it has none yet, or does not answer yet."""
    try:
        found = _asked(address, f"query?query={query}")["result"]
    except OSError:
        return None
    return str(found[0]["value"][1]) if found else None
