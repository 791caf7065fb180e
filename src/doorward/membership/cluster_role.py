"""What a node is in its cluster, read from a snapshot (cluster contract, section 2.1)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from doorward.membership import join_request, nodes, promote
from doorward.tree.snapshot import Snapshot

State = Literal["standalone", "requested", "failed", "joined", "central"]


class ClusterRole(Struct, frozen=True):
    """The state of a node. Ids are None while they are not known, ``central_addresses`` are tried in order."""

    state: State = "standalone"
    node_id: str | None = None
    cluster_id: str | None = None
    central_node_id: str | None = None
    central_addresses: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    psk: str | None = None

    @property
    def is_member(self) -> bool:
        """Whether the node is in a cluster."""
        return self.state in {"joined", "central"}

    @property
    def managed(self) -> bool:
        """Whether Central Management sets what has scope ``cluster``."""
        return self.state == "joined" and nodes.MANAGED in self.roles


def cluster_role(snapshot: Snapshot) -> ClusterRole:
    """Return what the node is by a configuration, candidate or running."""
    found = snapshot.memo.get(ClusterRole)
    if found is None:
        found = snapshot.memo[ClusterRole] = _standing(snapshot)
    return found


def _standing(snapshot: Snapshot) -> ClusterRole:
    promotion = snapshot.find(promote.NODE)
    if promotion is not None:
        own = promotion.node_id
        member = snapshot.find(nodes.NODE, own)
        address = (member.address,) if member is not None else ()
        return ClusterRole("central", own, promotion.cluster_id, own, address, _roles(snapshot, own))
    request = snapshot.find(join_request.NODE)
    if request is None:
        return ClusterRole()
    addresses = tuple(a for a in (request.central_management_address, request.previous_address) if a)
    own, joined = request.node_id, request.joined
    if joined is not None:
        return ClusterRole("joined", own, joined.cluster_id, joined.central_node_id, addresses, _roles(snapshot, own))
    psk = request.psk.key if request.psk is not None else None
    return ClusterRole("requested" if psk else "failed", own, central_addresses=addresses, psk=psk)


def _roles(snapshot: Snapshot, key: str) -> tuple[str, ...]:
    member = snapshot.find(nodes.NODE, key)
    return tuple(member.roles) if member is not None else ()
