"""``/api/transaction``: status, opening, discarding, changes, plan, commit, confirmation (protocol, sections 8 and 13)."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import structlog
from pydantic import AfterValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from doorward.access.logins import Login, Logins
from doorward.access.sight import Sight
from doorward.access.writable import not_writable
from doorward.api import errors
from doorward.api.bodies import listed
from doorward.api.openapi_transaction import ORDERING, STATUS
from doorward.api.previews import HREF, Changes, Plan
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta
from doorward.store.port import CommitRecord, Confirmation
from doorward.transaction.candidate import Candidate
from doorward.transaction.confirmation import LONGEST, Confirmations
from doorward.transaction.merge import MergeConflict
from doorward.transaction.pipeline import ApplyFailed, Order, Pipeline, requires_message
from doorward.transaction.queue import CommitQueue, QueueTimeoutError
from doorward.tree.models import Body, Variants
from doorward.tree.problems import InvalidBody, Problem, SemanticError
from doorward.tree.times import now
from doorward.tree.validation import check

log = structlog.get_logger()

CHANGES = "/api/transaction/changes"


def trimmed(message: str) -> str:
    """Return a commit message without blanks at its ends."""
    message = message.strip()
    if len(message) > 4096:  # noqa: PLR2004 - the limit of the contract
        raise PydanticCustomError("length", "At most 4096 characters.")
    return message


class CommitOrder(Body):
    """Make the candidate the running configuration."""

    status: Literal["commit"] = Field(description="What to do.")
    commit_message: Annotated[str, AfterValidator(trimmed)] | None = Field(None, description="Why; blank counts as missing.")
    confirm_seconds: int | None = Field(None, ge=10, le=LONGEST, description="Goes back by itself after so many seconds.")


class ConfirmOrder(Body):
    """Make the pending commit definite."""

    status: Literal["confirm"] = Field(description="What to do.")


ORDER: TypeAdapter[Any] = TypeAdapter(Annotated[CommitOrder | ConfirmOrder, Variants("status")])

Work = Callable[[Request, Order], Awaitable[Response]]
"""Carries out an order in the caller's name."""


@dataclass
class Service:
    """What the resources below ``/api/transaction`` share."""

    pipeline: Pipeline
    queue: CommitQueue
    confirmations: Confirmations
    logins: Logins


def status(service: Service, candidate: Candidate | None, **links: Any) -> Response:
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


