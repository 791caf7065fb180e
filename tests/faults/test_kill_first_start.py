"""kill -9 at every step of the very first start: the next one makes what is missing, and somebody can log in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.checks import check, look, write_servers
from tests.faults.plan import BEYOND, FIRST_START
from tests.faults.victim import Victim

GENERATED = "initial-admin-password"


def kill(directory: Path, step: int) -> bool:
    """Kill a first start that generates a password, then start again, commit, and stop."""
    directory.mkdir(exist_ok=True)
    victim = Victim(directory, DOORWARD_ADMIN_PASSWORD="")
    try:
        died = victim.start_trapped(step)
        if not died:
            victim.server.kill()
        where = victim.where
        victim.server.start()
        victim.enter((victim.state / GENERATED).read_text().strip())
        assert [item["key"] for item in victim.client.get("/api/revisions").json()["items"]] == ["1"], where
        check(victim.client, victim.state, [look(victim.client)], where)
        victim.commit(write_servers)
    finally:
        victim.stop()
    return died


@pytest.mark.parametrize("step", range(1, FIRST_START + 1))
def test_the_start_after_a_killed_first_start_is_whole(tmp_path: Path, step: int) -> None:
    assert kill(tmp_path, step), "survived: there are fewer steps than planned"


def test_no_step_is_left_out(tmp_path: Path) -> None:
    further = range(FIRST_START + 1, FIRST_START + BEYOND)
    assert not all(kill(tmp_path / str(step), step) for step in further), "there are many more steps than planned"
