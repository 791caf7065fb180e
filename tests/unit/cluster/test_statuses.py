"""The words of the status, every row of their tables."""

from __future__ import annotations

import msgspec
import pytest

from doorward.cluster.revisions import Header
from doorward.cluster.statuses import Backup, Figures, Issue, Issues, Report, Seen, item, observed, status_word, sync_word

OLD, NEW = Header(100, 1, "a" * 64), Header(100, 2, "b" * 64, "a" * 64)
RESTORED = Header(200, 1, "c" * 64)
NONE = Issues()
WRONG = Issues(errors=[Issue("port_conflict", "…", ["/api/configuration/x"])])
REMARK = Issues(warnings=[Issue("own_address", "…")])


def report(applied: Header | None = None, tried: Header | None = None, issues: Issues = NONE) -> Report:
    return Report("node2.example.com", "0.1.0", "10.0.0.2", 1000.0, applied, tried, "then", "then", issues)


@pytest.mark.parametrize(
    ("head", "said", "word"),
    [
        (NEW, None, "not-fetched"),
        (NEW, report(), "not-fetched"),
        (NEW, report(OLD, OLD), "pending"),
        (RESTORED, report(NEW, NEW), "pending"),
        (NEW, report(None, OLD), "pending"),
        (NEW, report(OLD, NEW), "outdated"),
        (NEW, report(None, NEW), "outdated"),
        (NEW, report(NEW, NEW), "up-to-date"),
        (OLD, report(NEW, NEW), "pending"),
        (None, report(NEW, NEW), "up-to-date"),
    ],
)
def test_how_far_a_managed_host_is(head: Header | None, said: Report | None, word: str) -> None:
    assert sync_word(head, said) == word


@pytest.mark.parametrize(
    ("silent", "issues", "word"),
    [
        (None, Issues(), "offline"),
        (None, WRONG, "offline"),
        (60.1, Issues(), "offline"),
        (60.1, WRONG, "offline"),
        (60.0, Issues(), "ok"),
        (60.0, WRONG, "issues"),
        (0.0, REMARK, "issues"),
        (0.0, Issues(), "ok"),
    ],
)
def test_how_a_node_does(silent: float | None, issues: Issues, word: str) -> None:
    assert status_word(silent, issues) == word


@pytest.mark.parametrize(
    ("skew", "address", "codes"),
    [
        (None, "10.0.0.2", []),
        (60.0, "10.0.0.2", []),
        (60.5, "10.0.0.2", ["clock_skew"]),
        (-61.0, "10.0.0.2", ["clock_skew"]),
        (0.0, "10.0.0.9", ["address_differs"]),
        (99.0, "10.0.0.9", ["clock_skew", "address_differs"]),
    ],
)
def test_what_only_the_centre_sees(skew: float | None, address: str, codes: list[str]) -> None:
    assert [issue.code for issue in observed(address, report(), skew)] == codes


FIGURES = Figures(disk=1.9, load1=0.5, load15=0.4, load5=0.7, memory=62.5, swap=0.0, sessions={}, total_sessions=0)


def test_the_item_of_a_managed_host_is_the_one_of_the_contract() -> None:
    said = msgspec.structs.replace(
        report(OLD, NEW, REMARK), health_status=FIGURES, backup=Backup("2026-11-21T23:00:10Z", overdue=False)
    )
    found = item("46f9", managed=True, seen=Seen(1000.0, said), head=NEW, issues=REMARK, silent=1.0)
    assert found == {
        "backup": {"last_success": "2026-11-21T23:00:10Z", "overdue": False},
        "configuration_sync": {
            "applied": {"epoch": 100, "number": 1},
            "downloaded_xml_hash": "b" * 32,
            "issues": {"warnings": [{"code": "own_address", "message": "…", "paths": []}]},
            "last_checked": "then",
            "last_updated": "then",
        },
        "fqdn": "node2.example.com",
        "health_status": {
            "disk": 1.9, "load1": 0.5, "load15": 0.4, "load5": 0.7, "memory": 62.5, "sessions": {}, "swap": 0.0,
            "total_sessions": 0,
        },
        "key": "46f9",
        "last_seen": "1970-01-01T00:16:40Z",
        "status": "issues",
        "sync_status": "outdated",
        "version": "0.1.0",
    }  # fmt: skip


def test_a_node_that_was_never_seen_shows_nothing_of_itself() -> None:
    found = item("46f9", managed=False, seen=None, head=NEW, issues=Issues(), silent=None)
    assert found == {
        "fqdn": None, "health_status": None, "key": "46f9", "status": "offline", "sync_status": "n/a", "version": None,
    }  # fmt: skip


def test_the_health_of_a_node_that_is_offline_is_not_known() -> None:
    said = msgspec.structs.replace(report(), health_status=FIGURES)
    found = item("46f9", managed=False, seen=Seen(0.0, said), head=NEW, issues=WRONG, silent=61.0)
    assert (found["health_status"], found["status"]) == (None, "offline")
    assert found["issues"]["errors"][0]["code"] == "port_conflict"
    assert "warnings" not in found["issues"]
