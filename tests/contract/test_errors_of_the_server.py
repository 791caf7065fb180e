"""Answers in the five hundreds: the host refuses, the server is at fault, or it is busy (sections 8.6, 10 and 12)."""

from __future__ import annotations

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.wire import NTP, TRANSACTION, WEB, WHOLE, Caller, logged_in
from tests.support.server import QUICK, Server, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY = {"selection": "ip", "value": "127.0.8.1"}
POOL = [{"selection": "fqdn", "value": "pool.ntp.org"}]


@contextmanager
def in_the_way(server: Server) -> Iterator[None]:
    """A file where chronyd's directory of sources should be."""
    folder = server.state / "root/etc/chrony/sources.d"
    aside = folder.with_name("aside")
    folder.rename(aside)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def test_host_that_refuses_a_commit(admin: Caller) -> None:
    admin.put(NTP, [ENTRY]).ok()
    admin.put(WEB, {"timeout": 11}).ok()
    changes = admin.changes()
    with in_the_way(admin.server):
        answer = admin.commit("refused", headers={"Idempotency-Key": "refused by the host"})
        details = answer.is_error(500, "ApplyFailed").error["details"]
        assert details.keys() == {"action", "commit", "error_id", "path", "reason", "restored"}
        assert (details["action"], details["path"], details["restored"]) == ("write sources", NTP, True)
        assert details["error_id"] == answer.header("X-Request-Id")
        assert details["reason"].startswith("writing /etc/chrony/sources.d/doorward.sources failed: ")
        assert str(admin.server.state) not in answer.body.decode()
        assert "Traceback" not in answer.body.decode()
        expected = "The host did not accept the change; the previous configuration is back in effect."
        assert answer.error["message"] == expected
        again = admin.commit("refused", headers={"Idempotency-Key": "refused by the host"})
    assert again.header("Idempotency-Replayed") == "true"
    replayed = again.is_error(500, "ApplyFailed").error
    assert replayed["message"] == expected
    assert {**replayed["details"], "error_id": ""} == {**details, "error_id": ""}
    assert admin.status() == "open"
    assert admin.changes() == changes
    record = admin.body(details["commit"])
    assert (record["state"], record["revision"]) == ("reverted", None)
    assert record["error"] == {name: details[name] for name in ("action", "path", "reason", "restored")}
    admin.commit("repaired").ok()
    assert [source["value"] for source in admin.body("/api/time_status")["sources"]] == [ENTRY["value"]]
    admin.put(NTP, POOL).ok()
    admin.put(WEB, {"timeout": 10}).ok()
    admin.commit().ok()


def test_fault_of_the_server_is_told_without_internals(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        caller = logged_in(server)
        with closing(sqlite3.connect(server.state / "doorward.db")) as store:
            store.execute("DROP TABLE changes")
            store.commit()
        answer = caller.get("/api/revisions/1/changes").is_error(500, "InternalError")
        assert answer.error == {
            "details": {"error_id": answer.header("X-Request-Id")},
            "message": "Internal error; look for the error id in the log.",
            "type": "InternalError",
        }
        assert answer.meta["remaining_seconds"] in WHOLE
        assert caller.get(NTP).ok().json["body"] == POOL, "everything else goes on"
        log = until(lambda: [line for line in server.errors if answer.header("X-Request-Id") in line])
        assert "internal error" in "".join(log)
        caller.close()


def test_request_that_takes_too_long(tmp_path: Path) -> None:
    environment = {"HASTY": "doorward.api.app.REQUEST_SECONDS=1"}
    with running(tmp_path / "state", launcher=QUICK, environment=environment) as server:
        caller = logged_in(server)
        answer = caller.call("PUT", NTP, headers={"Content-Length": "100"}).is_error(503, "ServiceUnavailable")
        assert answer.error["details"] == {"retry_after": int(answer.header("Retry-After"))}
        caller.close()
        assert caller.body(NTP) == POOL
        caller.close()


def test_commit_that_waits_too_long_for_its_turn(tmp_path: Path) -> None:
    """chronyd does not answer, so the first commit takes seconds until the daemon has been started anew."""
    environment = {"HASTY": "doorward.transaction.queue.WAIT_SECONDS=0.5"}
    with running(tmp_path / "state", launcher=QUICK, environment=environment) as server, ThreadPoolExecutor(1) as pool:
        slow, second = logged_in(server), logged_in(server)
        slow.put(NTP, [ENTRY]).ok()
        second.put(WEB, {"timeout": 11}).ok()
        os.kill(int((server.state / "run/chronyd.pid").read_text()), signal.SIGSTOP)
        first = pool.submit(slow.commit)

        def applying() -> bool:
            return "applying" in [item["body"]["state"] for item in second.get("/api/commits").json["items"]]

        until(applying)
        answer = second.commit().is_error(503, "ServiceUnavailable")
        assert answer.error["message"] == "Other commits are in the way."
        assert second.status() == "open"
        assert second.body(NTP) == POOL, "reads wait for nobody"
        assert first.result().ok().meta["revision"] == 2
        assert second.commit().ok().meta["revision"] == 3
        assert second.body(TRANSACTION)["status"] == "closed"
        slow.close()
        second.close()
