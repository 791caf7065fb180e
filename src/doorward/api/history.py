"""``/api/revisions``: what was committed, by whom, what differs, and the way back (protocol, section 13; trust, section 2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from doorward.access.sight import CHANGELOG, Sight
from doorward.access.writable import not_restorable
from doorward.api import errors
from doorward.api.bodies import sent
from doorward.api.candidates import written_in_turn
from doorward.api.openapi_transaction import CHANGE_LIST, STATUS
from doorward.api.past import number_in
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta, meta_schema
from doorward.api.transaction_status import status
from doorward.store.port import Edit, Revision, Store
from doorward.transaction.candidate import Candidate
from doorward.transaction.changes import as_changes
from doorward.transaction.commits import CommitService
from doorward.transaction.conflicts import explained
from doorward.transaction.history import restore
from doorward.transaction.merge import MergeConflict, rebased
from doorward.tree.models import Body
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import InvalidBody, Problem, as_json
from doorward.tree.registry import Tree

_MAX_PAGE = 500
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
        **revision.approval,
    }


_REVISION = {
    "x-component": "Revision",
    "type": "object",
    "properties": {
        "address": {"type": "string", "description": "Where the commit came from; empty: the node itself."},
        "approvers": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Who accepted it, where it took somebody's approval.",
        },
        "author": {"type": "string"},
        "changes": {"type": "integer", "minimum": 0, "description": "How many documents it changed."},
        "commit_message": {"type": ["string", "null"]},
        "emergency": {"const": True, "description": "It took somebody's approval, and went without."},
        "hash": {"type": "string", "description": "SHA-256 over the revision and the hash of its parent."},
        "parent": {"type": ["integer", "null"]},
        "time": TIME,
    },
    "required": ["address", "author", "changes", "commit_message", "hash", "parent", "time"],
}
_HEAD = {
    "x-component": "HistoryHead",
    "type": "object",
    "properties": {
        "hash": {"type": "string", "description": "The hash of the revision, and by that of all before it."},
        "number": {"type": "integer", "minimum": 1},
        "public_key": {"type": "string", "description": "The Ed25519 key of this node's history, base64 of 32 bytes."},
        "signature": {"type": "string", "description": "Ed25519, base64, over what the contract says (trust, section 2)."},
        "time": TIME,
    },
    "required": ["hash", "number", "public_key", "signature", "time"],
}


class Revisions(Resource):
    """The history of the configuration."""

    operations = {
        "GET": Operation(
            "Committed revisions, newest first.",
            answer_schema(items=items_of(_REVISION)),
            errors=(400,),
            query={
                "limit": {**_INT, "maximum": _MAX_PAGE, "default": 100},
                "before": _INT,
                "path": {"type": "string", "description": "Only those that changed something at or below this resource."},
            },
        )
    }
    privilege = CHANGELOG

    def __init__(self, service: CommitService) -> None:
        self._service = service

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one revision, or the signed head."""
        if segment == "head":
            return Head(self._service)
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
        where = _where(self._service.pipeline.tree, request.query.get("path"))
        if where is None:
            wrong.append(("path", "Must be the path of a resource of the configuration or of the cluster.", "path"))
        if wrong or where is None:
            raise errors.invalid_query(wrong)
        paths, key = where
        if request.query.get("path") is not None:
            sight = Sight(self._service.pipeline.tree, request.member.rights, self._service.pipeline.running.snapshot)
            paths = [path for path in paths if sight.place(Place(path, key or ""))]
            if not paths:
                raise errors.unauthorized(request.query["path"], write=False)
        store = self._service.pipeline.store
        found = await asyncio.to_thread(store.revisions, numbers["before"], numbers["limit"], paths, key)
        items = [
            {
                "body": _body(revision),
                "key": str(revision.number),
                "meta": {"href": f"{request.href}/{revision.number}"},
            }
            for revision in found
        ]
        return Response({"items": items, "meta": meta(request)})


def _where(tree: Tree, path: str | None) -> tuple[list[str], str | None] | None:
    """Return the paths of the endpoints at and below a resource, and for an object its key; None where there is no such place."""
    if path is None:
        return [], None
    path = tree.aliases[path].path if path in tree.aliases else path.rstrip("/")
    if path in tree.endpoints:
        return [one for one in tree.endpoints if one == path or one.startswith(f"{path}/")], None
    above, _, key = path.rpartition("/")
    holder = tree.endpoints.get(above)
    return ([above], key) if holder is not None and holder.holds_objects else None


class Head(Resource):
    """The newest revision, signed: kept elsewhere it shows later that nothing was cut off (trust, section 2)."""

    operations = {"GET": Operation("The signed head of the history.", answer_schema(body=_HEAD, key={"const": "head"}))}
    privilege = CHANGELOG

    def __init__(self, service: CommitService) -> None:
        self._service = service

    async def get(self, request: Request) -> Response:
        """Answer the head."""
        anchor = await asyncio.to_thread(self._service.pipeline.store.anchor)
        if anchor is None:
            raise errors.not_found(request.href, "head")
        return envelope(request, "head", anchor.as_json())


