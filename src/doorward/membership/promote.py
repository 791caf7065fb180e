"""That this node is Central Management: ``/api/cluster/promote``. Null on every other node; there is no way back."""

from __future__ import annotations

from pydantic import Field

from doorward.membership._identities import NodeId
from doorward.tree.models import Body
from doorward.tree.nodes import Singleton

PATH = "/api/cluster/promote"


class Promotion(Body):
    """The cluster that began here."""

    cluster_id: NodeId = Field(description="UUID of the cluster.")
    epoch: int = Field(ge=0, description="Unix time at which this line of the cluster's history began: promotion or restore.")
    node_id: NodeId = Field(description="UUID of this node.")


NODE: Singleton[Promotion | None] = Singleton(title="Promotion", model=Promotion | None, default=None, scope="node")
