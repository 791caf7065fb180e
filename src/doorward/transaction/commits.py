"""Commits as clients ask for them: known from the first moment, one after the other, and only once for an Idempotency-Key."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated

from msgspec import Struct
from msgspec.structs import replace
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from doorward.store.port import CommitRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.confirmation import Confirmations
from doorward.transaction.conflicts import explained
from doorward.transaction.merge import MergeConflict
from doorward.transaction.order import Order
from doorward.transaction.pipeline import Pipeline
from doorward.transaction.queue import CommitQueue
from doorward.tree.times import now

MAX_MESSAGE_LENGTH = 4096
"""Characters of a commit message (protocol, section 8.6)."""


def _trimmed(message: str) -> str:
    message = message.strip()
    if len(message) > MAX_MESSAGE_LENGTH:
        raise PydanticCustomError("length", f"At most {MAX_MESSAGE_LENGTH} characters.")
    return message


CommitMessage = Annotated[str, AfterValidator(_trimmed)]
"""A commit message, without blanks at its ends."""


class ReusedKeyError(Exception):
    """An account used its Idempotency-Key for another request before."""


class PendingConfirmationError(Exception):
    """Another commit awaits its confirmation. ``failure``: why it could not be taken back, and ``commit`` its record's path."""

    def __init__(self, message: str, user: str, remaining_seconds: int | None, failure: str | None, commit: str | None) -> None:
        self.user, self.remaining_seconds, self.failure, self.commit = user, remaining_seconds, failure, commit
        super().__init__(message)


class NothingToConfirmError(Exception):
    """No commit of the account awaits a confirmation."""


class CommitOutcome(Struct, frozen=True):
    """How a commit ended. ``is_replayed``: it was carried out for an earlier request with the same Idempotency-Key."""

    record: CommitRecord
    is_replayed: bool = False


Work = Callable[[Order], Awaitable[CommitRecord]]
"""Carries out an order and returns the record of the commit."""

Prepare = Callable[[Order], tuple[Candidate, Order]]
"""Returns what is to be committed, and the order with what is known by then. Runs in the commit thread."""


class CommitService:
    """Takes orders from clients. A commit that has begun goes on when its client goes away."""

    def __init__(self, pipeline: Pipeline, queue: CommitQueue, confirmations: Confirmations) -> None:
        self.pipeline, self.queue, self.confirmations = pipeline, queue, confirmations
        self._in_flight: dict[tuple[str, str], asyncio.Event] = {}
        """By account and key; set when the request that has the key at this moment has ended."""

    async def once(self, order: Order, work: Work) -> CommitOutcome:
        """Carry out an order, or return how it ended where the Idempotency-Key of the account was seen before.

        The commit is known by its id and its key before anything is awaited. Raises ReusedKeyError, and what ``work`` raises.
        """
        doing = self.pipeline.now_doing
        waiting = CommitRecord(
            str(uuid.uuid4()), order.user, now(), "queued",
            idempotency_key=order.idempotency_key, request=order.request, account=order.account,
        )  # fmt: skip
        doing[waiting.id] = waiting

        def ended(task: asyncio.Task[CommitOutcome]) -> None:
            # Its turn never came.
            if doing.get(waiting.id) is waiting:
                del doing[waiting.id]
            # Whoever waited may be gone by now.
            if not task.cancelled():
                task.exception()

        task = asyncio.ensure_future(self._unless_known(replace(order, commit_id=waiting.id), work))
        task.add_done_callback(ended)
        return await asyncio.shield(task)

    async def _unless_known(self, order: Order, work: Work) -> CommitOutcome:
        """Carry out an order, after the one that has the same key at this moment."""
        key = order.idempotency_key
        if key is None:
            return CommitOutcome(await work(order))
        name = (order.account, key)
        while (before := self._in_flight.get(name)) is not None:
            await before.wait()
        ended = self._in_flight[name] = asyncio.Event()
        try:
            known = await asyncio.to_thread(self.pipeline.store.commit_record, key, order.account)
            if known is None or known.idempotency_key != key or known.state == "failed":
                return CommitOutcome(await work(order))
        finally:
            del self._in_flight[name]
            ended.set()
        if known.request != order.request:
            raise ReusedKeyError
        return CommitOutcome(known, is_replayed=True)

    async def commit(self, order: Order, check: Callable[[], None], prepare: Prepare) -> CommitRecord:
        """Wait for the turn and commit. Raises QueueTimeoutError, and what ``commit_now`` raises."""
        return await self.queue.run(lambda: self.commit_now(order, check, prepare))

    def commit_now(self, order: Order, check: Callable[[], None], prepare: Prepare) -> CommitRecord:
        """Commit, in the commit thread. ``check`` raises where whoever asks may no longer do so after all commits before.

        Raises PendingConfirmationError, ConflictingChangesError, SemanticError or ApplyFailed.
        """
        check()
        self.check_pending()
        candidate, order = prepare(order)
        try:
            record = self.pipeline.commit(candidate, order)
        except MergeConflict as collided:
            raise explained(self.pipeline.store, candidate.base.number, self.pipeline.running, collided) from None
        if order.confirm_seconds is not None:
            self.confirmations.load()
        return record

    def check_pending(self) -> None:
        """Raise PendingConfirmationError while a commit awaits its confirmation."""
        awaited = self.confirmations
        if (pending := awaited.pending) is None:
            return
        failure, commit = (None, None) if awaited.failure is None else (pending.failure, awaited.failure[1])
        raise PendingConfirmationError(awaited.reason or "", pending.user, awaited.remaining_seconds, failure, commit)

    async def confirm(self, account: str, check: Callable[[], None], may_write_everything: Callable[[], bool]) -> int:
        """Wait for the turn, confirm the pending commit and return its revision. ``check``: as with a commit.

        Its account may, and where it can't be taken back, whoever may write everything: the account may be locked out. No token
        stands for that other one.
        Raises QueueTimeoutError or NothingToConfirmError.
        """

        def work() -> int:
            check()
            pending = self.confirmations.pending
            if pending is None:
                raise NothingToConfirmError
            record = self.pipeline.store.commit_record(pending.commit_id)
            is_own = record is not None and record.account == account
            if not is_own and (pending.failure is None or not may_write_everything()):
                raise NothingToConfirmError
            self.confirmations.confirm(pending)
            return pending.revision

        return await self.queue.run(work)
