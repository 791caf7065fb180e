"""``/api/cluster/nodes``: accepting, addresses and roles, removing (cluster contract, sections 4.2, 5 and 8)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter

from doorward.api.cluster.shared import ABOUT, MEMBER, STATUS, ClusterResource, Shared, about
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, items_of, meta
from doorward.cluster.pairing import PSK_LENGTH
from doorward.membership import nodes
from doorward.membership._identities import NodeId
from doorward.transaction.candidate import Candidate
from doorward.tree.fields import Confidential, Ip, matching
from doorward.tree.models import Body, Elements
from doorward.tree.places import Place


class Accept(Body):
    """What the joining node answered to its join request."""

    address: Ip = Field(description="Cluster listen address of the node.")
    node_id: NodeId = Field(description="UUID of the node.")
    psk: Annotated[
        str, AfterValidator(matching(rf"[A-Za-z0-9]{{{PSK_LENGTH}}}", "Must be the psk of a join request.")), Confidential
    ] = Field(description="The secret to pair with; kept sealed, and destroyed by the pairing or after 24 hours.")
    roles: Annotated[list[str], Elements(most=0)] = Field(default_factory=list, description="Roles are given later.")


_ACCEPT: TypeAdapter[Accept] = TypeAdapter(Accept)
_BODY: TypeAdapter[nodes.MemberBody] = TypeAdapter(nodes.MemberBody)
_SHOWN: dict[str, dict[str, Any]] = {"body": MEMBER, "key": {"type": "string", "format": "uuid"}}


def shown(value: dict[str, Any]) -> dict[str, Any]:
    """Return the body of a node as it is shown: never with its secret."""
    return {"address": value["address"], "roles": value["roles"]}


class Nodes(ClusterResource):
    """The nodes of the cluster."""

    reserved = frozenset({"POST"})
    personal = frozenset({"POST"})

    operations = {
        "GET": Operation("The nodes.", answer_schema(items=items_of(MEMBER))),
        "POST": Operation(
            "Accept a node, with what its join request answered.",
            answer_schema(ABOUT, **_SHOWN),
            body=_ACCEPT,
            status=201,
            errors=(400, 403),
        ),
    }

    def child(self, segment: str, request: Request) -> Resource | None:
        """Return a node that the caller sees."""
        found = self.shared.snapshot(request).document(Place(nodes.PATH, segment))
        return ClusterNode(self.shared, segment) if found is not None else None

    def template(self) -> tuple[str, Resource] | None:
        """Return what a node is like."""
        return "key", ClusterNode(self.shared, "{key}")

    async def get(self, request: Request) -> Response:
        """List the nodes."""
        rows = self.shared.snapshot(request).objects(nodes.PATH).items()
        items = [
            {"body": shown(document.value), "key": key, "meta": {"href": f"{nodes.PATH}/{key}", "status": f"{STATUS}/{key}"}}
            for key, document in rows
        ]
        return Response({"items": items, "meta": meta(request)})

    async def post(self, request: Request) -> Response:
        """Accept a node; one that is known but was never paired gets the new secret."""
        body, warnings = await self.read_body(request, _ACCEPT)
        place = Place(nodes.PATH, body.node_id)

        def accept(candidate: Candidate) -> None:
            is_paired = self.shared.view.paired(body.node_id)
            self.shared.changes.accept(candidate, body.node_id, body.address, body.psk, is_paired=is_paired)

        await self.written(request, accept)
        made = self.shared.snapshot(request).at(place)
        links = about(request, warnings, href=place.href, parent=nodes.PATH, status=f"{STATUS}/{place.key}")
        return Response({"body": shown(made.value), "key": place.key, "meta": links}, 201, {"Location": place.href})


class ClusterNode(ClusterResource):
    """One node."""

    operations = {
        "GET": Operation("A node.", answer_schema(ABOUT, **_SHOWN)),
        "PUT": Operation("Set its address and roles.", answer_schema(ABOUT, **_SHOWN), body=_BODY, errors=(400, 403)),
        "DELETE": Operation("Remove it.", answer_schema(ABOUT), errors=(400, 403)),
    }

    def __init__(self, shared: Shared, key: str) -> None:
        super().__init__(shared)
        self._key, self._place = key, Place(nodes.PATH, key)

    def _answer(self, request: Request, warnings: list[dict[str, str]]) -> Response:
        document = self.shared.snapshot(request).at(self._place)
        links = about(request, warnings, status=f"{STATUS}/{self._key}")
        return Response({"body": shown(document.value), "key": self._key, "meta": links})

    async def get(self, request: Request) -> Response:
        """Answer the node."""
        return self._answer(request, [])

    async def put(self, request: Request) -> Response:
        """Set address and roles, both whole."""
        body, warnings = await self.read_body(request, _BODY)
        await self.written(request, lambda candidate: self.shared.changes.change_member(candidate, self._key, body))
        return self._answer(request, warnings)

    async def delete(self, request: Request) -> Response:
        """Remove the node. It turns standalone at its next contact and keeps its configuration."""
        await self.written(request, lambda candidate: self.shared.changes.remove(candidate, self._key))
        return Response({"meta": meta(request)})
