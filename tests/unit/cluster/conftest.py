"""A centre, and what makes nodes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cluster.pairs import Centre, Node


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    made = Centre(tmp_path / "centre")
    yield made
    made.rig.close()


@pytest.fixture
def join(tmp_path: Path, centre: Centre) -> Iterator[Callable[..., Node]]:
    """Make a node of the cluster with some roles."""
    found: list[Node] = []

    def more(*roles: str) -> Node:
        found.append(Node(tmp_path / f"node{len(found)}", centre, *roles))
        return found[-1]

    yield more
    for node in found:
        node.rig.close()
