"""Names and words of the code, which no linter looks at."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src" / "doorward"
LEVELS = frozenset({"critical", "debug", "error", "exception", "info", "warning"})
PASSED_ON = frozenset({"proxy/ssh/wire/failures.py"})
"""Modules that log events of their callers."""
EVENT = re.compile(r"[A-Za-z][^_{}\n]*[^.!?\s]")
"""An event in the log: words, without the values that belong into fields."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        yield path.relative_to(SOURCES).as_posix(), ast.parse(path.read_text("utf-8"))


def is_logged(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in LEVELS:
        return False
    return isinstance(node.func.value, ast.Name) and node.func.value.id in {"log", "_log"}


def test_events_in_the_log_are_constant_words_and_have_fields() -> None:
    odd = []
    for path, tree in trees():
        for node in ast.walk(tree):
            if not is_logged(node) or path in PASSED_ON:
                continue
            assert isinstance(node, ast.Call)
            [*events] = node.args
            event = events[0].value if len(events) == 1 and isinstance(events[0], ast.Constant) else None
            if not isinstance(event, str) or not EVENT.fullmatch(event):
                odd.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert odd == []


def test_no_name_stands_for_more_classes_than_it_did() -> None:
    found = defaultdict(set)
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].add(path)
    shared = {name for name, paths in found.items() if len(paths) > 1}
    assert shared - SHARED == set(), "each class has a name of its own"
    assert SHARED - shared == set(), "these have one by now: take them out of the list"


SHARED = frozenset({
    "Account", "Address", "Agent", "Alerts", "Algorithms", "Answers", "Ask", "Attempt", "Audit", "Central", "Certificate",
    "Certificates", "Change", "Channel", "Checks", "Clear", "ClientMethods", "Clock", "Connected", "Connection", "Content",
    "Control", "Conversation", "CoreFiles", "Credential", "Destination", "Disabled", "Download", "Drift", "Edit", "End",
    "Ended", "Entry", "Events", "Exchange", "Export", "Fields", "Figures", "File", "Files", "Follow", "Grant", "Group",
    "HostKey", "HostKeys", "Identified", "Identity", "Indexing", "Issue", "JoinRequest", "Keeper", "Kind", "Line", "Link",
    "Listeners", "Login", "Machine", "Member", "Memory", "Message", "Network", "NewPassword", "NfsTarget", "Notices",
    "Objects", "Options", "Order", "Outcome", "Parts", "Password", "Peer", "Plain", "Plan", "Policy", "Proof", "Protection",
    "Question", "RadiusServer", "Ready", "Receiver", "Record", "Relay", "Report", "Reports", "Request", "Resource",
    "Response", "Restore", "RestoreOrder", "Retention", "RsyncTarget", "Sealer", "Server", "Service", "Session", "Sessions",
    "Settings", "Setup", "Shown", "Signing", "SmbTarget", "Snapshot", "SshService", "Start", "Status", "Stop", "Stream",
    "Table", "Tap", "Target", "TargetError", "TimeStatus", "Tls", "Trial", "Verdict", "View", "Wanted", "Watch", "Worker",
    "Workers", "_Change", "_Nothing", "_Viewer",
})  # fmt: skip
"""Names that more than one class has. None is added."""
