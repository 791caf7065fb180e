"""Debug logging from one commit to the next, and core files that a server finds when it starts."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from doorward.host.core_files import PATTERN, places
from tests.support.cores import core_file
from tests.support.server import PASSWORD, Client, Server, running, until

PATH = "/api/configuration/troubleshooting"
ZONE = "/api/configuration/datetime/timezone"
NTP = "/api/configuration/datetime/ntp_servers"
SECRET = "never-in-any-log-7531"


def records(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.errors if line.startswith("{")]


def debugging(client: Client, *, enabled: bool) -> None:
    body = client.body(PATH)
    assert client.put(PATH, {**body, "debug_logging": {"enabled": enabled}}).status_code == 200
    assert client.commit().status_code == 200


def test_everything_is_logged_from_the_commit_on_and_no_more_after_the_next(server: Server) -> None:
    client = server.login()
    client.body(NTP)
    debugging(client, enabled=True)
    client.body(ZONE)
    assert client.post("/api/configuration/passwords", {"plain": SECRET}).status_code == 201
    assert client.put(NTP, [{"selection": "ip", "value": "127.0.0.9"}]).status_code == 200
    assert client.commit().status_code == 200
    debugging(client, enabled=False)
    client.body(PATH)
    client.delete("/api/transaction")
    until(lambda: any(record.get("method") == "DELETE" for record in records(server)), what="the last request in the log")
    debug = [record for record in records(server) if record["level"] == "debug"]
    assert [record["path"] for record in debug if record["event"] == "request" and record["method"] == "GET"] == [ZONE, PATH]
    assert {"host step", "host step is verified"} <= {record["event"] for record in debug}
    said = "".join(server.errors)
    assert SECRET not in said
    assert PASSWORD not in said


def test_reads_are_logged_where_the_process_is_told_to_log_everything(tmp_path: Path) -> None:
    with running(tmp_path / "state", environment={"DOORWARD_LOG_LEVEL": "debug"}) as server:
        answer = server.login().get(ZONE)
        number = answer.headers["X-Request-Id"]
        until(lambda: any(record.get("request_id") == number for record in records(server)), what="the request in the log")


def test_a_server_clears_away_what_is_too_old(server: Server) -> None:
    """The zone is one where it is past three."""
    client = server.login()
    hours = 12 - datetime.now(UTC).hour
    assert client.put(ZONE, f"Etc/GMT{-hours:+}").status_code == 200
    assert client.commit().status_code == 200
    server.stop()
    old, young = (
        core_file(server.state / name, "doorward", "x", time.time() - days * 86400)
        for name, days in (("core.1", 15), ("core.2", 13))
    )
    server.start()
    if old in list(places(PATTERN.read_text(), [server.state])):
        until(lambda: not old.exists(), what="the old core file is removed")
    assert young.exists()
