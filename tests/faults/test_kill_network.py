"""kill -9 while a commit takes the network over: addresses, files and names are the old or the new, and what is ours is noted."""

from __future__ import annotations

import pytest

from tests.faults.checks import write_network
from tests.faults.plan import NETWORK
from tests.faults.victim import Victim


@pytest.mark.parametrize("step", NETWORK)
def test_a_kill_leaves_the_old_or_the_new(victim: Victim, step: str | int) -> None:
    (victim.state / "managed.json").unlink(missing_ok=True)
    for name in ("etc/hostname", "etc/hosts", "etc/systemd/network/10-doorward-sandbox0.network"):
        (victim.state / "root" / name).unlink(missing_ok=True)
    if victim.server.process is not None:
        victim.stop()  # what is ours is read at the start
    assert victim.kill_in_commit(step, write_network), f"{victim.where} and survived"
