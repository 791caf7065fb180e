"""``/api/cluster/join_request``: asking to join, looking how it went, following Central Management to a new address, leaving."""

from __future__ import annotations

from typing import Any

from pydantic import Field, TypeAdapter

from doorward.api.cluster.shared import ABOUT, ClusterResource, about, own_address, refusal
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, answer_schema, meta
from doorward.cluster.pairing import new_psk
from doorward.configuration.local_services import cluster as interface
from doorward.membership import join_request, nodes
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.transaction.candidate import Candidate
from doorward.tree.fields import Ip
from doorward.tree.models import Body
from doorward.tree.places import Place

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


class JoinRequest(ClusterResource):
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
        node_id = self.shared.view.node_id

        def write(candidate: Candidate) -> str:
            known = cluster_role(candidate.snapshot)
            if known.is_member:
                raise refusal("already_in_cluster", "This node is in a cluster.", request.href)
            address = own_address(candidate.snapshot, request.href)
            _other_than(address, ask, request.href)
            key = self.shared.keep_psk(candidate, psk, known.psk)
            body = {"central_management_address": ask.central_management_address, "node_id": node_id, "psk": key}
            self.shared.put(candidate, Place(join_request.PATH), body)
            return address

        address = await self.written(request, write)
        body = {"address": address, "node_id": node_id, "psk": psk, "roles": []}
        return Response({"body": body, "meta": about(request, warnings)}, 201, {"Location": request.href})

    async def put(self, request: Request) -> Response:
        """Look for Central Management elsewhere; the earlier address is tried as well."""
        ask, warnings = await self.read_body(request, _ASK)

        def write(candidate: Candidate) -> ClusterRole:
            known = cluster_role(candidate.snapshot)
            _has_request(known, request.href)
            _other_than(interface.listen_address(candidate.snapshot), ask, request.href)
            document = candidate.snapshot.document(Place(join_request.PATH))
            assert document is not None  # noqa: S101 - there is a request
            address, old = ask.central_management_address, document.value
            if address != old["central_management_address"]:
                moved = {"central_management_address": address, "previous_address": old["central_management_address"]}
                self.shared.put(candidate, Place(join_request.PATH), old | moved)
            return cluster_role(candidate.snapshot)

        known = await self.written(request, write)
        return self._state(request, known, **({"warnings": warnings} if warnings else {}))

    async def delete(self, request: Request) -> Response:
        """Withdraw the request, or leave. What was configured stays and is writable again."""

        def write(candidate: Candidate) -> None:
            known = cluster_role(candidate.snapshot)
            _has_request(known, request.href)
            self.shared.put(candidate, Place(join_request.PATH), None)
            self.shared.drop_psk(candidate, known.psk)
            for key in list(candidate.snapshot.objects(nodes.PATH).order):
                candidate.remove(Place(nodes.PATH, key))

        await self.written(request, write)
        return Response({"meta": meta(request)})


def _other_than(address: str | None, ask: Ask, path: str) -> None:
    if ask.central_management_address == address:
        raise refusal("own_address", "This is the address of the node itself.", path, "/central_management_address")


def _has_request(known: ClusterRole, path: str) -> None:
    if known.state == "central":
        raise refusal("central_role", "Central Management can't leave its cluster.", path)
    if known.state == "standalone":
        raise refusal("not_in_cluster", "The node is in no cluster and has no join request.", path)
