"""``/api/revisions`` and ``/api/commits``: what was committed, by whom, and what became of each commit (protocol, section 13)."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.bodies import listed
from doorward.api.changes import as_changes
from doorward.api.openapi_transaction import CHANGE_LIST, STATUS
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta, meta_schema
from doorward.api.transaction import Service, collision, status
from doorward.store.port import CommitRecord, Revision, State
from doorward.transaction.candidate import Candidate
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict, rebased
from doorward.transaction.queue import QueueTimeoutError
from doorward.tree.problems import SemanticError

CHANGELOG = "/special/changelog"
_MAX_PAGE = 500
_COMMITS_SHOWN = 100
_INT = {"type": "integer", "minimum": 1}


def _body(revision: Revision) -> dict[str, Any]:
    return {
        "address": revision.address,
        "author": revision.author,
        "changes": revision.changes,
        "commit_message": revision.message,
        "hash": revision.hash,
        "parent": revision.number - 1 or None,
        "time": revision.time,
    }


_REVISION = {
    "x-component": "Revision",
    "type": "object",
    "properties": {
        "address": {"type": "string", "description": "Where the commit came from; empty: the node itself."},
        "author": {"type": "string"},
        "changes": {"type": "integer", "minimum": 0, "description": "How many documents it changed."},
        "commit_message": {"type": ["string", "null"]},
        "hash": {"type": "string", "description": "SHA-256 over the revision and the hash of its parent."},
        "parent": {"type": ["integer", "null"]},
        "time": TIME,
    },
    "required": ["address", "author", "changes", "commit_message", "hash", "parent", "time"],
}
_RECORD = {
    "x-component": "CommitRecord",
    "type": "object",
    "properties": {
        "error": {"type": ["object", "null"], "description": "Why it did not come to a revision, or was undone."},
        "finished": {**TIME, "type": ["string", "null"]},
        "id": {"type": "string", "format": "uuid"},
        "revision": {"type": ["integer", "null"]},
        "started": TIME,
        "state": {"type": "string", "enum": list(get_args(State))},
        "user": {"type": "string"},
    },
    "required": ["error", "finished", "id", "revision", "started", "state", "user"],
}


class Revisions(Resource):
    """The history of the configuration."""

    operations = {
        "GET": Operation(
            "Committed revisions, newest first.",
            answer_schema(items=items_of(_REVISION)),
            errors=(400,),
            query={"limit": {**_INT, "maximum": _MAX_PAGE, "default": 100}, "before": _INT},
        )
    }
    privilege = CHANGELOG

    def __init__(self, service: Service) -> None:
        self._service = service

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one revision."""
        newest = self._service.pipeline.running.number
        if segment.isascii() and segment.isdecimal() and segment == str(int(segment[:18])) and 0 < int(segment) <= newest:
            return OneRevision(self._service, int(segment))
        return None

    def template(self) -> tuple[str, Resource]:
        """Return what a revision is like."""
        return "number", OneRevision(self._service, 1)

    async def get(self, request: Request) -> Response:
        """List a page."""
        wrong = []
        numbers = {"limit": 100, "before": self._service.pipeline.running.number + 1}
        for name in numbers:
            text = request.query.get(name)
            if text is None:
                continue
            most = _MAX_PAGE if name == "limit" else 1 << 53
            if not (text.isascii() and text.isdecimal() and len(text) < 18 and 0 < int(text) <= most):  # noqa: PLR2004 - fits SQLite
                wrong.append(("range", f"Must be a number from 1 to {most}.", name))
            else:
                numbers[name] = int(text)
        if wrong:
            raise errors.invalid_query(wrong)
        store = self._service.pipeline.store
        found = await asyncio.to_thread(store.revisions, numbers["before"], numbers["limit"])
        items = [
            {
                "body": _body(revision),
                "key": str(revision.number),
                "meta": {"href": f"{request.href}/{revision.number}"},
            }
            for revision in found
        ]
        return Response({"items": items, "meta": meta(request)})


class OneRevision(Resource):
    """One revision."""

    operations = {
        "GET": Operation(
            "Who committed what, when and why.",
            answer_schema(meta_schema("RevisionMeta", "changes", "restore"), body=_REVISION, key={"type": "string"}),
        )
    }
    privilege = CHANGELOG

    def __init__(self, service: Service, number: int) -> None:
        self._service, self._number = service, number
        self.children = {"changes": RevisionChanges(service, number), "restore": Restore(service, number)}

    async def get(self, request: Request) -> Response:
        """Answer the revision."""
        revision = await asyncio.to_thread(self._service.pipeline.store.revision, self._number)
        if revision is None:
            raise errors.not_found(request.href, str(self._number))
        links = {name: f"{request.href}/{name}" for name in self.children}
        return envelope(request, str(self._number), _body(revision), **links)


