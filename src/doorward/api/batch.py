"""``POST /api/commits``: changes and their commit in one request, all of it or nothing (extension).

The caller's open transaction has no part in it. The changes are put in when their turn to be committed has come, onto what runs
then, so that nobody else's commit can collide with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

from msgspec.structs import replace
from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from doorward.access.logins import LoginSession
from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.commit_records import Commits
from doorward.api.configuration import Configuration, check_match, may_write
from doorward.api.openapi_transaction import ORDERING, STATUS
from doorward.api.request import BATCH_LIMIT, Request, Response, path_segments
from doorward.api.resources import Operation, answer_schema
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
from doorward.transaction.batch import BatchChange, ahead, mentions, write
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitMessage, CommitService
from doorward.transaction.confirmation import LONGEST
from doorward.transaction.order import Order
from doorward.transaction.pipeline import ApplyFailed
from doorward.tree.fields import matching
from doorward.tree.models import Body, Elements, Variants
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, as_json
from doorward.tree.references import NEW, new_keys, resolved
from doorward.tree.registry import Endpoint
from doorward.tree.validation import check

HREF = "/api/commits"
MAX_CHANGES = 1_000
_LARGE = 1 << 16
"""Bytes of a body beyond which it is decoded and checked in a thread."""

_Path = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
_ID = matching(r"[A-Za-z0-9_.-]{1,64}", "An id has 1-64 of A-Z a-z 0-9 _ . -")


class _Change(Body):
    """What all changes say."""

    path: _Path = Field(description="A resource below /api/configuration; @new:<id> stands for the key of an object made before.")
    if_match: str | None = Field(None, description="As the header field If-Match of a single request.")


class Put(_Change):
    """Replace a body."""

    method: Literal["PUT"] = Field(description="As a single PUT.")
    body: Any = Field(description="The whole new body.")


class Post(_Change):
    """Make an object, or append to a list."""

    method: Literal["POST"] = Field(description="As a single POST.")
    body: Any = Field(description="The body. A reference may be @new:<id>.")
    id: Annotated[str, AfterValidator(_ID)] | None = Field(None, description="By which later changes refer to the new object.")


class Delete(_Change):
    """Remove an object."""

    method: Literal["DELETE"] = Field(description="As a single DELETE.")


AnyChange = Annotated[Put | Post | Delete, Variants("method")]


class BatchOrder(Body):
    """Changes that are to become the running configuration together."""

    changes: Annotated[list[AnyChange], Elements(most=MAX_CHANGES)] = Field(description="Carried out in this order.")
    commit_message: CommitMessage | None = Field(None, description="Why; blank counts as missing.")
    confirm_seconds: int | None = Field(None, ge=10, le=LONGEST, description="Goes back by itself after so many seconds.")
    emergency: bool = Field(
        default=False, description="Do not wait for approval, as a member of the group for emergencies; needs a message."
    )


_ORDER: TypeAdapter[BatchOrder] = TypeAdapter(BatchOrder)
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


class RefusedChangesError(Exception):
    """Changes that can't be put into a candidate. ``answer`` says which and why."""

    def __init__(self, answer: errors.ApiError) -> None:
        self.answer = answer
        super().__init__(str(answer))


