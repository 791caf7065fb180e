"""A catalogue of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.sessions.catalogue.sqlite import SqliteCatalogue


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[SqliteCatalogue]:
    made = SqliteCatalogue(tmp_path / "sessions.db")
    yield made
    made.close()
