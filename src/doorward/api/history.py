"""``/api/revisions``: what was committed, by whom, what differs, and the way back (protocol, section 13; trust, section 2)."""

from __future__ import annotations

import asyncio
from typing import Any

from doorward.access.sight import CHANGELOG, Sight
from doorward.api import errors
from doorward.api.openapi_transaction import CHANGE_LIST
from doorward.api.past import number_in
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta, meta_schema
from doorward.api.revision_restore import RevisionRestore
from doorward.store.port import Edit, Revision, Store
from doorward.transaction.changes import as_changes
from doorward.transaction.commits import CommitService
from doorward.tree.places import Place

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
        where = self._service.pipeline.tree.within(request.query["path"]) if "path" in request.query else ([], None)
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
