"""A new password that somebody gives the own account: a revision of its own, that needs no right to accounts."""

from __future__ import annotations

from collections.abc import Callable

from doorward.configuration import passwords
from doorward.configuration.aaa.local_database import users
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.transaction.pipeline import Pipeline
from doorward.tree.places import Place

WEAK = "weak_password"
"""The code of what the password policy has against a password."""


def change_password(
    pipeline: Pipeline, account: str, text: str, address: str, about_to_have: Callable[[str], None]
) -> None:  # fmt: skip
    """Give an account a password. ``about_to_have`` gets the key of the new one before it counts. Runs in the commit thread.

    Raises InvalidBody, SemanticError and ApplyFailed; then the old one stays.
    """
    running = pipeline.running
    user, document = running.snapshot.find(users.NODE, account), running.snapshot.document(Place(users.PATH, account))
    if user is None or document is None:
        raise LookupError(account)
    candidate = Candidate.on(running)
    key, _ = pipeline.tree.node(passwords.PATH).add(candidate, {"plain": text}, strict=True)
    body = {**document.value, "password": key}
    pipeline.tree.node(users.PATH).replace(candidate, account, body, strict=True)
    about_to_have(key)
    message = f"{user.name} changed the own password."
    pipeline.commit(candidate, Order(user.name, address, message, account=account, when_guarded="pass"))
