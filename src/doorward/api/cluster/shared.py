"""What the resources of ``/api/cluster`` share, promotion, and what this release does not do (cluster contract, sections 2, 3).

Writes belong to the caller's transaction, as those of the configuration do, and act at its commit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field, TypeAdapter

from doorward.api.bodies import EMPTY
from doorward.api.candidates import written_in_turn
from doorward.api.request import Request, Response
from doorward.api.resources import Operation, Resource, answer_schema, meta, meta_schema
from doorward.cluster.changes import MembershipChanges, check_central, refusal
from doorward.membership import nodes
from doorward.transaction.candidate import Candidate, Running
from doorward.tree.models import Body
from doorward.tree.problems import InvalidBody, SemanticError, as_json
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot
from doorward.tree.validation import check

PRIVILEGE = "/special/cluster"
STATUS = "/api/cluster/status"
_T = TypeVar("_T")


class ClusterView(Protocol):
    """What the running cluster knows and no snapshot shows. All of it is at hand; nothing blocks."""

    node_id: str

    def paired(self, node_id: str) -> bool:
        """Whether this Central Management has paired with the node."""

    def forked(self) -> list[dict[str, Any]]:
        """Return the nodes that hold another history than this one, and how far they are in it; none on managed nodes."""

    def join_details(self) -> dict[str, Any]:
        """Return ``details`` of the join request as far as they are no configuration."""

    def statuses(self) -> list[dict[str, Any]]:
        """Return the items of the cluster's status without ``meta``: on a joined node its own alone."""

    def central_management(self) -> dict[str, Any] | None:
        """Return how Central Management is seen from a joined node; None on Central Management."""

    def unreachable_since(self) -> str | None:
        """Return since when Central Management has not answered (UTC text); None while it does, or where there is none."""


class Shared(Struct, frozen=True):
    """What the resources below ``/api/cluster`` share."""

    tree: Tree
    running: Callable[[], Running]
    view: ClusterView

    def snapshot(self, request: Request) -> Snapshot:
        """Return the configuration that the caller sees."""
        login = request.member
        return login.candidate.snapshot if login.candidate else self.running().snapshot

    @property
    def changes(self) -> MembershipChanges:
        """The changes that this node can make."""
        return MembershipChanges(self.tree, self.view.node_id)


class ClusterResource(Resource):
    """Something below ``/api/cluster``."""

    privilege = PRIVILEGE

    def __init__(self, shared: Shared) -> None:
        self.shared = shared

    async def read_body(self, request: Request, model: TypeAdapter[_T]) -> tuple[_T, list[dict[str, str]]]:
        """Return the validated body and the warnings about it. An empty one counts as an empty object."""
        raw = await request.read()
        value = request.decoded(raw or b"{}")
        try:
            checked = check(model, value, strict=request.strict)
        except InvalidBody as refused:
            shape = [problem for problem in refused.problems if problem.code != "not_supported"]
            if shape:
                raise InvalidBody(shape) from None
            raise SemanticError(replace(problem, path=request.href) for problem in refused.problems) from None
        return checked.model, as_json(checked.warnings, request.href)

    async def written(self, request: Request, write: Callable[[Candidate], _T]) -> _T:
        """Carry out a write in the caller's candidate, and return its result."""
        async with written_in_turn(request, self.shared.running) as draft:
            return write(draft.candidate)


def about(request: Request, warnings: list[dict[str, str]], **links: Any) -> dict[str, Any]:
    """Return the ``meta`` of an answer to a write."""
    return {**meta(request), **links} | ({"warnings": warnings} if warnings else {})


ABOUT = meta_schema("ClusterMeta", "configuration", "self", "status", "transaction")
"""JSON schema of ``meta`` below ``/api/cluster``."""

MEMBER = {
    "type": "object",
    "properties": {"address": {"type": "string"}, "roles": {"type": "array", "items": {"type": "string"}}},
}


class Promote(ClusterResource):
    """Makes this node Central Management."""

    reserved = frozenset({"POST"})
    personal = frozenset({"POST"})

    operations = {
        "POST": Operation(
            "Make this node Central Management, at the commit.",
            answer_schema(ABOUT, body=MEMBER),
            body=EMPTY,
            status=201,
            errors=(400, 403),
        )
    }

    async def post(self, request: Request) -> Response:
        """Begin a cluster."""
        _, warnings = await self.read_body(request, EMPTY)
        own = self.shared.view.node_id
        body = await self.written(request, self.shared.changes.promote)
        links = about(request, warnings, href=f"{nodes.PATH}/{own}", parent=nodes.PATH)
        return Response({"body": body, "meta": links}, 201, {"Location": f"{nodes.PATH}/{own}"})


class PluginDisabled(Body):
    """The plugin stays off."""

    enabled: Literal[False] = Field(description="This release runs no plugins.")


_DISABLED: TypeAdapter[PluginDisabled] = TypeAdapter(PluginDisabled)
_NO_PLUGIN: dict[str, Any] = {"plugin": {"key": None, "meta": {}}}


class SyncPlugin(ClusterResource):
    """The plugin between Central Management and the nodes; this release runs none."""

    operations = {
        "GET": Operation("The synchronisation plugin: none.", answer_schema(plugin={"type": "object"})),
        "POST": Operation("Keep it off.", answer_schema(plugin={"type": "object"}), body=_DISABLED, errors=(400,)),
        "PUT": Operation("Keep it off.", answer_schema(plugin={"type": "object"}), body=_DISABLED, errors=(400,)),
    }

    async def get(self, request: Request) -> Response:
        """Answer that there is none."""
        return Response({**_NO_PLUGIN, "meta": meta(request)})

    async def put(self, request: Request) -> Response:
        """Take ``{"enabled": false}`` and nothing else."""
        raw = await request.read()
        value = request.decoded(raw)
        if isinstance(value, dict) and value.get("enabled") is True:
            raise refusal("not_supported", "This release runs no plugins.", request.href, "/enabled")
        check(_DISABLED, value, strict=request.strict)
        check_central(self.shared.snapshot(request), request.href)
        return Response({**_NO_PLUGIN, "meta": meta(request)})

    post = put


class Spp(ClusterResource):
    """Joining the vendor's password appliance, which this release does not do."""

    operations = {"POST": Operation("Not supported.", answer_schema(), body={}, errors=(400,))}
    listed = False

    async def post(self, request: Request) -> Response:
        """Refuse."""
        await request.read()
        raise refusal("not_supported", "Not supported by this release.", request.href)
