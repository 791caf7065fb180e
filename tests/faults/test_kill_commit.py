"""kill -9 at every step of a commit, by what it is about."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.faults import plan
from tests.faults.checks import write_everything, write_previous, write_servers, write_web, write_zone
from tests.faults.victim import Victim, Write


@dataclass(frozen=True)
class Kind:
    """What commits are about, how many steps they have at the least, and what is committed ahead of them all."""

    write: Write
    steps: int
    first: Write


KINDS = {
    "time servers": Kind(write_servers, plan.TIME_SERVERS, write_servers),  # a file, a reload of chronyd, a read-back
    "time zone": Kind(write_zone, plan.TIME_ZONE, write_zone),  # a link, a file, a proof
    "store only": Kind(write_web, plan.STORE_ONLY, write_web),  # nothing on the host
    "restored revision": Kind(write_previous, plan.RESTORE, write_everything),
}


@pytest.fixture
def kind(victim: Victim, request: pytest.FixtureRequest) -> Kind:
    """What the next commits are about."""
    found = KINDS[request.param]
    victim.commit(found.first)
    return found


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_a_kill_at_every_step_leaves_the_old_or_the_new(victim: Victim, kind: Kind) -> None:
    def kill(step: int) -> bool:
        died = victim.kill_in_commit(step, kind.write)
        victim.commit(kind.write)
        return died

    victim.survey(lambda: victim.commit(kind.write)).all_killed(kill, kind.steps)
