"""``/api/cluster/status`` (cluster contract, section 9), and ``/api/cluster`` as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from doorward.api.cluster.join_request import OwnJoinRequest
from doorward.api.cluster.nodes import Nodes
from doorward.api.cluster.repair import Repair
from doorward.api.cluster.shared import ABOUT, STATUS, ClusterResource, Promote, Shared, Spp, SyncPlugin
from doorward.api.request import Request, Response
from doorward.api.resources import Container, Operation, Resource, answer_schema, meta
from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role

_SYNC = ["n/a", "not-fetched", "outdated", "pending", "up-to-date"]
_ITEM: dict[str, dict[str, Any]] = {
    "fqdn": {"type": ["string", "null"]},
    "health_status": {"type": ["object", "null"]},
    "key": {"type": "string"},
    "status": {"enum": ["issues", "offline", "ok"]},
    "sync_status": {"enum": _SYNC},
}


def _links(key: str) -> dict[str, str]:
    return {"configuration": f"{nodes.PATH}/{key}", "href": f"{STATUS}/{key}"}


class ClusterStatus(ClusterResource):
    """Status of the nodes; on a joined node of itself alone."""

    operations = {
        "GET": Operation(
            "Status of the nodes.",
            answer_schema(ABOUT, items={"type": "array", "items": {"type": "object", "properties": _ITEM, "required": ["key"]}}),
            errors=(404,),
        )
    }

    def _items(self) -> dict[str, dict[str, Any]]:
        return {item["key"]: item for item in self.shared.view.statuses()}

    async def get(self, request: Request) -> Response:
        """List the status of the nodes."""
        view = self.shared.view
        items = [item | {"meta": _links(key)} for key, item in self._items().items()]
        content: dict[str, Any] = {"items": items, "meta": meta(request, self=f"{STATUS}/{view.node_id}")}
        if (central := view.central_management()) is not None:
            content["central_management"] = central
        return Response(content)

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return the status of a node."""
        item = self._items().get(segment)
        return NodeStatus(self.shared, item) if item is not None else None

    def template(self) -> tuple[str, Resource] | None:
        """Return what the status of a node is like."""
        return "key", NodeStatus(self.shared, {})


class NodeStatus(ClusterResource):
    """How one node does."""

    operations = {"GET": Operation("How a node does.", answer_schema(ABOUT, **_ITEM), errors=(404,))}

    def __init__(self, shared: Shared, item: dict[str, Any]) -> None:
        super().__init__(shared)
        self._item = item

    async def get(self, request: Request) -> Response:
        """Answer the node's status, members at the top."""
        return Response(self._item | {"meta": meta(request, **_links(self._item["key"]))})


class ClusterContainer(Container):
    """``/api/cluster``. On a node that is in no cluster nothing is at its status."""

    def __init__(self, shared: Shared, children: Mapping[str, Resource]) -> None:
        super().__init__(children)
        self._shared = shared

    def child(self, segment: str, request: Request) -> Resource | None:
        """Return a child."""
        if segment == "status" and not cluster_role(self._shared.running().snapshot).is_member:
            return None
        return super().child(segment, request)


def cluster_resources(shared: Shared) -> ClusterContainer:
    """Return ``/api/cluster``."""
    children = {
        "configuration_sync_plugin": SyncPlugin(shared),
        "join_request": OwnJoinRequest(shared),
        "nodes": Nodes(shared),
        "promote": Promote(shared),
        "repair": Repair(shared),
        "spp": Spp(shared),
        "status": ClusterStatus(shared),
    }
    return ClusterContainer(shared, children)
