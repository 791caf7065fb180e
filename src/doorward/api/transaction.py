"""``/api/transaction``: status, opening, discarding, changes, plan, commit, confirmation (protocol, sections 8 and 13)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, Literal

from msgspec.structs import replace
from pydantic import Field, TypeAdapter

from doorward.access.approving import Approving, in_emergency_group
from doorward.access.logins import LoginSession
from doorward.access.sight import Sight
from doorward.access.writable import not_writable
from doorward.api import errors
from doorward.api.openapi_transaction import ORDERING, STATUS
from doorward.api.previews import Changes, CommitPlan, Preview
from doorward.api.rebasing import Rebase
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta
from doorward.api.transaction_status import HREF, status
from doorward.configuration.management.change_approval import settings
from doorward.store.port import CommitRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitMessage, CommitOutcome, CommitService
from doorward.transaction.confirmation import MAX_CONFIRM_SECONDS
from doorward.transaction.order import Order
from doorward.tree.models import Body, Variants
from doorward.tree.problems import Problem, SemanticError, as_json
from doorward.tree.validation import check


class CommitOrder(Body):
    """Make the candidate the running configuration."""

    status: Literal["commit"] = Field(description="What to do.")
    commit_message: CommitMessage | None = Field(None, description="Why; blank counts as missing.")
    confirm_seconds: int | None = Field(
        None, ge=10, le=MAX_CONFIRM_SECONDS, description="Goes back by itself after so many seconds."
    )
    emergency: bool = Field(
        default=False, description="Do not wait for approval, as a member of the group for emergencies; needs a message."
    )


class ConfirmOrder(Body):
    """Confirm the pending commit."""

    status: Literal["confirm"] = Field(description="What to do.")


ORDER: TypeAdapter[Any] = TypeAdapter(Annotated[CommitOrder | ConfirmOrder, Variants("status")])


class Transaction(Resource):
    """The transaction of the caller's login session."""

    for_every_token = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})

    operations = {
        "GET": Operation("Whether a transaction is open.", STATUS),
        "POST": Operation("Open a transaction; nothing happens when one is open.", STATUS, body={}, errors=(403,)),
        "PUT": Operation("Commit, or confirm a commit.", STATUS, body=ORDER, errors=(400, 403, 409, 500, 503), **ORDERING),
        "DELETE": Operation("Discard the changes.", answer_schema(), errors=(409,)),
    }

    def __init__(self, service: CommitService, preview: Preview) -> None:
        self._service, self._approving = service, Approving(service)
        self.children = {
            "changes": Changes(service.pipeline.tree),
            "plan": CommitPlan(service.pipeline, preview),
            "rebase": Rebase(service),
        }

    def may_write(self, request: Request) -> bool:
        """Whoever may write something may have a transaction."""
        return request.member.rights.may_write_something

    async def get(self, request: Request) -> Response:
        """Answer the status."""
        return status(self._service, request.member.candidate)

    async def post(self, request: Request) -> Response:
        """Open a transaction. The body may be empty or any JSON value."""
        if body := await request.read():
            request.decoded(body)
        async with request.turn() as login:
            if login.candidate is None:
                login.candidate = Candidate.on(self._service.pipeline.running)
            return status(self._service, login.candidate)

    async def delete(self, request: Request) -> Response:
        """Drop the candidate."""
        async with request.turn() as login:
            if login.candidate is None:
                raise errors.conflict("No transaction is open.", resource=HREF)
            login.candidate = None
        return Response({"meta": meta(request)})

    async def put(self, request: Request) -> Response:
        """Commit or confirm; goes on when the client goes away."""
        raw = await request.read()
        checked = check(ORDER, request.decoded(raw), strict=request.strict)
        key = idempotency_key(request)
        if isinstance(checked.model, ConfirmOrder):
            answer = await self._confirm(request)
        else:
            order = commit_order(request, checked.model, key, raw)
            answer = await self.answer(request, await self._service.once(order, partial(self._commit, request)))
        return finished(request, answer, checked.warnings, HREF)

    async def _commit(self, request: Request, order: Order) -> CommitRecord:
        service = self._service
        async with request.turn() as login:
            candidate = login.candidate
            if candidate is None:
                raise errors.conflict("No transaction is open.", resource=HREF)

            def permitted() -> None:
                still_permitted(request, login)
                check_emergency(service, order, HREF)
                if paths := not_writable(service.pipeline.tree, candidate, login.rights):
                    raise errors.no_longer_writable(paths)

            try:
                record = await service.commit(
                    order, permitted, lambda order: (candidate, replace(order, everything=login.rights.everything))
                )
            except SemanticError as refused:
                sight = Sight(service.pipeline.tree, login.rights, candidate.snapshot, candidate.base.snapshot)
                raise _refused(refused, sight) from None
            login.candidate = None
        return record

    async def answer(self, request: Request, outcome: CommitOutcome, candidate: Candidate | None = None) -> Response:
        """Return the answer to a commit; ``candidate`` is what the caller has open all the same.

        Raises the 500 that was answered the first time where the host did not take it.
        """
        record, headers = outcome.record, {"Idempotency-Replayed": "true"} if outcome.is_replayed else {}
        if record.error is not None and record.revision is None:
            raise errors.apply_failed_before(record.error, record.id, request.id, headers)
        proposed = record.state == "proposed"
        answer = await self._proposed(request, record, candidate) if proposed else self._done(request, record, candidate)
        answer.headers |= headers
        return answer

    async def _proposed(self, request: Request, record: CommitRecord, candidate: Candidate | None) -> Response:
        """Answer 202: who has to accept what was to be committed."""

        def groups() -> list[str]:
            proposal = self._approving.proposals.get(record.id)
            return [one.group for one in self._approving.awaited(proposal)] if proposal is not None else []

        waits_for = list(dict.fromkeys(await asyncio.to_thread(groups)))
        href = f"/api/proposals/{record.id}"
        answer = self._done(request, record, candidate, proposal=href, waits_for=waits_for)
        answer.status = 202
        answer.headers["Location"] = href
        return answer

    def _done(self, request: Request, record: CommitRecord, candidate: Candidate | None, **links: Any) -> Response:
        links |= {"commit": f"/api/commits/{record.id}"}
        if record.revision is not None:
            links["revision"] = record.revision
        if record.warnings:
            links |= self.sight(request).members({"warnings": list(record.warnings)}, "warnings")
        answer = status(self._service, candidate, **links)
        if record.results is not None and isinstance(answer.content, dict):
            answer.content["results"] = record.results
        return answer

    def sight(self, request: Request) -> Sight:
        """Return what the caller may read of what runs."""
        pipeline = self._service.pipeline
        return Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)

    async def _confirm(self, request: Request) -> Response:
        login = request.member
        revision = await self._service.confirm(
            login.account, partial(still_permitted, request, login), lambda: login.rights.everything and login.grant is None
        )
        return status(self._service, login.candidate, revision=revision)


