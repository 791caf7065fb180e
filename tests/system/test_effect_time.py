"""Time: zones, a real server that the clock follows, servers that do not answer, files that somebody edits."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.support.server import Server, until
from tests.system.chrony_support import SOURCES, listed, time_server
from tests.system.curl import NTP, ZONE, Curl, ip

TIME_SERVER = "127.0.0.3"


@pytest.fixture
def curl(server: Server, tmp_path: Path) -> Curl:
    made = Curl(server, tmp_path)
    assert made.log_in().status == 200
    return made


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu", "Etc/UTC"])
def test_a_committed_time_zone_is_link_file_and_offset(server: Server, curl: Curl, zone: str) -> None:
    before = curl.get(ZONE)
    curl("PUT", ZONE, zone)
    assert curl.get("/api/transaction/plan")["actions"] == [
        {"action": "link /etc/localtime", "effect": "none", "path": ZONE},
        {"action": "write /etc/timezone", "effect": "none", "path": ZONE},
        {"action": "schedule core_files", "effect": "none", "path": "/api/configuration/troubleshooting"},
    ] * (before != zone)
    done = curl.commit()
    assert done.status == 200
    etc = server.state / "root/etc"
    assert str((etc / "localtime").readlink()) == f"/usr/share/zoneinfo/{zone}"
    assert (etc / "localtime").read_bytes() == Path(f"/usr/share/zoneinfo/{zone}").read_bytes()
    assert (etc / "timezone").read_text() == f"{zone}\n"
    if before != zone:
        assert [warning["code"] for warning in done.json["meta"]["warnings"]] == ["other_processes"]
    now = datetime.now(UTC).astimezone(ZoneInfo(zone))
    offset = now.utcoffset()
    assert offset is not None
    wanted = {"abbreviation": now.tzname(), "name": zone, "utc_offset_seconds": int(offset.total_seconds())}
    until(lambda: curl.get("/api/time_status")["timezone"] == wanted, 5, "the status shows the zone")


def test_chronyd_follows_a_server_that_was_committed(server: Server, curl: Curl, tmp_path: Path) -> None:
    with time_server(tmp_path / "server", TIME_SERVER):
        curl("PUT", NTP, ip(TIME_SERVER))
        done = curl.commit()
        assert done.status == 200
        assert listed(server.state) == [TIME_SERVER]
        until(lambda: curl.get("/api/time_status")["clock"]["synchronised"], 60, "chronyd selects the server")
        status = curl.get("/api/time_status")
        (source,) = status["sources"]
        facts = {name: source[name] for name in ("address", "origin", "selection", "state", "stratum", "value")}
        assert facts == {
            "address": TIME_SERVER, "origin": "configuration", "selection": "ip", "state": "selected", "stratum": 8,
            "value": TIME_SERVER,
        }  # fmt: skip
        assert abs(source["offset_seconds"]) < 1
        assert source["reachability"] > 0
        assert (status["clock"]["leap"], status["clock"]["stratum"]) == ("normal", 9)
        assert status["clock"]["last_update"].endswith("Z")
        assert status["daemon"]["running"] is True
        # A server that answers is no cause for a warning.
        curl("PUT", NTP, [*ip(TIME_SERVER, "127.0.0.50"), {"selection": "ip", "value": TIME_SERVER.replace("127.0", "127.1")}])
        until(lambda: len(curl.get("/api/transaction/plan")["warnings"]) == 2, 10, "the probes of the dead ones have ended")
        assert {warning["pointer"] for warning in curl.get("/api/transaction/plan")["warnings"]} == {"/1/value", "/2/value"}
        curl("DELETE", "/api/transaction")


def test_servers_that_do_not_resolve_or_answer_are_taken_with_a_warning(server: Server, curl: Curl) -> None:
    curl("PUT", NTP, [{"selection": "fqdn", "value": "later.invalid"}, *ip("127.0.0.51")])
    until(lambda: len(curl.get("/api/transaction/plan")["warnings"]) == 2, 15, "both probes have ended")
    done = curl.commit()
    assert done.status == 200
    assert [(w["code"], w["path"], w["pointer"]) for w in done.json["meta"]["warnings"]] == [
        ("unresolved_name", NTP, "/0/value"),
        ("no_answer", NTP, "/1/value"),
    ]
    assert set(listed(server.state)) == {"later.invalid", "127.0.0.51"}

    def states() -> dict[str, str]:
        return {source["value"]: source["state"] for source in curl.get("/api/time_status")["sources"]}

    until(lambda: states() == {"later.invalid": "unresolved", "127.0.0.51": "unreachable"}, 10, "the status shows both")


def test_an_edit_by_hand_is_seen_as_drift_and_a_commit_repairs_it(server: Server, curl: Curl) -> None:
    curl("PUT", NTP, ip("127.0.0.52"))
    assert curl.commit().status == 200
    file = server.state / "root" / SOURCES.lstrip("/")
    until(lambda: curl.issues() == {"errors": [], "warnings": []}, 10, "all is well")
    file.write_text(file.read_text() + "server 127.0.0.99\n")
    foreign = file.with_name("someone.sources")
    foreign.write_text("server 127.0.0.98\n")
    until(lambda: curl.issues()["warnings"], 10, "health says so")
    assert curl.issues() == {
        "errors": [],
        "warnings": [
            {"message": f"{SOURCES} was changed by someone else", "paths": [NTP]},
            {"message": "/etc/chrony/sources.d/someone.sources is not ours and may add time sources", "paths": [NTP]},
        ],
    }
    foreign.unlink()
    curl("PUT", NTP, ip("127.0.0.53"))
    assert curl.commit().status == 200
    assert file.read_text() == "server 127.0.0.53 iburst\n"
    assert listed(server.state) == ["127.0.0.53"]
    until(lambda: curl.issues() == {"errors": [], "warnings": []}, 10, "all is well again")
