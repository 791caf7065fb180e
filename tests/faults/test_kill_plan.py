"""The kills of this folder are as many as promised."""

from __future__ import annotations

from tests.faults import plan


def test_there_are_two_hundred_kills_and_more() -> None:
    steps = [
        plan.TIME_SERVERS, plan.TIME_ZONE, plan.EVERYTHING, plan.STORE_ONLY, plan.RESTORE, plan.COMMIT_TO_CONFIRM,
        plan.CONFIRMATION, plan.RETURN, plan.RECOVERY, plan.FIRST_START, plan.AT_ANY_TIME,
        len(plan.LISTENERS), len(plan.NETWORK), len(plan.BATCH),
    ]  # fmt: skip
    assert sum(steps) >= 200
