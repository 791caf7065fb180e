"""The server that the tests of a file kill, again and again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.victim import Victim


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    """A server in the trap."""
    made = Victim(tmp_path_factory.mktemp("victim"))
    yield made
    made.stop()
