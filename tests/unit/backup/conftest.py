"""A node with something to back up; a store and a clock alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.unit.backup.fakes import Clock
from tests.unit.backup.parts import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[[], Site]]:
    """Make nodes, each of its own."""
    made: list[Site] = []

    def make() -> Site:
        made.append(Site(tmp_path / f"node{len(made)}"))
        return made[-1]

    yield make
    for site in made:
        site.rig.close()


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    return new_site()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "doorward.db", Vault.at(tmp_path / "data.key", create=True))
    yield made
    made.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()
