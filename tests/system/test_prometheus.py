"""Prometheus reads the figures with a token, and finds nothing wrong with them."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from pathlib import Path

from tests.support.ports import free_port
from tests.support.server import running, until
from tests.support.waiting import PATIENCE

_CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: doorward
    scheme: https
    metrics_path: /api/metrics
    authorization: {{credentials_file: {token}}}
    tls_config: {{ca_file: {ca}, server_name: 127.0.0.1}}
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def test_prometheus_scrapes_with_a_token(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        admin = server.login()
        wanted = {
            "name": "prometheus",
            "expires_days": 366,
            "rights": "read",
            "paths": ["/api/metrics"],
            "networks": ["127.0.0.1"],
        }
        text = admin.post("/api/user/tokens", wanted).json()["body"]["token"]
        bearer = server.client().get("/api/metrics", headers={"Authorization": f"Bearer {text}"})
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=bearer.text, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
        (tmp_path / "token").write_text(text)
        configuration = tmp_path / "prometheus.yml"
        configuration.write_text(_CONFIGURATION.format(token=tmp_path / "token", ca=server.certificate, port=server.port))
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
            finally:
                prometheus.terminate()
        uses = [item["body"]["last_used"] for item in admin.get("/api/user/tokens").json()["items"]]
        assert all(uses)


def _value(address: str, query: str) -> str | None:
    """Ask Prometheus for the value of one series; None where it has none yet, or does not answer yet."""
    try:
        with urllib.request.urlopen(f"http://{address}/api/v1/query?query={query}", timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
    except OSError:
        return None
    return str(found[0]["value"][1]) if found else None
