"""A supervisor of real workers, whose sessions a test drives by lines."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doorward.proxy.supervisor.ending import stop
from doorward.proxy.worker.places import Places
from tests.support.server import until
from tests.support.waiting import PATIENCE

LAUNCH = Path(__file__).with_name("launch.py")
Start = Callable[..., Places]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a supervisor in a directory; each that was started is ended, with its workers."""
    processes: list[tuple[subprocess.Popen[bytes], Places]] = []

    def started(directory: Path | None = None, count: int = 1) -> Places:
        directory = directory or tmp_path_factory.mktemp("workers")
        places = Places.of(directory)
        processes.append((subprocess.Popen([sys.executable, str(LAUNCH), str(directory), str(count)]), places))
        until(lambda: len(places.workers()) == count, what="workers")
        return places

    yield started
    for process, places in processes:
        stop(places)
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def worker(start: Start) -> Places:
    """One worker, for all tests of a module."""
    return start()
