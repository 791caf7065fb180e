"""``/api/cluster/join_request``: asking to join, looking how it went, following Central Management to a new address, leaving."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from doorward.api.cluster.shared import ABOUT, ClusterResource, about
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, meta
from doorward.cluster.pairing import new_psk
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.tree.fields import Ip
from doorward.tree.models import Body

WORDS = {
    "standalone": "not in cluster",
    "requested": "join requested",
    "failed": "join failed",
    "joined": "in cluster",
    "central": "in cluster",
}
"""``status`` by state."""


class Ask(Body):
    """Which cluster."""

    central_management_address: Ip = Field(description="Cluster listen address of Central Management; no names.")


_ASK: TypeAdapter[Ask] = TypeAdapter(Ask)
_STATE = answer_schema(ABOUT, details={"type": "object"}, status={"enum": sorted(set(WORDS.values()))})


class OwnJoinRequest(ClusterResource):
    """This node's request to join, or its membership."""

    reserved = frozenset({"POST"})
    personal = frozenset({"POST", "PUT", "DELETE"})

    operations = {
        "GET": Operation("Whether this node is in a cluster.", _STATE),
        "POST": Operation(
            "Ask to join; what Central Management must be told is shown once.",
            answer_schema(ABOUT, body={"type": "object"}),
            body=_ASK,
            status=201,
            errors=(400, 403),
        ),
        "PUT": Operation("Follow Central Management to a new address.", _STATE, body=_ASK, errors=(400, 403)),
        "DELETE": Operation("Withdraw the request, or leave the cluster.", answer_schema(ABOUT), errors=(400, 403)),
    }

    async def get(self, request: Request) -> Response:
        """Answer the state of the node, as it runs."""
        return self._state(request, cluster_role(self.shared.running().snapshot))

    def _state(self, request: Request, known: ClusterRole, **links: Any) -> Response:
        details = self.shared.view.join_details()
        if known.central_addresses:
            details = {"central_management_address": known.central_addresses[0], "last_attempt": None, "reason": None} | details
        return Response({"details": details, "meta": meta(request, **links), "status": WORDS[known.state]})

    async def post(self, request: Request) -> Response:
        """Make the secret and show it, this once."""
        ask, warnings = await self.read_body(request, _ASK)
        psk = new_psk()
        node_id, changes = self.shared.view.node_id, self.shared.changes
        address = await self.written(
            request, lambda candidate: changes.ask_to_join(candidate, ask.central_management_address, psk)
        )
        body = {"address": address, "node_id": node_id, "psk": psk, "roles": []}
        return Response({"body": body, "meta": about(request, warnings)}, 201, {"Location": request.href})

    async def put(self, request: Request) -> Response:
        """Look for Central Management elsewhere; the earlier address is tried as well."""
        ask, warnings = await self.read_body(request, _ASK)
        changes = self.shared.changes
        known = await self.written(request, lambda candidate: changes.look_elsewhere(candidate, ask.central_management_address))
        return self._state(request, known, **({"warnings": warnings} if warnings else {}))

    async def delete(self, request: Request) -> Response:
        """Withdraw the request, or leave. What was configured stays and is writable again."""
        await self.written(request, self.shared.changes.leave)
        return Response({"meta": meta(request)})
