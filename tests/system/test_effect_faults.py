"""A host that does not take a change: everything is put back, the caller learns what and why, and nothing is lost."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from doorward.host.sandbox import run_directory
from tests.support.server import Server, until
from tests.system.chrony_support import SOURCES, listed, pid_of
from tests.system.curl import NTP, ZONE, Curl, ip

WITHOUT_CHRONY = Path(__file__).with_name("without_chrony.py")


@pytest.fixture
def curl(fresh: Server, tmp_path: Path) -> Curl:
    made = Curl(fresh, tmp_path)
    assert made.log_in().status == 200
    made("PUT", NTP, ip("127.0.0.40"))
    assert made.commit().status == 200
    return made


def sources(state: Path) -> Path:
    """The file with the sources."""
    return state / "root" / SOURCES.lstrip("/")


def refused(curl: Curl, action: str, path: str) -> str:
    """A commit that the host does not take; the reason."""
    answer = curl.commit()
    assert answer.status == 500, answer.text
    assert answer.error["type"] == "ApplyFailed"
    assert answer.error["message"] == "The host did not accept the change; the previous configuration is back in effect."
    details = answer.error["details"]
    assert set(details) == {"action", "commit", "error_id", "path", "reason", "restored"}
    assert (details["action"], details["path"], details["restored"]) == (action, path, True)
    record = curl.get(details["commit"])
    assert (record["state"], record["revision"]) == ("reverted", None)
    assert record["error"] == {name: details[name] for name in ("action", "path", "reason", "restored")}
    assert curl.get("/api/transaction")["status"] == "open"
    assert curl.issues()["errors"] == []
    reason: str = details["reason"]
    return reason


def test_a_broken_directory_of_chronyd_is_named_and_the_candidate_stays(fresh: Server, curl: Curl, tmp_path: Path) -> None:
    other = Curl(fresh, tmp_path, "other")
    other.log_in()
    directory = sources(fresh.state).parent
    away = directory.rename(directory.with_name("away"))
    directory.write_text("in the way")
    curl("PUT", NTP, ip("127.0.0.41"))
    curl("PUT", ZONE, "Asia/Kathmandu")
    reason = refused(curl, "write sources", NTP)
    assert reason == f"writing {SOURCES} failed: Not a directory"
    assert other.get(NTP) == ip("127.0.0.40")
    assert curl.get(NTP) == ip("127.0.0.41")
    assert listed(fresh.state) == ["127.0.0.40"]
    assert (fresh.state / "root/etc/timezone").read_text() != "Asia/Kathmandu\n"
    assert other("GET", "/api/revisions").json["items"][0]["key"] == "2"
    directory.unlink()
    away.rename(directory)
    assert curl.commit().json["meta"]["revision"] == 3
    assert listed(fresh.state) == ["127.0.0.41"]
    assert (fresh.state / "root/etc/timezone").read_text() == "Asia/Kathmandu\n"
    assert other.get(NTP) == ip("127.0.0.41")


def test_a_step_that_fails_late_takes_the_earlier_ones_back(fresh: Server, curl: Curl) -> None:
    link = fresh.state / "root/etc/localtime"
    before, zone = link.readlink(), (fresh.state / "root/etc/timezone").read_text()
    (fresh.state / "root/etc/timezone").unlink()
    (fresh.state / "root/etc/timezone").mkdir()
    curl("PUT", NTP, ip("127.0.0.41"))
    curl("PUT", ZONE, "Asia/Kathmandu")
    reason = refused(curl, "write /etc/timezone", ZONE)
    assert reason == "/etc/timezone is neither a file nor a symbolic link"
    assert link.readlink() == before
    assert listed(fresh.state) == ["127.0.0.40"]
    assert sources(fresh.state).read_text() == "server 127.0.0.40 iburst\n"
    (fresh.state / "root/etc/timezone").rmdir()
    (fresh.state / "root/etc/timezone").write_text(zone)
    assert curl.commit().status == 200
    assert str(link.readlink()) == "/usr/share/zoneinfo/Asia/Kathmandu"


def test_a_killed_chronyd_is_back_with_its_list(fresh: Server, curl: Curl) -> None:
    killed = pid_of(fresh.state)
    os.kill(killed, signal.SIGKILL)
    until(lambda: pid_of(fresh.state) not in {0, killed}, 20, "a new chronyd")
    until(lambda: curl.get("/api/time_status")["daemon"]["running"], 20, "an answer of it")
    assert listed(fresh.state) == ["127.0.0.40"]
    until(lambda: curl.issues() == {"errors": [], "warnings": []}, 20, "health")


def test_a_commit_while_chronyd_is_down_starts_it(fresh: Server, curl: Curl) -> None:
    curl("PUT", NTP, ip("127.0.0.41"))
    os.kill(pid_of(fresh.state), signal.SIGKILL)
    assert curl.commit().status == 200
    assert listed(fresh.state) == ["127.0.0.41"]


def test_a_chronyd_that_cannot_start_is_named(fresh: Server, curl: Curl) -> None:
    run = run_directory(fresh.state)
    killed = pid_of(fresh.state)
    away = run.rename(run.with_name("away"))
    run.write_text("in the way")
    os.kill(killed, signal.SIGKILL)
    until(lambda: not curl.get("/api/time_status")["daemon"]["running"], 20, "the status says it is down")
    until(lambda: curl.issues()["warnings"], 20, "health says so")
    assert curl.issues()["warnings"] == [{"message": "chronyd is not running", "paths": [NTP]}]
    down = curl.get("/api/time_status")
    assert (down["sources"], down["clock"]["stratum"], down["clock"]["synchronised"]) == ([], None, False)
    curl("PUT", NTP, ip("127.0.0.41"))
    reason = refused(curl, "start chronyd", NTP)
    assert reason == "chronyd did not start within 5 s"
    assert sources(fresh.state).read_text() == "server 127.0.0.40 iburst\n"
    run.unlink()
    away.rename(run)
    assert curl.commit().status == 200
    assert listed(fresh.state) == ["127.0.0.41"]


def test_without_chrony_the_plan_the_answer_and_health_say_so(tmp_path: Path) -> None:
    server = Server(tmp_path / "state", (str(WITHOUT_CHRONY),)).start()
    try:
        curl = Curl(server, tmp_path)
        curl.log_in()
        curl("PUT", NTP, ip("127.0.0.41"))
        plan = curl.get("/api/transaction/plan")
        assert [action["action"] for action in plan["actions"]] == ["write sources", "skip chronyd"]
        absent = {
            "code": "daemon_absent",
            "message": "chronyd is not installed on this machine; its files are written, but nothing uses them",
            "path": NTP,
            "pointer": "",
        }
        assert absent in plan["warnings"]
        done = curl.commit()
        assert done.status == 200
        assert absent in done.json["meta"]["warnings"]
        assert sources(server.state).read_text() == "server 127.0.0.41 iburst\n"
        until(lambda: curl.issues()["warnings"], 10, "health says so")
        assert curl.issues() == {"errors": [], "warnings": [{"message": absent["message"], "paths": [NTP]}]}
        status = curl.get("/api/time_status")
        assert status["daemon"] == {"name": "chrony", "running": False, "version": ""}
        assert status["sources"] == []
        sync = curl("POST", "/api/time_status/sync")
        assert (sync.status, sync.error["details"]["errors"][0]["code"]) == (400, "sandbox")
    finally:
        server.stop()
