"""Runs, drills and freshness have the members of the samples, no more and no fewer (backup contract, section 10)."""

from __future__ import annotations

from typing import Any

from doorward.backup.records import Drill, Run
from doorward.backup.shown import drill_body, run_body
from tests.contract.wire import Caller

RUN = {
    "attempts", "backup_policy", "code", "drill", "ended", "files", "message", "reason", "result", "revision", "scheduled_for",
    "started", "status", "target", "warnings",
}  # fmt: skip
DRILL = {"code", "ended", "file", "levels", "message", "reason", "result", "started"}
STATUS: dict[str, Any] = {
    "encryption": {"enabled": False, "expires": None, "fingerprint": None},
    "last_drill": None, "last_failure": None, "last_success": None, "next_due": None, "overdue": False, "policy": None,
    "running": None, "warnings": [],
}  # fmt: skip
CHILDREN = [
    "drills", "exports", "files", "host_keys", "restores", "runs", "signing_keys", "status", "target_tests", "uploads",
]  # fmt: skip


def test_the_children_are_those_of_the_contract(admin: Caller) -> None:
    assert [item["key"] for item in admin.get("/api/backup").ok().json["items"]] == CHILDREN


def test_a_node_without_backups_says_so(admin: Caller) -> None:
    answer = admin.get("/api/backup/status").ok().json
    assert (answer["body"], answer["key"]) == (STATUS, "status")
    assert (answer["meta"]["href"], answer["meta"]["parent"]) == ("/api/backup/status", "/api/backup")
    for collection in ("runs", "drills"):
        assert admin.get(f"/api/backup/{collection}").ok().json["items"] == []
        for query in ("limit=0", "limit=1001", "offset=-1", "limit=x"):
            refused = admin.get(f"/api/backup/{collection}?{query}")
            assert (refused.status, refused.error["type"]) == (400, "InvalidQuery")


def test_bodies_have_the_members_of_the_samples() -> None:
    assert run_body(Run()).keys() == RUN
    assert run_body(Run(author="jane")).keys() == RUN | {"author"}
    assert drill_body(Drill()).keys() == DRILL
    assert Drill().levels.keys() == {"readable", "restorable", "stored"}
