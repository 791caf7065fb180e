"""How the nodes of a cluster do: what they report, and the words for it (cluster contract, section 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from doorward.cluster.revisions import Header
from doorward.tree.jsontext import prepared
from doorward.tree.plaintext import plain
from doorward.tree.times import stamp

OFFLINE_SECONDS = 60.0
SKEW_SECONDS = 60.0
REPORT_LIMIT = 64 << 10
"""Bytes of a report in JSON."""
_MAX_ISSUES, _MAX_PATHS = 1_000, 100
_LONG, _SHORT = 4096, 300
"""Characters of messages and paths, and of names."""
_LAST_SECOND = 253_402_300_799
"""The last Unix time that is shown."""

_Text = Annotated[str, msgspec.Meta(max_length=_LONG)]
_Short = Annotated[str, msgspec.Meta(max_length=_SHORT)]
_Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
_Figure = Annotated[float, msgspec.Meta(ge=0, le=1e9)]
_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]

StatusWord = Literal["offline", "issues", "ok"]
SyncWord = Literal["n/a", "not-fetched", "outdated", "pending", "up-to-date"]


@prepared
class NodeIssue(msgspec.Struct, frozen=True):
    """Something that is wrong, with all the places that take part."""

    code: _Short
    message: _Text
    paths: Annotated[list[_Text], msgspec.Meta(max_length=_MAX_PATHS)] = []


@prepared
class Issues(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a node; members that are empty are left out."""

    errors: Annotated[list[NodeIssue], msgspec.Meta(max_length=_MAX_ISSUES)] = []
    warnings: Annotated[list[NodeIssue], msgspec.Meta(max_length=_MAX_ISSUES)] = []

    def __bool__(self) -> bool:
        return bool(self.errors or self.warnings)

    def with_more(self, errors: Iterable[NodeIssue], warnings: Iterable[NodeIssue]) -> Issues:
        """Return the issues with further ones."""
        return Issues([*self.errors, *errors], [*self.warnings, *warnings])


@prepared
class NodeFigures(msgspec.Struct, frozen=True):
    """The health of a node: percent, and load averages."""

    disk: _Figure
    load1: _Figure
    load15: _Figure
    load5: _Figure
    memory: _Figure
    swap: _Figure
    sessions: Annotated[dict[_Short, _Number], msgspec.Meta(max_length=100)]
    total_sessions: _Number


@prepared
class Backup(msgspec.Struct, frozen=True):
    """When a backup of the node last succeeded (UTC text), and whether one is overdue."""

    last_success: _Time | None
    overdue: bool


