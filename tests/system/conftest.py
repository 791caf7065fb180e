"""What the tests of a whole server share: the server of a module, somebody who is logged in, an authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pki import Authority
from tests.support.server import QUICK, Client, Server, running
from tests.system.chrony_support import need_chrony
from tests.system.seaweed_support import Seaweed, buckets


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    need_chrony()
    with running(tmp_path_factory.mktemp("server") / "state", launcher=QUICK) as started:
        yield started


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    need_chrony()
    with running(tmp_path / "state", launcher=QUICK) as started:
        yield started


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """An object store with the buckets ``backups`` and ``locked``, which has object lock; tests keep to prefixes of their own."""
    with buckets() as server:
        yield server


@pytest.fixture(scope="module")
def admin(server: Server) -> Client:
    return server.login()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()
