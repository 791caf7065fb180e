"""``/api/proposals``: commits that wait for a second person (trust, section 1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from doorward.access.approving import Approving
from doorward.access.logins import LoginSession
from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.openapi_transaction import CHANGE_LIST
from doorward.api.previews import Preview
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta, meta_schema
from doorward.api.transaction import still_permitted
from doorward.store.port import Edit
from doorward.transaction.changes import as_changes
from doorward.transaction.commits import CommitService
from doorward.transaction.proposals import Proposal, ProposalState
from doorward.tree.models import Body
from doorward.tree.problems import SemanticError

HREF = "/api/proposals"
MAX_REASON = 4096
_TEXT = {"type": "string"}
_GROUP = {
    "type": "object",
    "properties": {
        "accepted": {"type": "array", "items": _TEXT, "description": "Members whose acceptance counts."},
        "group": _TEXT,
        "required": {"type": "integer", "minimum": 1, "description": "How many have to accept."},
    },
    "required": ["accepted", "group", "required"],
}
_DECISION = {
    "type": "object",
    "properties": {
        "decision": {"enum": ["accept", "reject"]},
        "reason": {"type": ["string", "null"]},
        "time": TIME,
        "user": _TEXT,
        "void": {"type": "boolean", "description": "Whether it no longer counts."},
    },
    "required": ["decision", "reason", "time", "user", "void"],
}
_PROPOSAL = {
    "x-component": "Proposal",
    "type": "object",
    "properties": {
        "author": _TEXT,
        "changes": {"type": "integer", "minimum": 0, "description": "How many resources it changes."},
        "commit": {"type": "string", "description": "The record of its commit."},
        "commit_message": {"type": ["string", "null"]},
        "confirm_seconds": {"type": ["integer", "null"], "description": "Once accepted it goes back after so many seconds."},
        "created": TIME,
        "decisions": {"type": "array", "items": _DECISION},
        "error": {"type": ["object", "null"], "description": "Why it ended, or could not be committed when it was accepted."},
        "expires": {**TIME, "type": ["string", "null"], "description": "When it ends unless it is accepted."},
        "revision": {"type": ["integer", "null"]},
        "state": {"type": "string", "enum": list(get_args(ProposalState))},
        "waits_for": {"type": "array", "items": _GROUP},
    },
    "required": [
        "author", "changes", "commit", "commit_message", "confirm_seconds", "created", "decisions", "error", "expires",
        "revision", "state", "waits_for",
    ],
}  # fmt: skip
_ONE = answer_schema(meta_schema("ProposalMeta", "changes", "plan"), body=_PROPOSAL, key=_TEXT)


def _trimmed(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > MAX_REASON:
        raise PydanticCustomError("length", f"At most {MAX_REASON} characters.")
    return reason


class DecisionOrder(Body):
    """What somebody says to a proposal."""

    decision: Literal["accept", "reject"] = Field(description="The last acceptance that is needed commits it.")
    reason: Annotated[str, AfterValidator(_trimmed)] | None = Field(None, description="Why; for the author and the record.")


_ORDER: TypeAdapter[DecisionOrder] = TypeAdapter(DecisionOrder)


class ProposalParts:
    """What the resources share: the proposals as they are shown, and which of them somebody sees."""

    def __init__(self, service: CommitService, preview: Preview) -> None:
        self.service, self.preview, self.approving = service, preview, Approving(service)
        self.pipeline = service.pipeline

    def sight(self, login: LoginSession, edits: Sequence[Edit]) -> Sight:
        """Return what of a proposal somebody sees."""
        return Sight(self.pipeline.tree, login.rights, self.pipeline.running.snapshot, edits=edits)

    def found(self, request: Request, name: str) -> Proposal:
        """Return a proposal that the caller sees. Raises 404. Blocks."""
        proposal = self.approving.proposals.get(name)
        if proposal is None or not self.approving.may_see(proposal, request.member.account):
            raise errors.not_found(f"{HREF}/{name}", name)
        return proposal

    def shown(self, login: LoginSession, proposal: Proposal) -> dict[str, Any]:
        """Return a proposal as it is shown to somebody. Blocks."""
        approving, is_open = self.approving, proposal.is_open
        error = proposal.error
        if error is not None and not all(map(self.sight(login, proposal.edits).place, (e.place for e in proposal.edits))):
            error = {"reason": error["reason"]} if proposal.state not in {"conflicting", "failed"} else {"reason": _UNSEEN}
        return {
            "author": proposal.author,
            "changes": len(proposal.rows),
            "commit": f"/api/commits/{proposal.id}",
            "commit_message": proposal.message,
            "confirm_seconds": proposal.confirm_seconds,
            "created": proposal.created,
            "decisions": [
                {
                    "decision": one.decision, "reason": one.reason, "time": one.time, "user": one.user,
                    "void": is_open and not approving.counts(proposal, one),
                }
                for one in proposal.decisions
            ],
            "error": error,
            "expires": proposal.expires(approving.proposals.clock) if is_open else None,
            "revision": proposal.revision,
            "state": proposal.state,
            "waits_for": [
                {"accepted": list(one.accepted), "group": one.group, "required": one.required}
                for one in (approving.awaited(proposal) if is_open else ())
            ],
        }  # fmt: skip


_UNSEEN = "Not shown: it is about a resource that this account may not read."


class ProposalCollection(Resource):
    """Commits that wait for a second person, and those that waited."""

    listed = False
    operations = {
        "GET": Operation(
            "The proposals that the caller may see, newest first: own ones, those of the own groups, all for readers of the"
            " history.",
            answer_schema(items=items_of(_PROPOSAL)),
            errors=(400,),
            query={"state": {"type": "string", "enum": ["open", "all"], "default": "all"}},
        )
    }

    def __init__(self, parts: ProposalParts) -> None:
        self._parts = parts

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one proposal; whether there is one is for its methods to say."""
        return OneProposal(self._parts, segment)

    def template(self) -> tuple[str, Resource]:
        """Return what a proposal is like."""
        return "id", OneProposal(self._parts, "")

    async def get(self, request: Request) -> Response:
        """List them."""
        which = request.query.get("state", "all")
        if which not in {"all", "open"}:
            raise errors.invalid_query([("enum", "Must be open or all.", "state")])
        parts, login = self._parts, request.member

        def work() -> list[dict[str, Any]]:
            return [
                {"body": parts.shown(login, one), "key": one.id, "meta": {"href": f"{HREF}/{one.id}"}}
                for one in parts.approving.proposals.all()
                if (which == "all" or one.is_open) and parts.approving.may_see(one, login.account)
            ]

        return Response({"items": await asyncio.to_thread(work), "meta": meta(request)})