@prepared
class NodeReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node says of itself. ``tried`` is the newest revision that it looked at, taken or refused; ``time`` Unix time.

    ``central_address`` is where it looks for Central Management, ``instance`` the process that reports, ``sequence`` counts.
    """

    fqdn: _Short
    version: _Short
    listen_address: _Short | None
    time: Annotated[float, msgspec.Meta(ge=0, le=_LAST_SECOND)]
    applied: Header | None = None
    tried: Header | None = None
    last_checked: _Time | None = None
    last_updated: _Time | None = None
    issues: Issues = Issues()
    health_status: NodeFigures | None = None
    backup: Backup | None = None
    central_address: _Short | None = None
    instance: _Short | None = None
    sequence: _Number = 0


@prepared
class Seen(msgspec.Struct, frozen=True):
    """A report with the time (Unix time, by the clock of Central Management) at which it came."""

    at: float
    report: NodeReport
    id: str = ""
    """The node that it is of."""


def fit_to_show(report: NodeReport) -> NodeReport:
    """Return a report whose names and messages can be shown anywhere; on both sides, so that none is refused for their length."""

    def short(text: str | None) -> str | None:
        return None if text is None else plain(text, _SHORT)

    def fit(issues: Sequence[NodeIssue]) -> list[NodeIssue]:
        return [
            NodeIssue(plain(one.code, _SHORT), plain(one.message, _LONG), [plain(path, _LONG) for path in one.paths[:_MAX_PATHS]])
            for one in issues[:_MAX_ISSUES]
        ]

    health = report.health_status
    if health is not None and health.sessions:
        health = msgspec.structs.replace(health, sessions={plain(name, _SHORT): n for name, n in health.sessions.items()})
    return msgspec.structs.replace(
        report,
        fqdn=plain(report.fqdn, _SHORT),
        version=plain(report.version, _SHORT),
        listen_address=short(report.listen_address),
        central_address=short(report.central_address),
        issues=Issues(fit(report.issues.errors), fit(report.issues.warnings)),
        health_status=health,
        instance=short(report.instance),
    )


def fit_to_send(report: NodeReport) -> NodeReport:
    """Return a report that is not above the limit; issues that have no room, errors last, are counted."""
    report = fit_to_show(report)
    kept = [*((True, one) for one in report.issues.errors), *((False, one) for one in report.issues.warnings)]
    left_out = 0
    while len(msgspec.json.encode(report)) > REPORT_LIMIT:
        fewer = len(kept) // 2
        left_out, kept = left_out + len(kept) - fewer, kept[:fewer]
        more = NodeIssue("more", f"{left_out} more issues are shown on the node itself.")
        errors, warnings = ([one for is_error, one in kept if is_error is wanted] for wanted in (True, False))
        report = msgspec.structs.replace(report, issues=Issues(errors, [*warnings, more]))
    return report


def sync_word(head: Header | None, report: NodeReport | None) -> SyncWord:
    """Return how far a managed host is, by the newest revision of Central Management and its last report."""
    if report is None or report.tried is None:
        return "not-fetched"
    if head is not None and report.tried != head:
        return "pending"
    return "up-to-date" if report.applied == report.tried else "outdated"


def status_word(silent: float | None, issues: Issues) -> StatusWord:
    """Return how a node does in a word. ``silent``: seconds since its last report, None: it never made one."""
    if silent is None or silent > OFFLINE_SECONDS:
        return "offline"
    return "issues" if issues else "ok"


def observed(address: str, report: NodeReport | None, skew: float | None) -> list[NodeIssue]:
    """Return the warnings that only Central Management can have: the clock, and an address that is not the registered one."""
    found: list[NodeIssue] = []
    if skew is not None and abs(skew) > SKEW_SECONDS:
        found.append(NodeIssue("clock_skew", f"The clock of the node is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}."))
    if report is not None and report.listen_address not in {None, address}:
        message = f"The node listens on {report.listen_address}; {address} is registered."
        found.append(NodeIssue("address_differs", message))
    return found


def utc(at: float) -> str:
    """Return a Unix time as it is shown."""
    return stamp(datetime.fromtimestamp(min(max(at, 0.0), _LAST_SECOND), UTC))


def item(
    key: str, *, managed: bool, seen: Seen | None, head: Header | None, issues: Issues, silent: float | None
) -> dict[str, Any]:
    """Return what is shown of a node, without ``meta``. ``issues`` are all of them, those of the report included.

    ``silent`` is for ``status_word``.
    """
    report = seen.report if seen else None
    word = status_word(silent, issues)
    shown: dict[str, Any] = {
        "fqdn": report.fqdn if report else None,
        "health_status": report.health_status if report and word != "offline" else None,
        "key": key,
        "status": word,
        "sync_status": sync_word(head, report) if managed else "n/a",
        "version": report.version if report else None,
    }
    if seen is not None:
        shown["last_seen"] = utc(seen.at)
    if report is not None and report.backup is not None:
        shown["backup"] = report.backup
    if managed:
        shown["configuration_sync"] = _sync(report, issues)
    elif issues:
        shown["issues"] = issues
    found: dict[str, Any] = msgspec.to_builtins(shown)
    return found


def _sync(report: NodeReport | None, issues: Issues) -> Mapping[str, Any]:
    applied = report.applied if report else None
    return {
        "applied": {"epoch": applied.epoch, "number": applied.number} if applied else None,
        "downloaded_xml_hash": report.tried.hash[:32] if report and report.tried else None,
        "issues": issues,
        "last_checked": report.last_checked if report else None,
        "last_updated": report.last_updated if report else None,
    }
