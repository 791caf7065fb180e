"""The one table from errors of the floors below to what is answered."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from doorward.api import errors
from doorward.api.domain_errors import response_to
from doorward.events.support_bundles import BundleRunningError
from doorward.host.engine import ApplyError
from doorward.transaction.commits import NothingToConfirmError, PendingConfirmationError, ReusedKeyError
from doorward.transaction.conflicts import ConflictingChange, ConflictingChangesError
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.queue import QueueTimeoutError
from doorward.tree.problems import InvalidBody, Problem, SemanticError

PATH = "/api/configuration/datetime/ntp_servers"
PROBLEM = Problem("type", "Must be a number.", "/0", PATH)
FAILED = ApplyFailed("7", ApplyError("reload chronyd", PATH, "it is gone", restored=True))
PENDING = PendingConfirmationError("A commit awaits its confirmation.", "jane", 30, None, None)
REFUSES = PendingConfirmationError("The host refuses to go back.", "jane", 0, "it is gone", "/api/commits/7")
CHANGED = ConflictingChangesError([ConflictingChange("joe", PATH, 3, [])])


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (InvalidBody([PROBLEM]), 400, "InvalidRequestBody"),
        (SemanticError([PROBLEM]), 400, "SemanticError"),
        (CHANGED, 409, "Conflict"),
        (NothingToConfirmError(), 409, "Conflict"),
        (PENDING, 409, "Conflict"),
        (ReusedKeyError(), 409, "Conflict"),
        (BundleRunningError("7"), 409, "Conflict"),
        (FAILED, 500, "ApplyFailed"),
        (QueueTimeoutError(), 503, "ServiceUnavailable"),
        (TimeoutError(), 503, "ServiceUnavailable"),
        (OSError(errno.ENOSPC, "full"), 503, "ServiceUnavailable"),
    ],
)
def test_each_has_its_status_and_type(error: Exception, status: int, kind: str) -> None:
    found = response_to(error, "id")
    assert found is not None
    assert (found.status, found.type) == (status, kind)


def test_what_nobody_expects_is_a_fault_of_ours() -> None:
    assert response_to(KeyError("password"), "id") is None
    assert response_to(sqlite3.OperationalError("database is locked"), "id") is None


def test_an_answer_is_itself() -> None:
    refusal = errors.conflict("No.")
    assert response_to(refusal, "id") is refusal


def test_a_subclass_is_answered_as_its_base() -> None:
    class NarrowError(SemanticError):
        pass

    found = response_to(NarrowError([PROBLEM]), "id")
    assert found is not None
    assert found.type == "SemanticError"


def details(error: Exception) -> object:
    found = response_to(error, "id")
    assert found is not None
    return found.details


def test_problems_are_told_with_their_places() -> None:
    shown = {"code": "type", "message": "Must be a number.", "pointer": "/0"}
    assert details(InvalidBody([PROBLEM])) == {"errors": [shown]}
    assert details(SemanticError([PROBLEM])) == {"errors": [{**shown, "path": PATH}]}


def test_a_conflict_says_who_changed_what() -> None:
    conflict = {"author": "joe", "path": PATH, "revision": 3, "running_value": []}
    assert details(CHANGED) == {"conflicts": [conflict], "paths": [PATH]}


def test_a_pending_commit_says_whose_and_what_is_wrong_with_it() -> None:
    assert details(PENDING) == {"confirm_remaining_seconds": 30, "user": "jane"}
    assert details(REFUSES) == {
        "commit": "/api/commits/7",
        "confirm_remaining_seconds": 0,
        "reason": "it is gone",
        "user": "jane",
    }


def test_what_the_host_did_not_take_carries_the_id_of_the_request() -> None:
    assert details(FAILED) == {
        "action": "reload chronyd",
        "commit": "/api/commits/7",
        "error_id": "id",
        "path": PATH,
        "reason": "it is gone",
        "restored": True,
    }
