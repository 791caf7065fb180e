"""A node that has started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.transaction.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path).started()
    yield made
    made.close()
