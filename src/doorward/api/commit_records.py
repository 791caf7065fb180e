"""``/api/commits``: what became of each commit (protocol, section 13)."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

from doorward.access.sight import CHANGELOG, Sight
from doorward.api import errors
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, envelope, items_of, meta
from doorward.store.port import CommitRecord, State
from doorward.transaction.commits import CommitService

_COMMITS_SHOWN = 100
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


class Commits(Resource):
    """The records of commits."""

    operations = {"GET": Operation("The last 100 commits, newest first.", answer_schema(items=items_of(_RECORD)))}
    privilege = CHANGELOG

    def __init__(self, service: CommitService) -> None:
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
        known = {record.id: record for record in stored}
        begun = [record for record in doing.values() if record.id not in known]
        # In the order in which they came to be, never by the clock, which may be set back.
        newest = [*begun, *(known | {key: doing[key] for key in known.keys() & doing}).values()][:_COMMITS_SHOWN]
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        items = [
            {"body": _record(sight, record), "key": record.id, "meta": {"href": f"{request.href}/{record.id}"}}
            for record in newest
            if _visible(request, record)
        ]
        return Response({"items": items, "meta": meta(request)})


def _visible(request: Request, record: CommitRecord) -> bool:
    return record.account == request.member.account or request.member.rights.may_read(CHANGELOG, request.href)


def _record(sight: Sight, record: CommitRecord) -> dict[str, Any]:
    return {
        "error": sight.error(record.error),
        "finished": record.finished,
        "id": record.id,
        "revision": record.revision,
        "started": record.started,
        "state": record.state,
        "user": record.user,
    }


class OneCommit(Resource):
    """The record of one commit, by its id or by the caller's own Idempotency-Key."""

    operations = {
        "GET": Operation("What became of a commit.", answer_schema(body=_RECORD, key={"type": "string"}), errors=(404,))
    }

    def __init__(self, service: CommitService, name: str) -> None:
        self._service, self._name = service, name

    async def get(self, request: Request) -> Response:
        """Answer the record."""
        pipeline, account = self._service.pipeline, request.member.account
        doing = tuple(pipeline.now_doing.values())  # at once, since the commit thread goes on
        running = next((t for t in doing if self._name in {t.id, t.idempotency_key if t.account == account else None}), None)
        record = running
        if running is None or running.state == "queued":
            stored = await asyncio.to_thread(pipeline.store.commit_record, self._name, account)
            # A request with a key that has its answer is no commit: it gets that answer.
            record = stored if stored is not None and (running is None or stored.state != "failed") else running
        if record is None or not _visible(request, record):
            raise errors.not_found(request.href, self._name)
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        return envelope(request, record.id, _record(sight, record))