class Transaction(Resource):
    """The transaction of the caller's login session."""

    for_every_token = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE"})

    operations = {
        "GET": Operation("Whether a transaction is open.", STATUS),
        "POST": Operation("Open a transaction; nothing happens when one is open.", STATUS, body={}, errors=(403,)),
        "PUT": Operation("Commit, or confirm a commit.", STATUS, body=ORDER, errors=(400, 403, 409, 500, 503), **ORDERING),
        "DELETE": Operation("Discard the changes.", answer_schema(), errors=(409,)),
    }

    def __init__(self, service: Service) -> None:
        self._service = service
        self.children = {"changes": Changes(service.pipeline.tree), "plan": Plan(service.pipeline, service.logins)}
        self._in_flight: dict[tuple[str, str], asyncio.Event] = {}
        """Set when the request that has the key at this moment has ended."""

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
        try:
            checked = check(ORDER, request.decoded(raw), strict=request.strict)
        except InvalidBody as refused:
            raise errors.invalid_body(refused.problems) from None
        key = idempotency_key(request)
        if isinstance(checked.model, ConfirmOrder):
            answer = await self._confirm(request)
        else:
            answer = await self.once(request, checked.model, key, hashlib.sha256(raw).hexdigest(), self._in_turn)
        return finished(request, answer, checked.warnings, HREF)

    async def once(self, request: Request, order: CommitOrder, key: str | None, digest: str, work: Work) -> Response:
        """Carry out a commit, or give the first answer again where its Idempotency-Key was seen before.

        It is known by its id and its key before anything is awaited, and goes on when its client goes away.
        """
        doing, login = self._service.pipeline.now_doing, request.member
        known = digest if key is not None else None
        waiting = CommitRecord(
            str(uuid.uuid4()), login.name, now(), "queued", idempotency_key=key, request=known, account=login.account
        )
        doing[waiting.id] = waiting

        def ended(task: asyncio.Task[Response]) -> None:
            if doing.get(waiting.id) is waiting:  # its turn never came
                del doing[waiting.id]
            if not task.cancelled():
                task.exception()  # whoever waited may be gone by now

        task = asyncio.ensure_future(self._unless_known(request, Order(
            login.name, request.address, order.commit_message or None, order.confirm_seconds,
            ticket=waiting.id, idempotency_key=key, request=known, account=login.account,
        ), work))  # fmt: skip
        task.add_done_callback(ended)
        return await asyncio.shield(task)

    async def _unless_known(self, request: Request, order: Order, work: Work) -> Response:
        """Carry out an order, after the one that has the same key at this moment."""
        key = order.idempotency_key
        if key is None:
            return await work(request, order)
        name = (order.account, key)
        while (before := self._in_flight.get(name)) is not None:
            await before.wait()
        ended = self._in_flight[name] = asyncio.Event()
        try:
            ticket = await asyncio.to_thread(self._service.pipeline.store.ticket, key, order.account)
            if ticket is None or ticket.idempotency_key != key or ticket.state == "failed":
                return await work(request, order)
        finally:
            del self._in_flight[name]
            ended.set()
        if ticket.request != order.request:
            raise errors.conflict("The Idempotency-Key was used for another request.", resource=HREF)
        answer = self._replayed(request, ticket)
        answer.headers["Idempotency-Replayed"] = "true"
        return answer

    async def _in_turn(self, request: Request, order: Order) -> Response:
        service = self._service
        async with request.turn() as login:
            candidate = login.candidate
            if candidate is None:
                raise errors.conflict("No transaction is open.", resource=HREF)
            try:
                ticket = await service.queue.run(lambda: self._permitted(request, login, candidate, order))
            except QueueTimeoutError:
                raise errors.unavailable("Other commits are in the way.") from None
            except MergeConflict as collided:
                raise await asyncio.to_thread(collision, service, candidate, collided) from None
            except SemanticError as refused:
                sight = Sight(service.pipeline.tree, login.rights, candidate.snapshot, candidate.base.snapshot)
                raise _refused(refused, sight) from None
            except ApplyFailed as failed:
                raise errors.apply_failed(failed, request.id) from None
            login.candidate = None
        return self.done(request, ticket)

    def _permitted(self, request: Request, login: Login, candidate: Candidate, order: Order) -> CommitRecord:
        """Run in the commit thread: whoever commits may do so after all commits before."""
        still_permitted(request, login)
        if paths := not_writable(self._service.pipeline.tree, candidate, login.rights):
            raise errors.no_longer_writable(paths)
        return self._work(candidate, replace(order, everything=login.rights.everything))

    def _work(self, candidate: Candidate, order: Order) -> CommitRecord:
        """Run in the commit thread."""
        service = self._service
        self.check_pending()
        ticket = service.pipeline.commit(candidate, order)
        if order.confirm_seconds is not None:
            service.confirmations.load()
        return ticket

    def check_pending(self) -> None:
        """Raise 409 while a commit awaits its confirmation, with the reason where it could not be taken back."""
        awaited = self._service.confirmations
        if (pending := awaited.pending) is None:
            return
        details: dict[str, Any] = {"confirm_remaining_seconds": awaited.remaining_seconds, "user": pending.user}
        if awaited.failure is not None:
            details |= {"commit": awaited.failure[1], "reason": pending.failure}
        raise errors.conflict(awaited.reason or "", **details)

    def done(self, request: Request, ticket: CommitRecord, candidate: Candidate | None = None) -> Response:
        """Return the answer to a commit; ``candidate`` is what the caller has open all the same."""
        links: dict[str, Any] = {"commit": f"/api/commits/{ticket.id}", "revision": ticket.revision}
        if ticket.warnings:
            links |= self.sight(request).members({"warnings": list(ticket.warnings)}, "warnings")
        answer = status(self._service, candidate, **links)
        if ticket.results is not None and isinstance(answer.content, dict):
            answer.content["results"] = ticket.results
        return answer

    def sight(self, request: Request) -> Sight:
        """Return what the caller may read of what runs."""
        pipeline = self._service.pipeline
        return Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)

    def _replayed(self, request: Request, ticket: CommitRecord) -> Response:
        if ticket.error is None or ticket.revision is not None:
            return self.done(request, ticket, None if ticket.results is None else request.member.candidate)
        details = {**ticket.error, "commit": f"/api/commits/{ticket.id}", "error_id": request.id}
        message = errors.apply_message(restored=bool(details["restored"]))
        refusal = errors.ApiError(500, "ApplyFailed", message, details)
        refusal.headers = {"Idempotency-Replayed": "true"}
        raise refusal

    def _may_confirm(self, pending: Confirmation, login: Login) -> bool:
        """Its account may, and where it can't be taken back, whoever may write everything: the account may be locked out.

        No token stands for that other one.
        """
        other = pending.failure is not None and login.rights.everything and login.grant is None
        return self._is_of(pending, login) or other

    def _is_of(self, pending: Confirmation, login: Login) -> bool:
        """Whether the account made the commit that awaits its confirmation, under whatever name."""
        ticket = self._service.pipeline.store.ticket(pending.ticket)
        return ticket is not None and ticket.account == login.account

    async def _confirm(self, request: Request) -> Response:
        service, login = self._service, request.member

        def work() -> int:
            still_permitted(request, login)
            pending = service.confirmations.pending
            if pending is None or not self._may_confirm(pending, login):
                raise errors.conflict("No commit of this account awaits a confirmation.", resource=HREF)
            service.confirmations.confirm(pending)
            return pending.revision

        try:
            revision = await service.queue.run(work)
        except QueueTimeoutError:
            raise errors.unavailable("Other commits are in the way.") from None
        return status(service, login.candidate, revision=revision)


