"""Health says so when nothing can be written about sessions."""

from __future__ import annotations

from pathlib import Path

from doorward.api.routes import _not_catalogued
from doorward.sessions.catalogue.sqlite import SqliteCatalogue


def test_a_catalogue_that_can_not_be_written_is_an_issue(tmp_path: Path) -> None:
    catalogue = SqliteCatalogue(tmp_path / "sessions.db")
    assert list(_not_catalogued(catalogue)) == []
    catalogue.writer._failing = "database or disk is full"
    (issue,) = _not_catalogued(catalogue)
    assert (issue.level, issue.path) == ("error", "/api/audit")
    assert "disk is full" in issue.message
    catalogue.close()
