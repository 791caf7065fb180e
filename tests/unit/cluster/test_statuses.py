"""The words of the status, every row of their tables."""

from __future__ import annotations

import msgspec
import pytest

from doorward.cluster.revisions import Header
from doorward.cluster.statuses import (
    REPORT_LIMIT,
    Backup,
    Issues,
    NodeFigures,
    NodeIssue,
    NodeReport,
    Seen,
    fit_to_send,
    fit_to_show,
    item,
    observed,
    status_word,
    sync_word,
    utc,
)

OLD, NEW = Header(100, 1, "a" * 64), Header(100, 2, "b" * 64, "a" * 64)
RESTORED = Header(200, 1, "c" * 64)
NONE = Issues()
WRONG = Issues(errors=[NodeIssue("port_conflict", "…", ["/api/configuration/x"])])
REMARK = Issues(warnings=[NodeIssue("own_address", "…")])


def report(applied: Header | None = None, tried: Header | None = None, issues: Issues = NONE) -> NodeReport:
    return NodeReport("node2.example.com", "0.1.0", "10.0.0.2", 1000.0, applied, tried, "then", "then", issues)


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
def test_how_far_a_managed_host_is(head: Header | None, said: NodeReport | None, word: str) -> None:
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
def test_what_only_the_central_sees(skew: float | None, address: str, codes: list[str]) -> None:
    assert [issue.code for issue in observed(address, report(), skew)] == codes


FIGURES = NodeFigures(disk=1.9, load1=0.5, load15=0.4, load5=0.7, memory=62.5, swap=0.0, sessions={}, total_sessions=0)


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


STEERING = "a\x1b]0;b\x07\u202ec\u200bd\n"


def test_what_a_node_says_steers_nothing_where_it_is_shown() -> None:
    said = NodeReport(
        STEERING, STEERING, STEERING, 1000.0, issues=Issues([NodeIssue(STEERING, STEERING, [STEERING])]),
        central_address=STEERING,
        health_status=msgspec.structs.replace(FIGURES, sessions={STEERING: 1}),
    )  # fmt: skip
    shown = item("46f9", managed=True, seen=Seen(1.0, fit_to_show(said)), head=NEW, issues=fit_to_show(said).issues, silent=1.0)
    text = msgspec.json.encode(shown).decode()
    assert shown["fqdn"] == "a ]0;b c d"
    assert not any(hidden in text for hidden in ("\\u00", "\\n", "\x1b", "\u202e", "\u200b"))


@pytest.mark.parametrize(
    "member",
    [
        {"time": -1}, {"time": 1e300}, {"time": "1000"}, {"time": None}, {"last_updated": "then"}, {"last_checked": 7},
        {"last_updated": "2026-11-21T20:14:00Z\x1b"}, {"fqdn": "x" * 301}, {"fqdn": None}, {"version": "x" * 301},
        {"listen_address": "x" * 301}, {"central_address": []}, {"applied": {"epoch": 1, "number": 1, "hash": "\x1b" * 64}},
        {"applied": {"epoch": 2**52, "number": 1, "hash": "a" * 64}}, {"tried": {"epoch": 1, "number": -1, "hash": "a" * 64}},
        {"backup": {"last_success": "yesterday", "overdue": False}}, {"backup": {"last_success": None, "overdue": "no"}},
        {"issues": {"errors": [{"code": "x", "message": "x" * 4097}]}}, {"issues": {"errors": [{"code": "x"}]}},
        {"issues": {"warnings": [{"code": "x", "message": "", "paths": ["/"] * 101}]}}, {"issues": []},
        {"issues": {"warnings": [{"code": "x", "message": ""}] * 1001}}, {"health_status": {}},
        *({"health_status": msgspec.to_builtins(FIGURES) | wrong} for wrong in (
            {"disk": -1.0}, {"load1": 1e300}, {"sessions": {"ssh": -1}}, {"sessions": {"s" * 301: 1}}, {"total_sessions": 2**60},
            {"sessions": {str(number): 1 for number in range(101)}},
        )),
    ],
)  # fmt: skip
def test_every_member_of_a_report_has_its_bounds(member: dict[str, object]) -> None:
    whole = msgspec.to_builtins(report(NEW, NEW)) | {"last_checked": None, "last_updated": None}
    msgspec.convert(whole, NodeReport)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(whole | member, NodeReport)


def test_a_report_is_sent_below_the_limit_and_as_it_will_be_taken() -> None:
    many = [NodeIssue(f"code{number}", "é" * 5_000, ["/api" * 300] * 120) for number in range(120)]
    sent = fit_to_send(report(NEW, NEW, Issues(many, many)))
    encoded = msgspec.json.encode(msgspec.structs.replace(sent, last_checked=None, last_updated=None))
    assert len(encoded) <= REPORT_LIMIT
    assert msgspec.json.decode(encoded, type=NodeReport).fqdn == "node2.example.com"
    assert sent.issues.warnings[-1].code == "more"
    few = [NodeIssue(f"code{number}", "m" * 900) for number in range(100)]
    sent = fit_to_send(report(NEW, NEW, Issues(few[:10], few)))
    assert sent.issues.errors == few[:10], "errors stay"
    left = 110 - 10 - (len(sent.issues.warnings) - 1)
    assert sent.issues.warnings[-1].message == f"{left} more issues are shown on the node itself."
    small = report(NEW, NEW, REMARK)
    assert fit_to_send(small) == fit_to_show(small) == small


def test_a_time_is_shown_whatever_it_is() -> None:
    assert utc(1e300) == "9999-12-31T23:59:59Z"
    assert utc(-1e300) == "1970-01-01T00:00:00Z"
