"""What the tests of the effect on the host share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.system.chrony_support import need_chrony


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    need_chrony()
    made = Server(tmp_path / "state").start()
    yield made
    made.stop()
