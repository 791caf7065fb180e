"""What every answer about a transaction tells: whether one is open, and which commit awaits its confirmation (section 8.1)."""

from __future__ import annotations

from typing import Any, Final

from doorward.api.request import Response
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService
from doorward.transaction.planner import requires_message

HREF: Final = "/api/transaction"
CHANGES: Final = f"{HREF}/changes"


def status(service: CommitService, candidate: Candidate | None, **links: Any) -> Response:
    """Return the status body."""
    state = "closed" if candidate is None else "open"
    message = "required" if requires_message(service.pipeline.running.snapshot) else "optional"
    if candidate is not None and candidate.changed:
        links["changes"] = CHANGES
    if service.confirmations.remaining_seconds is not None:
        links["confirm_remaining_seconds"] = service.confirmations.remaining_seconds
    if (pending := service.confirmations.pending) is not None:
        links["confirm_deadline"] = round(pending.deadline)
        links["confirm_revision"], links["confirm_user"] = pending.revision, pending.user
    if service.confirmations.failure is not None:
        links["revert_failed"], links["commit"] = service.confirmations.failure
    content = {
        "body": {"commit_message": message, "status": state},
        "key": "transaction",
        "meta": {"href": HREF, "parent": "/api", **links},
        "transaction": {"status": state},
    }
    return Response(content)
