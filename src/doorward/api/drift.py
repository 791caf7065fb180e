"""``/api/drift``: where the host is not as configured, and taking what was found there into a transaction (trust, section 3)."""

from __future__ import annotations

import asyncio
from typing import Any

from doorward.access.sight import Sight
from doorward.api import errors
from doorward.api.candidates import written_in_turn
from doorward.api.configuration import Configuration, may_write
from doorward.api.openapi_transaction import STATUS
from doorward.api.request import Request, Response
from doorward.api.resources import TIME, Operation, Resource, answer_schema, meta, meta_schema
from doorward.api.transaction import still_permitted
from doorward.api.transaction_status import status
from doorward.events.drift import DriftEntry, DriftWatch
from doorward.host.errors import HostError
from doorward.store.port import CommitRecord
from doorward.transaction.candidate import Candidate
from doorward.transaction.commits import CommitService
from doorward.tree.nodes import Valued
from doorward.tree.places import Place
from doorward.tree.problems import InvalidBody, Problem, SemanticError, as_json

BASIC = "/special/basic"
_DRIFT = {
    "x-component": "Drift",
    "type": "object",
    "properties": {
        "expected": {"type": "string", "description": "What should be there; empty where the message says it."},
        "found": {"type": "string", "description": "What is there; of a text a unified diff, without secrets."},
        "message": {"type": "string"},
        "path": {"type": "string", "description": "The endpoint that it comes from."},
        "resource": {"type": "string", "description": "What differs, such as `file /etc/timezone`."},
        "since": TIME,
    },
    "required": ["expected", "found", "message", "path", "resource", "since"],
}
_HIDDEN = {"type": "object", "description": "How many differences are not shown to this account."}


class DriftResource(Resource):
    """Where the host is not as the running revision says."""

    operations = {
        "GET": Operation(
            "What differs, since when, and how.",
            answer_schema(meta_schema("DriftMeta", "adopt", hidden=_HIDDEN), drift={"type": "array", "items": _DRIFT}),
        )
    }
    privilege = BASIC
    listed = False

    def __init__(self, service: CommitService, shared: Configuration, watch: DriftWatch) -> None:
        self._service, self._watch = service, watch
        self.children = {"adopt": Adopt(service, shared, watch), "repair": HostRepair(service, watch)}

    async def get(self, request: Request) -> Response:
        """List what may be seen."""
        pipeline = self._service.pipeline
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        shown = sight.members({"drift": [_shown(one) for one in self._watch.found()]}, "drift")
        hidden = {"hidden": shown["hidden"]} if "hidden" in shown else {}
        return Response({"drift": shown["drift"], "meta": meta(request, adopt=f"{request.href}/adopt", **hidden)})


def _shown(drift: DriftEntry) -> dict[str, str]:
    warning = drift.warning
    return {
        "expected": warning.expected,
        "found": warning.found,
        "message": warning.message,
        "path": warning.origin,
        "resource": warning.resource,
        "since": drift.since,
    }


class HostRepair(Resource):
    """Making the host what the running revision says, once."""

    operations = {
        "POST": Operation(
            "Put the host back to what runs, at once, as a commit would.",
            answer_schema(meta_schema("RepairMeta", "commit")),
            body={},
            errors=(403, 409, 500, 503),
        )
    }
    reserved = frozenset({"POST"})
    personal = frozenset({"POST"})

    def __init__(self, service: CommitService, watch: DriftWatch) -> None:
        self._service, self._watch = service, watch

    async def post(self, request: Request) -> Response:
        """Answer the commit record of it, once the host has it all."""
        await request.read()
        user = request.member.name

        def work() -> CommitRecord:
            still_permitted(request, request.member)
            self._service.check_pending()
            return self._watch.repair(user)

        record = await self._service.queue.run(work)
        return Response({"meta": meta(request, commit=f"/api/commits/{record.id}")})


class Adopt(Resource):
    """Taking what was found on the host into the configuration."""

    operations = {
        "POST": Operation("Put what was found into the transaction, where that can be.", STATUS, body={}, errors=(400, 403))
    }
    privilege = BASIC

    def __init__(self, service: CommitService, shared: Configuration, watch: DriftWatch) -> None:
        self._service, self._shared, self._watch = service, shared, watch

    def may_write(self, request: Request) -> bool:
        """Who may read what differs; each endpoint that changes needs its own right."""
        return self.may_read(request)

    async def post(self, request: Request) -> Response:
        """Fill the caller's candidate; a commit makes it real."""
        await request.read()
        async with written_in_turn(request, lambda: self._service.pipeline.running) as draft:
            differing = sorted({drift.warning.origin for drift in self._watch.found()})
            candidate, warnings = await asyncio.to_thread(self._adopted, request, draft.candidate, differing)
            draft.candidate = candidate
        told = as_json(warnings, request.href)
        return status(self._service, candidate, **({"warnings": told} if told else {}))

    def _adopted(self, request: Request, candidate: Candidate, paths: list[str]) -> tuple[Candidate, list[Problem]]:
        """Return a candidate with what stands on the host, and what could not be taken over."""
        pipeline = self._service.pipeline
        sight = Sight(pipeline.tree, request.member.rights, pipeline.running.snapshot)
        warnings: list[Problem] = []
        for path in [path for path in paths if path in pipeline.tree.endpoints and sight.path(path)]:
            endpoint = pipeline.tree[path]
            node, found = endpoint.node, None
            if isinstance(node, Valued) and node.adopt is not None:
                if not may_write(request.member.rights, endpoint, ""):
                    raise errors.unauthorized(path, write=True)
                try:
                    found = node.adopt(pipeline.running.snapshot, pipeline.host.found)
                except HostError as failure:
                    warnings.append(Problem("not_adopted", f"What is there can't be read: {failure.reason}.", "", path))
                    continue
            if found is None:
                warnings.append(Problem("not_adopted", "What is there can't be read back into the configuration.", "", path))
                continue
            self._shared.check_scope(candidate.snapshot, Place(path))
            warnings += self._written(candidate, path, found)
        return candidate, warnings

    def _written(self, candidate: Candidate, path: str, found: Any) -> list[Problem]:
        try:
            return list(self._service.pipeline.tree.node(path).replace(candidate, "", found, strict=True))
        except (InvalidBody, SemanticError) as refused:
            reason = "; ".join(problem.message for problem in refused.problems)
            return [Problem("not_adopted", f"What is there can't be configured: {reason}", "", path)]