@dataclass
class Staging:
    """Puts the changes of one request into a candidate. ``sent`` are they as they came, ``changes`` what they bring."""

    shared: Configuration
    login: LoginSession
    sent: Sequence[Any]
    changes: list[BatchChange]
    keys: dict[str, str] = field(default_factory=dict)
    """Of the objects made so far, by the id of the change that made one."""
    results: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)

    staged: Candidate | None = None
    _endpoints: dict[tuple[str, str], Endpoint] = field(default_factory=dict)
    """By method and path: endpoints that passed all checks. Thousands of changes may make objects at one of them."""

    def look_ahead(self) -> None:
        """Do what takes its time before the turn comes, as far as the caller may. Blocks."""
        snapshot = self.shared.running().snapshot
        for index, change in enumerate(self.changes):
            try:
                endpoint, _ = self._addressed(index, Candidate(self.shared.running(), snapshot))
            except (errors.ApiError, SemanticError):
                continue
            self.changes[index] = ahead(endpoint, change)

    @property
    def takes_time(self) -> bool:
        """Whether there is something to do before the turn comes."""
        return not self.shared.tree.making.isdisjoint(change.path for change in self.sent)

    def candidate(self) -> Candidate:
        """Return what runs with all of the changes. Raises RefusedChangesError with every problem."""
        candidate = Candidate.on(self.shared.running())
        self._endpoints.clear()  # what was found ahead was found by the rights of that moment
        wrong: list[tuple[int, InvalidBody | SemanticError]] = []
        failed: list[str] = []
        with new_keys(self.keys):
            for index, sent in enumerate(self.sent):
                if any(mentions(getattr(sent, "body", None), name) or f"{NEW}{name}" in sent.path.split("/") for name in failed):
                    continue  # nobody can tell before the object is there
                try:
                    self._put(candidate, index)
                except errors.ApiError as refusal:
                    if wrong:
                        break
                    refusal.details = {**refusal.details, "change": index}
                    raise RefusedChangesError(refusal) from None
                except (InvalidBody, SemanticError) as refused:
                    wrong.append((index, refused))
                    failed += [sent.id] if isinstance(sent, Post) and sent.id else []
        if wrong:
            raise RefusedChangesError(_refused(wrong))
        self.staged = candidate
        return candidate

    def sight(self) -> Sight:
        """Return what the caller may read of what was staged."""
        base = self.shared.running().snapshot
        now, before = (self.staged.snapshot, self.staged.base.snapshot) if self.staged else (base, base)
        return Sight(self.shared.tree, self.login.rights, now, before)

    def _put(self, candidate: Candidate, index: int) -> None:
        sent, change = self.sent[index], self.changes[index]
        endpoint, key = self._addressed(index, candidate)
        check_match(sent.if_match, candidate.snapshot, endpoint, key)
        place = Place(endpoint.path, key)
        # No change here can make the node another one in its cluster.
        self.shared.check_scope(candidate.base.snapshot, place)
        name = sent.id if isinstance(sent, Post) else None
        if name is not None and not endpoint.holds_objects:
            raise SemanticError([Problem("contradiction", "Only an object gets a key; leave out the id.", "", place.href)])
        before = candidate.snapshot.document(place)
        made, warnings = write(self.shared.tree, candidate, endpoint, key, change)
        if sent.method != "DELETE":
            self.shared.probe(place, before, candidate)
        if name is not None:
            self.keys[name] = made
        href = Place(endpoint.path, made).href
        self.results.append({"href": href, "key": made or endpoint.key, "status": 201 if sent.method == "POST" else 200})
        if warnings:
            self.warnings += [{**warning, "change": index} for warning in as_json(warnings, href)]

    def _addressed(self, index: int, candidate: Candidate) -> tuple[Endpoint, str]:
        """Return where a change goes, after the checks of a request up to the right."""
        sent = self.sent[index]
        if (known := self._endpoints.get((sent.method, sent.path))) is not None:
            return known, ""
        segments = path_segments(sent.path.encode())
        if segments is None:
            raise errors.bad_request("The path can't be decoded.")
        path = "/" + "/".join(segments)
        if (other := self.shared.tree.aliases.get(path)) is not None:
            endpoint, key = other, ""
        elif segments[:2] != ("api", "configuration"):
            raise SemanticError([Problem("not_supported", f"Only what is below {ROOT} can be changed here.", "", path)])
        else:
            found = self.shared.tree.find(segments[2:])
            if isinstance(found, int):
                raise errors.not_found(path, segments[2 + found])
            endpoint, key = found[0], resolved(found[1])
            if key and candidate.snapshot.document(Place(endpoint.path, key)) is None:
                raise errors.not_found(path, found[1])
        href = Place(endpoint.path, key).href
        if sent.method not in (endpoint.object_methods if key else endpoint.methods):
            raise errors.method_not_allowed(sent.method, href)
        if not may_write(self.login.rights, endpoint, key):
            raise errors.unauthorized(href, write=True)
        if not key:
            self._endpoints[sent.method, sent.path] = endpoint
        return endpoint, key

    def change_at(self, path: str) -> int | None:
        """Return the last change of what is at a path, or of something below it."""
        hrefs = [result["href"] for result in self.results]
        exact = [index for index, href in enumerate(hrefs) if href == path]
        return next(reversed(exact or [index for index, href in enumerate(hrefs) if href.startswith(f"{path}/")]), None)


def _refused(wrong: Sequence[tuple[int, InvalidBody | SemanticError]]) -> errors.ApiError:
    """Return the answer to bad changes; what is wrong with bodies alone comes first."""
    bodies = [(index, found) for index, found in wrong if isinstance(found, InvalidBody)]
    told = [(index, problem) for index, found in bodies or wrong for problem in found.problems]
    problems = [problem for _, problem in told]
    refusal = errors.invalid_body(problems) if bodies else errors.meaning(problems, "commit")
    for entry, (index, _) in zip(refusal.details["errors"], told, strict=True):
        entry["change"] = index
    refusal.details["change"] = told[0][0]
    return refusal


class CommitsAndBatches(Commits):
    """The records of commits, and changes with their commit in one request."""

    for_every_token = frozenset({"POST"})

    operations = {
        **Commits.operations,
        "POST": Operation(
            "Change and commit in one request, all of it or nothing.",
            _ANSWER,
            body=_ORDER,
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
        checked = await asyncio.to_thread(_checked, request, raw) if large else _checked(request, raw)
        order = checked.model
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
        return finished(request, answer, checked.warnings, HREF)

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


def _checked(request: Request, raw: bytes) -> Any:
    """Return the order of a request. Raises InvalidBody or 400."""
    checked = check(_ORDER, request.decoded(raw), strict=request.strict)
    seen: dict[str, int] = {}
    twice = []
    for index, change in enumerate(checked.model.changes):
        name = getattr(change, "id", None)
        if name is not None and seen.setdefault(name, index) != index:
            twice.append(Problem("duplicate", f"Change {seen[name]} has it.", f"/changes/{index}/id"))
    if twice:
        raise InvalidBody(twice)
    return checked


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
