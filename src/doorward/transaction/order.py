"""The order of a commit: who asks for it, and with what."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from msgspec import Struct

from doorward.store.port import CommitRecord, Past, StoredRecord
from doorward.tree.times import now


class Order(Struct, frozen=True):
    """Who asks for a commit, and with what. ``account`` is the key of the account that asks, "" for the appliance itself.

    ``confirm_seconds``: goes back after that many seconds unless confirmed. ``records`` are written together
    with the revision, ``past`` takes the place of the store's own history. ``everything``: whoever asks may do
    everything. ``results`` and ``warnings`` of the changes that came with the order become part of its record.

    ``when_guarded``: what becomes of it where the approval of changes guards what it changes. "pass" is for what the appliance
    does by itself, for what was accepted (``approvers``: by whom), and for emergencies, which are marked and told.
    """

    user: str
    address: str
    message: str | None = None
    confirm_seconds: int | None = None
    commit_id: str = ""
    idempotency_key: str | None = None
    request: str | None = None
    records: tuple[StoredRecord, ...] = ()
    past: Past | None = None
    everything: bool = False
    account: str = ""
    results: list[dict[str, Any]] | None = None
    warnings: tuple[dict[str, Any], ...] = ()
    when_guarded: Literal["refuse", "propose", "pass"] = "refuse"
    approvers: tuple[str, ...] = ()
    emergency: bool = False


def begun(order: Order) -> CommitRecord:
    """Return the record of a commit that begins."""
    return CommitRecord(
        order.commit_id or str(uuid.uuid4()), order.user, now(), "validating",
        idempotency_key=order.idempotency_key, request=order.request, account=order.account, results=order.results,
    )  # fmt: skip
