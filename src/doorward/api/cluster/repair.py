"""``/api/cluster/repair``: a new line of the cluster's history, where nodes hold a later one (an extension)."""

from __future__ import annotations

import time
from typing import Any

from doorward.api.cluster.shared import ABOUT, EMPTY, ClusterResource, about, as_central, refusal
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, meta
from doorward.membership import promote
from doorward.transaction.candidate import Candidate
from doorward.tree.places import Place

_BODY = {
    "type": "object",
    "properties": {"epoch": {"type": ["integer", "null"]}, "nodes": {"type": "array", "items": {"type": "object"}}},
}


class Repair(ClusterResource):
    """Has nodes follow this Central Management again after it was brought back from an old copy."""

    listed = False
    personal = frozenset({"POST"})
    operations = {
        "GET": Operation("Nodes that hold another history than this node.", answer_schema(ABOUT, body=_BODY), errors=(400, 403)),
        "POST": Operation(
            "Begin a new line of history, at the commit: nodes take the configuration of this node in place of theirs.",
            answer_schema(ABOUT, body=_BODY),
            body=EMPTY,
            status=201,
            errors=(400, 403),
        ),
    }

    async def get(self, request: Request) -> Response:
        """Answer which nodes hold another history, and how far they are in it. Nothing is changed."""
        snapshot = self.shared.snapshot(request)
        promotion = snapshot.read(promote.NODE)
        body = {"epoch": promotion.epoch if promotion else None, "nodes": self.shared.view.forked()}
        return Response({"body": body, "meta": meta(request)})

    async def post(self, request: Request) -> Response:
        """Begin the line."""
        _, warnings = await self.read_body(request, EMPTY)
        forked = self.shared.view.forked()

        def write(candidate: Candidate) -> dict[str, Any]:
            as_central(candidate.snapshot, request.href)
            if not forked:
                raise refusal(
                    "no_history_fork", "No node holds another history than this one; nothing is to be repaired.", request.href
                )
            promotion = candidate.snapshot.read(promote.NODE)
            assert promotion is not None  # noqa: S101 - it is Central Management
            later = [node["applied"]["epoch"] for node in forked if node["applied"]]
            # Newer than everything that a node may hold, whatever the clock of this machine says.
            epoch = max(int(time.time()), promotion.epoch + 1, *(one + 1 for one in later))
            self.shared.put(candidate, Place(promote.PATH), promotion.model_dump(mode="json") | {"epoch": epoch})
            return {"epoch": epoch, "nodes": forked}

        body = await self.written(request, write)
        return Response({"body": body, "meta": about(request, warnings)}, 201, {"Location": request.href})
