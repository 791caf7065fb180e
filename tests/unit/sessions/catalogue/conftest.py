"""A catalogue of its own for each test, of every engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.sessions.catalogue.keeping import KeptSessions
from tests.support.catalogues import ENGINES, opened


@pytest.fixture(params=ENGINES)
def catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeptSessions]:
    with opened(request.param, tmp_path) as made:
        yield made
