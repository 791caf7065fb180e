"""A Central Management, and what makes nodes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cluster.pairs import Node, PairedCentral


@pytest.fixture
def central(tmp_path: Path) -> Iterator[PairedCentral]:
    made = PairedCentral(tmp_path / "centre")
    yield made
    made.rig.close()


@pytest.fixture
def join(tmp_path: Path, central: PairedCentral) -> Iterator[Callable[..., Node]]:
    """Make a node of the cluster with some roles."""
    found: list[Node] = []

    def more(*roles: str) -> Node:
        found.append(Node(tmp_path / f"node{len(found)}", central, *roles))
        return found[-1]

    yield more
    for node in found:
        node.rig.close()