class OneProposal(Resource):
    """One commit that waits, or waited."""

    operations = {
        "GET": Operation("Who proposed it, what it waits for, what was said, how it ended.", _ONE, errors=(404,)),
        "PUT": Operation(
            "Accept or reject, as a member of a group that it waits for. The last acceptance commits it onto what runs now.",
            _ONE,
            body=_ORDER,
            errors=(400, 403, 404, 409, 500, 503),
        ),
        "DELETE": Operation("Withdraw it, as its author.", _ONE, errors=(403, 404, 409)),
    }
    personal = frozenset({"PUT", "DELETE"})

    def __init__(self, parts: ProposalParts, name: str) -> None:
        self._parts, self._name = parts, name
        self.children = {"changes": ProposalChanges(parts, name), "plan": ProposalPlan(parts, name)}

    async def get(self, request: Request) -> Response:
        """Answer the proposal."""
        return await self._answer(request, await asyncio.to_thread(self._parts.found, request, self._name))

    async def put(self, request: Request) -> Response:
        """Take a decision; goes on when the client goes away."""
        order, warnings = await sent(request, _ORDER)
        login, approving = request.member, self._parts.approving
        await asyncio.to_thread(self._parts.found, request, self._name)
        decide = partial(
            approving.decide, self._name, login.account, order.decision, order.reason or None,
            partial(still_permitted, request, login),
        )  # fmt: skip
        try:
            proposal = await self._parts.service.queue.run(decide)
        except SemanticError as refused:
            refusal = errors.meaning(refused.problems, "commit")
            sight = Sight(self._parts.pipeline.tree, login.rights, self._parts.pipeline.running.snapshot)
            refusal.details = sight.members(refusal.details, "errors")
            raise refusal from None
        answer = await self._answer(request, proposal)
        if warnings:
            answer.meta["warnings"] = warnings
        return answer

    async def delete(self, request: Request) -> Response:
        """Withdraw it."""
        login = request.member
        await asyncio.to_thread(self._parts.found, request, self._name)

        def work() -> Proposal:
            still_permitted(request, login)
            return self._parts.approving.withdraw(self._name, login.account)

        return await self._answer(request, await self._parts.service.queue.run(work))

    async def _answer(self, request: Request, proposal: Proposal) -> Response:
        body = await asyncio.to_thread(self._parts.shown, request.member, proposal)
        links = {name: f"{HREF}/{proposal.id}/{name}" for name in self.children}
        return envelope(request, proposal.id, body, **links)


class ProposalChanges(Resource):
    """What a proposal changes."""

    operations = {
        "GET": Operation("What it changes, against the revision that ran when it was proposed.", CHANGE_LIST, errors=(404,))
    }

    def __init__(self, parts: ProposalParts, name: str) -> None:
        self._parts, self._name = parts, name

    async def get(self, request: Request) -> Response:
        """List the changes that the caller may read, sorted by path."""
        parts, login = self._parts, request.member

        def work() -> dict[str, Any]:
            edits = parts.found(request, self._name).edits
            return parts.sight(login, edits).members({"changes": as_changes(parts.pipeline.tree, edits)}, "changes")

        shown = await asyncio.to_thread(work)
        hidden = {"hidden": shown["hidden"]} if "hidden" in shown else {}
        return Response({"changes": shown["changes"], "meta": meta(request, **hidden)})


class ProposalPlan(Resource):
    """What its acceptance would do now."""

    operations = {
        "GET": Operation(
            "A dry run of the commit onto what runs now: the host is looked at, not touched.",
            answer_schema(body={"type": "object"}, key=_TEXT),
            errors=(404, 409),
        )
    }

    def __init__(self, parts: ProposalParts, name: str) -> None:
        self._parts, self._name = parts, name

    async def get(self, request: Request) -> Response:
        """Work out the plan."""
        parts, login = self._parts, request.member

        def work() -> dict[str, Any]:
            proposal = parts.found(request, self._name)
            if not proposal.is_open:
                raise errors.conflict(f"The proposal is {proposal.state}.", resource=request.parent)
            return parts.preview.of_proposal(proposal, parts.approving.committer(proposal), parts.sight(login, proposal.edits))

        return envelope(request, "plan", await asyncio.to_thread(work))
