"""kill -9 at every step of the very first start: the next one makes what is missing, and somebody can log in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.checks import check, write_servers
from tests.faults.plan import FIRST_START
from tests.faults.victim import Survey, Victim

PARTS = 4
"""Of the steps: all of them take minutes on a busy machine, which no single test should."""
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
        check(victim.client, victim.state, None, where)
        victim.commit(write_servers)
    finally:
        victim.stop()
    return died


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """The steps of a first start."""
    seen = Victim(tmp_path_factory.mktemp("seen"), DOORWARD_ADMIN_PASSWORD="")
    found = seen.survey_start()
    seen.stop()
    return found


@pytest.mark.parametrize("part", range(PARTS))
def test_the_start_after_a_first_start_killed_at_any_step_is_whole(tmp_path: Path, survey: Survey, part: int) -> None:
    survey.all_killed(lambda step: kill(tmp_path / str(step), step), FIRST_START, part, PARTS)
