"""This node's request to join a cluster, and later its membership: ``/api/cluster/join_request``. Null where there is none."""

from __future__ import annotations

from pydantic import Field

from doorward.membership._identities import NodeId, Psk
from doorward.tree.destinations import Destination
from doorward.tree.fields import Ip
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/cluster/join_request"


class Joined(Body):
    """The cluster that the node was paired with."""

    central_node_id: NodeId = Field(description="UUID of the central node.")
    cluster_id: NodeId = Field(description="UUID of the cluster.")


class JoinRequest(Body):
    """A request is open while it has a secret, has failed when it has neither, and was answered once ``joined`` is there."""

    destination = Destination()  # what a node pairs with is never sent

    central_management_address: Ip = Field(description="Where Central Management is.")
    joined: Joined | None = Field(None, description="The cluster, once paired.")
    node_id: NodeId = Field(description="UUID of this node.")
    previous_address: Ip | None = Field(None, description="Where Central Management was before; tried as well.")
    psk: Psk | None = Field(None, description="The secret to pair with, until then.")


NODE: Singleton[JoinRequest | None] = Singleton(title="Join request", model=JoinRequest | None, default=None, scope="node")
