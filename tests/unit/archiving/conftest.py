"""A node that archives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.archiving.parts import ArchivingSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ArchivingSite]:
    made = ArchivingSite(tmp_path, monkeypatch)
    yield made
    made.close()
