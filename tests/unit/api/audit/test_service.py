"""What goes wrong with a trail in an archive, as the API answers it."""

from __future__ import annotations

import pytest

from doorward.api.audit.service import refusals
from doorward.api.errors import ApiError
from doorward.sessions.central.port import NodeRefusedError
from doorward.sessions.trails import TrailUnavailableError
from tests.unit.api.audit.parts import request


def answered(error: Exception) -> ApiError:
    with pytest.raises(ApiError) as caught, refusals(request("/api/audit/sessions/x/audit_trail")):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("no_such_path", "archived_trail_missing"),
        ("verify_failed", "archived_trail_changed"),
        ("policy_changed", "archived_trail_unreachable"),
    ],
)
def test_a_trail_that_is_lost_is_a_conflict(code: str, told: str) -> None:
    refusal = answered(TrailUnavailableError(code, "It is lost.", is_lasting=True))
    assert (refusal.status, refusal.details["code"]) == (409, told)
    assert refusal.message == "The trail can't be had from the archive. It is lost."


@pytest.mark.parametrize("code", ["fetching", "busy", "connect", "auth_failed", "no_local_space"])
def test_a_trail_that_may_come_later_is_to_be_asked_for_again(code: str) -> None:
    refusal = answered(TrailUnavailableError(code, "Not now."))
    assert (refusal.status, refusal.details["code"], refusal.headers["Retry-After"]) == (503, code, "5")


def test_another_node_that_has_not_fetched_it_is_to_be_asked_again() -> None:
    assert answered(NodeRefusedError("trail_unavailable")).status == 503
