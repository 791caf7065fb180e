"""What is answered to the errors of the floors below: the one table, from a class of errors to a response.

Resources let such errors pass. They catch only those to which they add something that nobody else knows, such as the change
of several that an error belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from doorward.access.approving import LostRightsError, NoApproverError, ProposalEndedError
from doorward.api import errors
from doorward.api.errors import ApiError
from doorward.areas.threads import StoppedError
from doorward.events.support_bundles import BundleRunningError
from doorward.listening.http.buffers import BuffersFullError
from doorward.store.database import is_full
from doorward.transaction.commits import NothingToConfirmError, PendingConfirmationError, ReusedKeyError
from doorward.transaction.conflicts import ConflictingChangesError
from doorward.transaction.pipeline import ApplyFailed
from doorward.transaction.queue import QueueTimeoutError
from doorward.transaction.setup import AlreadySetUpError
from doorward.tree.problems import InvalidBody, SemanticError

_TRANSACTION = "/api/transaction"


def _conflicting_changes(error: ConflictingChangesError, _error_id: str) -> ApiError:
    conflicts = [
        {"author": one.author, "path": one.path, "revision": one.revision, "running_value": one.running_value}
        for one in error.conflicts
    ]
    return errors.conflict(str(error), conflicts=conflicts, paths=[one.path for one in error.conflicts])


def _pending_confirmation(error: PendingConfirmationError, _error_id: str) -> ApiError:
    details: dict[str, Any] = {"confirm_remaining_seconds": error.remaining_seconds, "user": error.user}
    if error.commit is not None:
        details |= {"commit": error.commit, "reason": error.failure}
    return errors.conflict(str(error), **details)


_RESPONSES: Mapping[type[Exception], Callable[[Any, str], ApiError]] = {
    AlreadySetUpError: lambda _error, _id: errors.conflict("The appliance is set up already.", resource="/api/setup"),
    ApplyFailed: errors.apply_failed,
    BundleRunningError: lambda error, _id: errors.conflict(
        "Another support bundle is not finished yet.", resource=f"/api/troubleshooting/support-bundle/{error.key}"
    ),
    BuffersFullError: lambda _error, _id: errors.buffers_full(),
    ConflictingChangesError: _conflicting_changes,
    InvalidBody: lambda error, _id: errors.invalid_body(error.problems),
    LostRightsError: lambda error, _id: errors.conflict(str(error), paths=error.paths),
    NoApproverError: lambda error, _id: errors.no_approver(str(error)),
    NothingToConfirmError: lambda _error, _id: errors.conflict(
        "No commit of this account awaits a confirmation.", resource=_TRANSACTION
    ),
    PendingConfirmationError: _pending_confirmation,
    ProposalEndedError: lambda error, _id: errors.conflict(str(error), resource="/api/proposals"),
    QueueTimeoutError: lambda _error, _id: errors.unavailable("Other commits are in the way."),
    ReusedKeyError: lambda _error, _id: errors.conflict(
        "The Idempotency-Key was used for another request.", resource=_TRANSACTION
    ),
    SemanticError: lambda error, _id: errors.meaning(error.problems),
    StoppedError: lambda _error, _id: errors.unavailable("The server is stopping."),
    TimeoutError: lambda _error, _id: errors.unavailable("The request took too long."),
}


def response_to(error: Exception, error_id: str) -> ApiError | None:
    """Return what is answered to an error; None: it is a fault of ours. ``error_id`` is the id of the request."""
    if isinstance(error, ApiError):
        return error
    if is_full(error):
        return errors.no_room()
    known = next((kind for kind in type(error).__mro__ if kind in _RESPONSES), None)
    return _RESPONSES[known](error, error_id) if known is not None else None
