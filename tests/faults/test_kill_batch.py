"""kill -9 at steps of changes that come with their commit in one request: all of them are there afterwards, or none."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import httpx2
import pytest

from tests.faults import plan
from tests.faults.checks import NTP, PASSWORDS, USERS, WEB, accepted, look
from tests.faults.victim import Victim
from tests.support.waiting import PATIENCE


def batch(turn: int) -> dict[str, Any]:
    """Something in the store, something on the host, an account with its password."""
    return {
        "changes": [
            {"method": "PUT", "path": WEB, "body": {"timeout": 10 + turn % 50}},
            {"method": "PUT", "path": NTP, "body": [{"selection": "ip", "value": f"127.0.6.{turn % 200 + 1}"}]},
            {"method": "POST", "path": PASSWORDS, "body": {"plain": f"the password of turn {turn}"}, "id": "password"},
            {"method": "POST", "path": USERS, "body": {"name": f"turn-{turn}", "password": "@new:password"}},
        ]
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {path for path in before if before[path] != after[path]}


@pytest.mark.parametrize("step", plan.BATCH)
def test_a_kill_leaves_all_of_it_or_nothing(victim: Victim, step: int | str) -> None:
    victim.turn += 1
    before, order = look(victim.client), batch(victim.turn)
    key = {"Idempotency-Key": f"turn {victim.turn} at {step}"}
    with victim.trapped(step), suppress(httpx2.TransportError):
        victim.client.post("/api/commits", order, headers=key)
    victim.process.wait(PATIENCE)
    now = look(victim.client)
    assert differences(before, now) in (set(), {WEB, NTP, USERS}), victim.where
    victim.check([now])
    answer = victim.client.post("/api/commits", order, headers=key)
    if answer.status_code == 500:  # the record says what became of the first try: it was undone
        assert answer.json()["error"]["details"]["restored"] is True
        assert now == before
        answer = victim.client.post("/api/commits", order)
    assert len(accepted(answer).json()["results"]) == 4
    names = [user["name"] for user in look(victim.client)[USERS].values()]
    assert names.count(f"turn-{victim.turn}") == 1
