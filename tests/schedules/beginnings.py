"""What schedules begin with, and what is played while they run."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from doorward.membership import promote
from tests.schedules.base import Template
from tests.schedules.machine import NAMES
from tests.schedules.node import Node
from tests.schedules.wire import Wire
from tests.schedules.world import World


@contextmanager
def simulated() -> Iterator[None]:
    """Replace TCP and TLS, and let the channel refuse at once, which the world holds instead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("doorward.cluster.connection.ChannelConnection", Wire)
        patch.setattr("doorward.cluster.channel.HOLD_SECONDS", 0.0)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        yield
        structlog.reset_defaults()


def templates(directory: Path) -> dict[str, Template]:
    """Make what worlds begin with: a Central Management and four nodes unknown to it, and one with three nodes, two managed."""
    fresh = Template(directory / "fresh", time.time())
    for number, name in enumerate(NAMES, 1):
        (fresh.directory / name).mkdir(parents=True)
        node = Node(name, fresh.directory / name, f"10.0.0.{number}", lambda: fresh.now)
        node.open()
        node.enable()
        if number == 1:
            node.ask("POST", promote.PATH, {})
        node.close()
    world = World(fresh, Path(tempfile.mkdtemp(dir=directory)))
    for name, managed in (("one", True), ("two", True), ("three", False)):
        world.ask(name)
        world.accept(name)
        world.advance(10.0)
        world.give(name, managed=managed)
    world.advance(120.0)
    world.settle()
    joined = Template(directory / "joined", world.now, {key: (at, 0, ran) for key, (at, _, ran) in world.reports.items()})
    for node in world.nodes:
        node.close()
        shutil.copytree(node.directory, joined.directory / node.name)
    world.close()
    return {"fresh": fresh, "joined": joined}
