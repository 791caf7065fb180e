"""Ways back in for whoever owns the state directory: a password for ``admin`` without the old one, and an end of approval."""

from __future__ import annotations

from doorward.configuration import passwords
from doorward.configuration.aaa.local_database import users
from doorward.configuration.management import change_approval
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Pipeline
from doorward.transaction.setup import awaited
from doorward.transaction.untold import untold
from doorward.tree.problems import InvalidBody, SemanticError

MESSAGE = "The password of admin was reset on the machine."
APPROVAL_MESSAGE = "Approval of changes was switched off on the machine."


class NotResetError(Exception):
    """Why everything stays as it is, in a sentence for the operator."""


def reset_password(pipeline: Pipeline, text: str) -> int:
    """Give ``admin`` a password, as a revision of its own; return the number of that. Raises NotResetError.

    Blocks; runs in the commit thread, or where nobody else has the store.
    """
    _check_ready(pipeline)
    candidate = Candidate.on(pipeline.running)
    try:
        key, _ = pipeline.tree.node(passwords.PATH).add(candidate, {"plain": text}, strict=True)
        pipeline.tree.node(users.PATH).replace(candidate, users.ADMIN, {"name": "admin", "password": key}, strict=True)
    except (InvalidBody, SemanticError) as refused:
        raise NotResetError(" ".join(problem.message for problem in refused.problems)) from None
    return _commit(pipeline, candidate, MESSAGE, "password_reset", "The password of admin was reset on the machine")


def reset_approval(pipeline: Pipeline) -> int:
    """Switch the approval of changes off, as a revision of its own; return the number of that. Raises NotResetError.

    For where nobody is left who could accept. Blocks; runs where ``reset_password`` does.
    """
    _check_ready(pipeline)
    if change_approval.settings(pipeline.running.snapshot) is None:
        raise NotResetError("Approval of changes is not switched on.")
    candidate = Candidate.on(pipeline.running)
    pipeline.tree.node(change_approval.PATH).replace(candidate, "", {"enabled": False}, strict=True)
    return _commit(
        pipeline, candidate, APPROVAL_MESSAGE, "approval_reset", "Approval of changes was switched off on the machine"
    )  # fmt: skip


def _check_ready(pipeline: Pipeline) -> None:
    if pipeline.store.intent() is not None or pipeline.store.confirmation() is not None:
        raise NotResetError("A commit is unfinished or awaits its confirmation; wait, with the server running, until it is over.")
    if awaited(pipeline.running):
        raise NotResetError("The node awaits its first settings, which bring the password: `doorward setup`.")


def _commit(pipeline: Pipeline, candidate: Candidate, message: str, alert: str, text: str) -> int:
    told = untold(alert, text, pipeline.running.number + 1)
    try:
        pipeline.commit(candidate, Order(SYSTEM, "", message, records=(told,), when_guarded="pass"))
    except SemanticError as refused:
        raise NotResetError(" ".join(problem.message for problem in refused.problems)) from None
    except ApplyFailed as failed:
        raise NotResetError(f"{failed.reason}.") from None
    return pipeline.running.number
