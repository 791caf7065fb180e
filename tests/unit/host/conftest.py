"""Hosts and times for the tests of `doorward.host`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from doorward.host import build
from doorward.host.helper.remote import remote
from doorward.host.managed import Managed
from doorward.host.sandbox import sandbox
from tests.support.fake_host import FakeHost
from tests.support.helping import helping

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from doorward.host.engine import Host


@pytest.fixture
def soon() -> float:
    """A deadline no test reaches unless it hangs."""
    return time.monotonic() + 30


@pytest.fixture(params=["fake", "sandbox", "helper"])
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Each host that needs nothing installed: the fake, a sandbox on a machine without chronyd, and that behind a helper."""
    if request.param == "fake":
        yield FakeHost()
        return
    monkeypatch.setattr(build, "find_program", lambda _: None)
    made = sandbox(tmp_path / "state")
    if request.param == "helper":
        permissive = {"check": lambda change: None, "check_touched": lambda paths: None}
        with helping(made, tmp_path / "socket", **permissive) as client:
            yield from _started(remote("sandbox", made.root, client, Managed()))
        return
    yield from _started(made)


def _started(made: Host) -> Iterator[Host]:
    made.start()
    yield made
    made.stop()
