"""kill -9 at every step of the very first start: the next one makes what is missing, and somebody can log in."""

from __future__ import annotations

from pathlib import Path

from tests.faults.checks import check, look, write_servers
from tests.faults.plan import FIRST_START
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


def test_the_start_after_a_first_start_killed_at_any_step_is_whole(tmp_path: Path) -> None:
    seen = Victim(tmp_path / "seen", DOORWARD_ADMIN_PASSWORD="")
    seen.state.parent.mkdir()
    survey = seen.survey_start()
    seen.stop()
    survey.all_killed(lambda step: kill(tmp_path / str(step), step), FIRST_START)
