"""A new password for ``admin`` without the old one, on the machine itself, for whoever owns the state directory."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from doorward.configuration import passwords
from doorward.configuration.aaa.local_database import users
from doorward.store.port import Store, StoredRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.pipeline import SYSTEM, ApplyFailed, Order, Pipeline
from doorward.transaction.setup import awaited
from doorward.tree.problems import InvalidBody, SemanticError

MESSAGE = "The password of admin was reset on the machine."
_KIND = "password_reset"
"""The kind of the records that tell of resets until an alert was raised."""


class NotResetError(Exception):
    """Why the password stays, in a sentence for the operator."""


def reset_password(pipeline: Pipeline, text: str) -> int:
    """Give ``admin`` a password, as a revision of its own; return the number of that. Raises NotResetError.

    Blocks; runs in the commit thread, or where nobody else has the store.
    """
    if pipeline.store.intent() is not None or pipeline.store.confirmation() is not None:
        raise NotResetError("A commit is unfinished or awaits its confirmation; wait, with the server running, until it is over.")
    if awaited(pipeline.running):
        raise NotResetError("The node awaits its first settings, which bring the password: `doorward setup`.")
    candidate = Candidate.on(pipeline.running)
    try:
        key, _ = pipeline.tree.node(passwords.PATH).add(candidate, {"plain": text}, strict=True)
        pipeline.tree.node(users.PATH).replace(candidate, users.ADMIN, {"name": "admin", "password": key}, strict=True)
        told = StoredRecord(_KIND, uuid.uuid4().hex, {"revision": pipeline.running.number + 1})
        pipeline.commit(candidate, Order(SYSTEM, "", MESSAGE, records=(told,)))
    except (InvalidBody, SemanticError) as refused:
        raise NotResetError(" ".join(problem.message for problem in refused.problems)) from None
    except ApplyFailed as failed:
        raise NotResetError(f"{failed.reason}.") from None
    return pipeline.running.number


def untold_resets(store: Store) -> Iterator[int]:
    """Yield the revisions of resets that nobody was told of yet; each is forgotten when the next one is asked for."""
    for record in store.records(_KIND):
        yield record.body["revision"]
        store.remove_record(_KIND, record.id)