class RevisionChanges(Resource):
    """What a revision changed."""

    operations = {"GET": Operation("What the revision changed.", CHANGE_LIST)}
    privilege = CHANGELOG

    def __init__(self, service: Service, number: int) -> None:
        self._service, self._number = service, number

    async def get(self, request: Request) -> Response:
        """List the changes, sorted by path."""
        pipeline = self._service.pipeline

        def work() -> dict[str, Any]:
            edits = pipeline.store.edits(self._number)
            sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot, edits=edits)
            return sight.members({"changes": as_changes(pipeline.tree, edits)}, "changes")

        shown = await asyncio.to_thread(work)
        hidden = {"hidden": shown["hidden"]} if "hidden" in shown else {}
        return Response({"changes": shown["changes"], "meta": meta(request, **hidden)})


class Restore(Resource):
    """Going back to a revision."""

    operations = {"POST": Operation("Put the difference to the revision into the transaction.", STATUS, body={}, errors=(409,))}
    privilege = CHANGELOG

    def __init__(self, service: Service, number: int) -> None:
        self._service, self._number = service, number

    def may_write(self, request: Request) -> bool:
        """Only who may write the whole configuration can put it back."""
        return request.member.rights.everything

    async def post(self, request: Request) -> Response:
        """Fill the caller's candidate; a commit makes it real."""
        await request.read()
        service = self._service
        async with request.turn() as login:
            before = login.candidate or Candidate.on(service.pipeline.running)
            try:
                candidate = await service.queue.run(lambda: self._restored(before))
            except QueueTimeoutError:
                raise errors.unavailable("Other commits are in the way.") from None
            except MergeConflict as collided:
                raise await asyncio.to_thread(collision, service, before, collided) from None
            except SemanticError as refused:
                raise errors.meaning(refused.problems) from None
            request.check_again()
            login.candidate = candidate
            returning = service.pipeline.secrets.returning(candidate.snapshot, candidate.edits(), candidate)
            warnings = listed(await asyncio.to_thread(list, returning), request.href)
            return status(service, candidate, **({"warnings": warnings} if warnings else {}))

    def _restored(self, before: Candidate) -> Candidate:
        """Run in the commit thread: what others committed since the transaction began is part of the difference."""
        pipeline = self._service.pipeline
        candidate = rebased(pipeline.tree, before, pipeline.running)
        restore(pipeline.tree, pipeline.store, candidate, self._number)
        return candidate


class Commits(Resource):
    """The records of commits."""

    operations = {"GET": Operation("The last 100 commits, newest first.", answer_schema(items=items_of(_RECORD)))}
    privilege = CHANGELOG

    def __init__(self, service: Service) -> None:
        self._service = service

    def may_read(self, _request: Request) -> bool:
        """Everybody sees the own commits; others' need the right to the history."""
        return True

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return the record of one commit; whether it exists is for its GET to say."""
        return OneCommit(self._service, segment)

    def template(self) -> tuple[str, Resource]:
        """Return what a record is like."""
        return "id", OneCommit(self._service, "")

    async def get(self, request: Request) -> Response:
        """List the records that the caller may see."""
        pipeline = self._service.pipeline
        stored = await asyncio.to_thread(pipeline.store.commit_records, _COMMITS_SHOWN)
        doing = dict(reversed(pipeline.now_doing.items()))
        known = {ticket.id: ticket for ticket in stored}
        begun = [ticket for ticket in doing.values() if ticket.id not in known]
        # In the order in which they came to be, never by the clock, which may be set back.
        newest = [*begun, *(known | {key: doing[key] for key in known.keys() & doing}).values()][:_COMMITS_SHOWN]
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        items = [
            {"body": _record(sight, ticket), "key": ticket.id, "meta": {"href": f"{request.href}/{ticket.id}"}}
            for ticket in newest
            if _visible(request, ticket)
        ]
        return Response({"items": items, "meta": meta(request)})


def _visible(request: Request, ticket: CommitRecord) -> bool:
    return ticket.account == request.member.account or request.member.rights.may_read(CHANGELOG, request.href)


def _record(sight: Sight, ticket: CommitRecord) -> dict[str, Any]:
    return {
        "error": sight.error(ticket.error),
        "finished": ticket.finished,
        "id": ticket.id,
        "revision": ticket.revision,
        "started": ticket.started,
        "state": ticket.state,
        "user": ticket.user,
    }


class OneCommit(Resource):
    """The record of one commit, by its id or by the caller's own Idempotency-Key."""

    operations = {
        "GET": Operation("What became of a commit.", answer_schema(body=_RECORD, key={"type": "string"}), errors=(404,))
    }

    def __init__(self, service: Service, name: str) -> None:
        self._service, self._name = service, name

    async def get(self, request: Request) -> Response:
        """Answer the record."""
        pipeline, account = self._service.pipeline, request.member.account
        doing = tuple(pipeline.now_doing.values())  # at once, since the commit thread goes on
        running = next((t for t in doing if self._name in {t.id, t.idempotency_key if t.account == account else None}), None)
        ticket = running
        if running is None or running.state == "queued":
            stored = await asyncio.to_thread(pipeline.store.ticket, self._name, account)
            # A request with a key that has its answer is no commit: it gets that answer.
            ticket = stored if stored is not None and (running is None or stored.state != "failed") else running
        if ticket is None or not _visible(request, ticket):
            raise errors.not_found(request.href, self._name)
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        return envelope(request, ticket.id, _record(sight, ticket))
