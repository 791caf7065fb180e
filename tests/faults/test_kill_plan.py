"""What the kills of this folder are chosen by, and that they are as many as promised."""

from __future__ import annotations

from tests.faults import plan
from tests.faults.checks import write_everything
from tests.faults.victim import Survey, Victim


def test_a_step_that_leaves_nothing_new_is_passed_by() -> None:
    lines = ["1 before run a b leaves x", "2 before BEGIN leaves x", "3 before COMMIT leaves x", "4 after COMMIT leaves y"]
    survey = Survey.read([*lines, "5 before answer 200 leaves y"])
    assert survey.names == ("before run a b", "before BEGIN", "before COMMIT", "after COMMIT", "before answer 200")
    assert survey.differing == (1, 2, 4)


def test_a_commit_is_killed_wherever_it_leaves_something_else(victim: Victim) -> None:
    victim.commit(write_everything)
    survey = victim.survey(lambda: victim.commit(write_everything))
    # Of other threads some steps may stand between: at most as many places as there are steps that change nothing.
    changing = [name for name in survey.names if name.endswith(("COMMIT", "rename", "symlink"))]
    assert len(changing) <= len(survey.differing) < len(survey.names) - 15


def test_there_are_two_hundred_steps_and_more() -> None:
    steps = [
        plan.TIME_SERVERS, plan.TIME_ZONE, plan.EVERYTHING, plan.STORE_ONLY, plan.RESTORE, plan.COMMIT_TO_CONFIRM,
        plan.CONFIRMATION, plan.RETURN, plan.RECOVERY, plan.FIRST_START, plan.AT_ANY_TIME,
        len(plan.LISTENERS), len(plan.NETWORK), len(plan.BATCH),
    ]  # fmt: skip
    assert sum(steps) >= 200
