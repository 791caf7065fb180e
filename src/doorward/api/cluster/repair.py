"""``/api/cluster/repair``: a new line of the cluster's history, where nodes hold a later one (an extension)."""

from __future__ import annotations

from doorward.api.bodies import EMPTY
from doorward.api.cluster.shared import ABOUT, ClusterResource, about
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, meta
from doorward.membership import promote

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
        epoch = await self.written(request, lambda candidate: self.shared.changes.repair(candidate, forked))
        body = {"epoch": epoch, "nodes": forked}
        return Response({"body": body, "meta": about(request, warnings)}, 201, {"Location": request.href})
