"""Health says so when nothing can be written about sessions."""

from __future__ import annotations

from pathlib import Path

from doorward.appliance.sessions import SessionParts
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.tree.snapshot import Snapshot


def test_a_catalogue_that_can_not_be_written_is_an_issue(tmp_path: Path) -> None:
    parts = SessionParts.at(tmp_path, Snapshot)
    assert list(parts.issues()) == []
    assert [figure.value for figure in parts.metrics()] == [0]
    assert isinstance(parts.catalogue, KeptSessions)
    parts.catalogue.writer._failing = "database or disk is full"
    (issue,) = parts.issues()
    assert (issue.level, issue.path) == ("error", "/api/audit")
    assert "disk is full" in issue.message
    assert [figure.value for figure in parts.metrics()] == [1]
    parts.stop()
