"""What a node is in its cluster, read from a snapshot (cluster contract, section 2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doorward.membership import join_request, nodes, promote
from doorward.tree.places import Place
from doorward.tree.snapshot import Snapshot

State = Literal["standalone", "requested", "failed", "joined", "central"]


@dataclass(frozen=True, slots=True)
class Standing:
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


def standing(snapshot: Snapshot) -> Standing:
    """Return what the node is by a configuration, candidate or running."""
    found = snapshot.memo.get(Standing)
    if found is None:
        found = snapshot.memo[Standing] = _standing(snapshot)
    return found


def _standing(snapshot: Snapshot) -> Standing:
    promotion = snapshot.document(Place(promote.PATH))
    if promotion is not None and (value := promotion.value) is not None:
        own = str(value["node_id"])
        address = tuple(member["address"] for member in [_member(snapshot, own)] if member)
        return Standing("central", own, value["cluster_id"], own, address, _roles(snapshot, own))
    request = snapshot.document(Place(join_request.PATH))
    if request is None or (value := request.value) is None:
        return Standing()
    addresses = tuple(a for a in (value["central_management_address"], value["previous_address"]) if a)
    own, joined = str(value["node_id"]), value["joined"]
    if joined:
        roles = _roles(snapshot, own)
        return Standing("joined", own, joined["cluster_id"], joined["central_node_id"], addresses, roles)
    state: State = "requested" if value["psk"] else "failed"
    return Standing(state, own, central_addresses=addresses, psk=value["psk"])


def _member(snapshot: Snapshot, key: str) -> dict[str, str] | None:
    document = snapshot.document(Place(nodes.PATH, key))
    return document.value if document else None


def _roles(snapshot: Snapshot, key: str) -> tuple[str, ...]:
    member = _member(snapshot, key)
    return tuple(member["roles"]) if member else ()
