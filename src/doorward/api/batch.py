"""``POST /api/commits``: changes and their commit in one request, all of it or nothing (extension).

The caller's open transaction has no part in it. The changes are put in when their turn to be committed has come, onto what runs
then, so that nobody else's commit can collide with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from msgspec.structs import replace

from doorward.api import errors
from doorward.api.batch_order import ORDER, BatchOrder, checked
from doorward.api.commit_records import Commits
from doorward.api.configuration import Configuration
from doorward.api.openapi_transaction import ORDERING, STATUS
from doorward.api.request import BATCH_LIMIT, Request, Response
from doorward.api.resources import Operation, answer_schema
from doorward.api.staging import RefusedChangesError, Staging
from doorward.api.transaction import (
    CommitOrder,
    Transaction,
    check_emergency,
    commit_order,
    finished,
    idempotency_key,
    still_permitted,
)
from doorward.areas.threads import HEAVY
from doorward.store.port import CommitRecord
from doorward.transaction.batch import BatchChange
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import Problem, SemanticError, as_json

HREF = "/api/commits"
_LARGE = 1 << 16
"""Bytes of a body beyond which it is decoded and checked in a thread."""
_RESULT = {
    "x-component": "ChangeResult",
    "type": "object",
    "properties": {
        "href": {"type": "string"},
        "key": {"type": "string"},
        "status": {"type": "integer", "enum": [200, 201], "description": "What the single request would have answered."},
    },
    "required": ["href", "key", "status"],
}
_ANSWER = answer_schema(
    STATUS["properties"]["meta"],
    **{name: schema for name, schema in STATUS["properties"].items() if name != "meta"},
    results={"type": "array", "items": _RESULT, "description": "One for each change, in order."},
)


class CommitsAndBatches(Commits):
    """The records of commits, and changes with their commit in one request."""

    for_every_token = frozenset({"POST"})

    operations = {
        **Commits.operations,
        "POST": Operation(
            "Change and commit in one request, all of it or nothing.",
            _ANSWER,
            body=ORDER,
            errors=(400, 403, 404, 405, 409, 412, 500, 503),
            **ORDERING,
        ),
    }

    def __init__(self, service: CommitService, transaction: Transaction, shared: Configuration) -> None:
        super().__init__(service)
        self._transaction, self._shared = transaction, shared

    def may_write(self, request: Request) -> bool:
        """Whoever may write something may commit it; each change has a right of its own."""
        return request.member.rights.may_write_something

    async def post(self, request: Request) -> Response:
        """Stage and commit; goes on when the client goes away."""
        raw = await request.read(BATCH_LIMIT)
        key = idempotency_key(request)
        strict = request.strict
        large = len(raw) > _LARGE
        found = await asyncio.to_thread(checked, request, raw) if large else checked(request, raw)
        order: BatchOrder = found.model
        changes = [BatchChange(sent.method, getattr(sent, "body", None), strict) for sent in order.changes]
        staging = Staging(self._shared, request.member, order.changes, changes)
        if staging.takes_time:
            await HEAVY.run(staging.login.account, staging.look_ahead)

        commit = CommitOrder(
            status="commit",
            commit_message=order.commit_message,
            confirm_seconds=order.confirm_seconds,
            emergency=order.emergency,
        )
        outcome = await self._service.once(
            commit_order(request, commit, key, raw), partial(self._commit, request, staging)
        )  # fmt: skip
        answer = await self._transaction.answer(request, outcome, request.member.candidate)
        return finished(request, answer, found.warnings, HREF)

    async def _commit(self, request: Request, staging: Staging, order: Order) -> CommitRecord:
        async with request.turn() as login:

            def permitted() -> None:
                still_permitted(request, login)
                check_emergency(self._service, order, HREF)

            try:
                record = await self._service.commit(order, permitted, partial(self._staged, staging))
            except RefusedChangesError as refused:
                raise refused.answer from None
            except SemanticError as refused:
                refusal = _placed(errors.meaning(_here(refused.problems), "commit"), staging)
                refusal.details = staging.sight().members(refusal.details, "errors")
                raise refusal from None
            except ApplyFailed as failed:
                raise _placed(errors.apply_failed(failed, request.id), staging) from None
            return replace(record, results=staging.results)

    def _staged(self, staging: Staging, order: Order) -> tuple[Candidate, Order]:
        """Run in the commit thread."""
        try:
            candidate = staging.candidate()
        except RefusedChangesError as refused:
            self._service.pipeline.refuse(order, refused.answer.type, refused.answer.message)
            raise
        results = staging.results if order.idempotency_key is not None else None
        away = as_json(self._shared.told(Place(ROOT)), HREF) if staging.sent else []
        everything = staging.login.rights.everything
        return candidate, replace(order, everything=everything, results=results, warnings=(*staging.warnings, *away))


def _here(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems of a commit; what is wrong with its order is at this resource."""
    return [replace(problem, path=HREF) if problem.path == "/api/transaction" else problem for problem in problems]


def _placed(refusal: errors.ApiError, staging: Staging) -> errors.ApiError:
    """Say which changes the problems of a commit come from."""
    for entry in refusal.details.get("errors", [refusal.details]):
        if (index := staging.change_at(entry["path"])) is not None:
            entry["change"] = index
            refusal.details.setdefault("change", index)
    return refusal
