"""kill -9 while the listener of the API moves to another port: the next start listens on the old one or on the new one."""

from __future__ import annotations

import socket

import pytest

from tests.faults.checks import ADMIN_WEB, write_listener
from tests.faults.plan import LISTENERS
from tests.faults.victim import Victim


@pytest.mark.parametrize("step", LISTENERS)
def test_a_kill_in_a_move_leaves_the_old_or_the_new(victim: Victim, step: str) -> None:
    before = victim.client.body(ADMIN_WEB)["listen"][0]["https_port"]
    assert victim.kill_in_commit(step, write_listener), f"{victim.where} and survived"
    [line] = victim.client.body(ADMIN_WEB)["listen"]
    assert line["https_port"] == victim.server.port
    if victim.server.port != before:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", before), 5)
