"""Every adapter of the store port, on a fresh place."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from doorward.store.port import Store


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.at(tmp_path / "data.key", create=True)


@pytest.fixture(params=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, vault: Vault) -> Iterator[Callable[[], Store]]:
    """Opens the same store as often as it is called; an adapter that is added here passes the whole suite."""
    opened: list[SqliteStore] = []

    def opener() -> Store:
        opened.append(SqliteStore(tmp_path / "doorward.db", vault))
        return opened[-1]

    yield opener
    for store in opened:
        with contextlib.suppress(RuntimeError):  # closed by the test
            store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture
def other_store(tmp_path: Path) -> Iterator[Store]:
    """A store of another node, with another data key."""
    made = SqliteStore(tmp_path / "other.db", Vault.at(tmp_path / "other.key", create=True))
    yield made
    made.close()