class OneRevision(Resource):
    """One revision."""

    operations = {
        "GET": Operation(
            "Who committed what, when and why.",
            answer_schema(meta_schema("RevisionMeta", "changes", "restore"), body=_REVISION, key={"type": "string"}),
        )
    }
    privilege = CHANGELOG

    def __init__(self, service: CommitService, number: int) -> None:
        self._service, self._number = service, number
        self.children = {"changes": RevisionChanges(service, number), "restore": RevisionRestore(service, number)}

    async def get(self, request: Request) -> Response:
        """Answer the revision."""
        revision = await asyncio.to_thread(self._service.pipeline.store.revision, self._number)
        if revision is None:
            raise errors.not_found(request.href, str(self._number))
        links = {name: f"{request.href}/{name}" for name in self.children}
        return envelope(request, str(self._number), _body(revision), **links)


class RevisionChanges(Resource):
    """What a revision changed."""

    operations = {
        "GET": Operation(
            "What the revision changed, or what differs between two.",
            CHANGE_LIST,
            errors=(400,),
            query={"since": {**_INT, "description": "All that leads from this revision to the one of the path."}},
        )
    }
    privilege = CHANGELOG

    def __init__(self, service: CommitService, number: int) -> None:
        self._service, self._number = service, number

    async def get(self, request: Request) -> Response:
        """List the changes, sorted by path."""
        pipeline = self._service.pipeline
        since = number_in(request.query["since"]) if "since" in request.query else self._number - 1
        if since is None or since > pipeline.running.number:
            raise errors.invalid_query([("range", f"Must be a number from 1 to {pipeline.running.number}.", "since")])

        def work() -> dict[str, Any]:
            edits = _between(pipeline.store, since, self._number)
            sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot, edits=edits)
            return sight.members({"changes": as_changes(pipeline.tree, edits)}, "changes")

        shown = await asyncio.to_thread(work)
        hidden = {"hidden": shown["hidden"]} if "hidden" in shown else {}
        return Response({"changes": shown["changes"], "meta": meta(request, **hidden)})


def _between(store: Store, since: int, number: int) -> list[Edit]:
    """Return what leads from one revision to another, whichever is the older one."""
    if since <= number:
        return store.difference(since, number)
    return [Edit(edit.place, edit.new, edit.old, edit.position) for edit in store.difference(number, since)]


class RevisionRestoreOrder(Body):
    """What of a revision comes back: resources with all that is below them; [] is everything."""

    paths: Annotated[list[str], Field(max_length=100)] = Field([], description="Paths of resources of the configuration.")


_ORDER: TypeAdapter[RevisionRestoreOrder] = TypeAdapter(RevisionRestoreOrder)


class RevisionRestore(Resource):
    """Going back to a revision, or to what stood in it at some places."""

    operations = {
        "POST": Operation("Put the difference to the revision into the transaction.", STATUS, body=_ORDER, errors=(400, 403, 409))
    }
    personal = frozenset({"POST"})
    privilege = CHANGELOG

    def __init__(self, service: CommitService, number: int) -> None:
        self._service, self._number = service, number

    def may_write(self, request: Request) -> bool:
        """Who may read the history and write something; what comes back needs the rights of what it changes, or every right."""
        rights = request.member.rights
        return rights.everything or (self.may_read(request) and rights.may_write_something)

    async def post(self, request: Request) -> Response:
        """Fill the caller's candidate; a commit makes it real."""
        order, told = await sent(request, _ORDER)
        service = self._service
        if not order.paths and not request.member.rights.everything:
            raise errors.unauthorized(request.href, write=True)
        self._check(order.paths)
        async with written_in_turn(request, lambda: service.pipeline.running) as draft:
            before = draft.candidate
            draft.candidate = candidate = await service.queue.run(lambda: self._restored(before, order.paths))
            await asyncio.to_thread(self._check_rights, request, before, candidate)
            returning = service.pipeline.secrets.returning(candidate.snapshot, candidate.edits(), candidate)
            warnings = told + as_json(await asyncio.to_thread(list, returning), request.href)
        return status(service, candidate, **({"warnings": warnings} if warnings else {}))

    def _check(self, paths: Sequence[str]) -> None:
        """Raise 400 where a path is no resource of the configuration."""
        found = ((at, path, _where(self._service.pipeline.tree, path)) for at, path in enumerate(paths))
        message = "Must be the path of a resource of the configuration."
        wrong = [
            Problem("path", message, f"/paths/{at}")
            for at, path, where in found
            if where is None or not f"{path}/".startswith(f"{ROOT}/")
        ]
        if wrong:
            raise InvalidBody(wrong)

    def _check_rights(self, request: Request, before: Candidate, candidate: Candidate) -> None:
        """Raise 403 where the caller may not change all that has come back; it learns of those places that it may read."""
        tree, rights = self._service.pipeline.tree, request.member.rights
        forbidden = not_restorable(tree, before, candidate, rights)
        if forbidden:
            sight = Sight(tree, rights, candidate.base.snapshot, candidate.snapshot)
            seen = [place.href for place in forbidden if sight.place(place)]
            raise errors.not_restorable(request.href, seen, len(forbidden) - len(seen))

    def _restored(self, before: Candidate, paths: Sequence[str]) -> Candidate:
        """Run in the commit thread: what others committed since the transaction began is part of the difference."""
        pipeline = self._service.pipeline
        try:
            candidate = rebased(pipeline.tree, before, pipeline.running)
        except MergeConflict as collided:
            raise explained(pipeline.store, before.base.number, pipeline.running, collided) from None
        restore(pipeline.tree, pipeline.store, candidate, self._number, [path.rstrip("/") for path in paths])
        return candidate