def still_permitted(request: Request, login: Login) -> None:
    """Raise 401 or 403 where the login session or the right of a request is gone by the time its work begins. In any thread."""
    if not login.is_live:
        raise errors.unauthenticated(request.href)
    if not request.is_allowed():
        raise errors.unauthorized(request.href, write=True)


def _refused(refused: SemanticError, sight: Sight) -> errors.ApiError:
    """Tell what is wrong, as far as whoever asks may read it; the rest is counted."""
    refusal = errors.meaning(refused.problems, "commit")
    refusal.details = sight.members(refusal.details, "errors")
    return refusal


def finished(request: Request, answer: Response, warnings: Iterable[Problem], path: str) -> Response:
    """Add the warnings about the body of an order to its answer, and say that it was read strictly, if it was."""
    meta = answer.meta
    if found := [*listed(warnings, path), *meta.pop("warnings", [])]:
        meta["warnings"] = found
    if request.strict:
        answer.headers["Preference-Applied"] = "handling=strict"
    return answer


def collision(service: Service, candidate: Candidate, collided: MergeConflict) -> errors.ApiError:
    """Tell who changed what. Blocks: the store is asked."""
    store, running = service.pipeline.store, service.pipeline.running.number
    conflicts = []
    for one in sorted(collided.collisions, key=lambda found: found.path):
        changed = store.changes_of(one.place, running, 1)
        revision = next((r for r, _ in changed if r.number > candidate.base.number), None)
        conflicts.append({
            "author": revision.author if revision else "",
            "path": one.path,
            "revision": revision.number if revision else running,
            "running_value": one.running_value,
        })  # fmt: skip
    places = "1 place was" if len(conflicts) == 1 else f"{len(conflicts)} places were"
    paths = [found["path"] for found in conflicts]
    return errors.conflict(f"{places} changed by somebody else meanwhile.", conflicts=conflicts, paths=paths)


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key of a request. Raises 400 where it is not acceptable."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= 128 and key.isascii() and key.isprintable()):  # noqa: PLR2004 - the contract's limit
        raise errors.bad_request("An Idempotency-Key has 1 to 128 printable ASCII characters.")
    return key