def still_permitted(request: Request, login: LoginSession) -> None:
    """Raise 401 or 403 where the login session or the right of a request is gone by the time its work begins. In any thread."""
    if not login.is_live:
        raise errors.unauthenticated(request.href)
    if not request.is_allowed():
        raise errors.unauthorized(request.href, write=True)


def check_emergency(service: CommitService, order: Order, href: str) -> None:
    """Raise where an order is to pass without approval, and may not. ``href``: where it was sent. Runs in the commit thread."""
    if not order.emergency:
        return
    snapshot = service.pipeline.running.snapshot
    if settings(snapshot) is None:
        message = "Approval of changes is not switched on; commit as ever."
        raise SemanticError([Problem("contradiction", message, "/emergency", href)])
    if not in_emergency_group(snapshot, order.account):
        raise errors.not_for_emergencies(href)
    if not order.message:
        message = "An emergency needs a commit message."
        raise SemanticError([Problem("message_required", message, "/commit_message", href)])


def _refused(refused: SemanticError, sight: Sight) -> errors.ApiError:
    """Tell what is wrong, as far as whoever asks may read it; the rest is counted."""
    refusal = errors.meaning(refused.problems, "commit")
    refusal.details = sight.members(refusal.details, "errors")
    return refusal


def finished(request: Request, answer: Response, warnings: Iterable[Problem], path: str) -> Response:
    """Add the warnings about the body of an order to its answer, and say that it was read strictly, if it was."""
    meta = answer.meta
    if found := [*as_json(warnings, path), *meta.pop("warnings", [])]:
        meta["warnings"] = found
    if request.strict:
        answer.headers["Preference-Applied"] = "handling=strict"
    return answer


def commit_order(request: Request, sent: CommitOrder, key: str | None, raw: bytes) -> Order:
    """Return the order for a commit on behalf of who sent it; ``raw`` is the whole body, whose hash belongs to the key.

    Raises 403 where a token is used for an emergency.
    """
    login = request.member
    if sent.emergency and login.grant is not None:
        raise errors.takes_a_person(request.href)
    return Order(
        login.name, request.address, sent.commit_message or None, sent.confirm_seconds,
        idempotency_key=key, request=hashlib.sha256(raw).hexdigest() if key is not None else None, account=login.account,
        when_guarded="pass" if sent.emergency else "propose", emergency=sent.emergency,
    )  # fmt: skip


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key of a request. Raises 400 where it is not acceptable."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 128 and key.isascii() and key.isprintable()):  # noqa: PLR2004 - the contract's limit
        raise errors.bad_request("An Idempotency-Key has 1 to 128 printable ASCII characters.")
    return key
