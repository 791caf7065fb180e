"""Who belongs to the cluster: promotion, joining, accepting, removing. Each is written into a candidate and acts at its commit.

All of them raise SemanticError, with the path that the change was sent to; what was written by then is for the caller to drop.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from doorward.configuration import passwords
from doorward.configuration.local_services import cluster as interface
from doorward.membership import ROOT, join_request, nodes, promote
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.transaction.candidate import Candidate
from doorward.tree.places import Place
from doorward.tree.problems import Problem, SemanticError
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot
from doorward.tree.times import now

REPAIR = f"{ROOT}/repair"


class MembershipChanges(Struct, frozen=True):
    """The changes that this node, ``node_id``, can make."""

    tree: Tree
    node_id: str

    # Central Management

    def promote(self, candidate: Candidate) -> dict[str, Any]:
        """Make this node Central Management of a new cluster. Returns its body as a member."""
        known = cluster_role(candidate.snapshot)
        if known.state not in {"standalone", "failed"}:
            raise refusal("already_in_cluster", f"The state of this node is: {known.state}.", promote.PATH)
        body = {"address": _own_address(candidate.snapshot, promote.PATH), "roles": [nodes.CENTRAL]}
        began = {"cluster_id": str(uuid.uuid4()), "epoch": int(time.time()), "node_id": self.node_id}
        self._put(candidate, Place(promote.PATH), began)
        self._put(candidate, Place(nodes.PATH, self.node_id), body)
        # One that failed is over.
        self._put(candidate, Place(join_request.PATH), None)
        return body

    def repair(self, candidate: Candidate, forked: Sequence[Mapping[str, Any]]) -> int:
        """Begin a new line of history, newer than what the ``forked`` nodes hold. Returns its epoch."""
        promotion = check_central(candidate.snapshot, REPAIR)
        if not forked:
            message = "No node holds another history than this one; nothing is to be repaired."
            raise refusal("no_history_fork", message, REPAIR)
        later = [int(node["applied"]["epoch"]) for node in forked if node["applied"]]
        # Newer than everything that a node may hold, whatever the clock of this machine says.
        epoch = max(int(time.time()), promotion.epoch + 1, *(one + 1 for one in later))
        self._put(candidate, Place(promote.PATH), promotion.model_dump(mode="json") | {"epoch": epoch})
        return epoch

    def accept(self, candidate: Candidate, node_id: str, address: str, psk: str, *, is_paired: bool) -> None:
        """Accept a node with the ``psk`` of its join request; one that is known but was never paired gets the new secret."""
        snapshot, place = candidate.snapshot, Place(nodes.PATH, node_id)
        check_central(snapshot, nodes.PATH)
        known = snapshot.find(nodes.NODE, node_id)
        if node_id == self.node_id or (known is not None and is_paired):
            raise refusal("already_in_cluster", "The node is in the cluster.", nodes.PATH, "/node_id")
        if known is None and len(snapshot.objects(nodes.PATH)) >= nodes.NODE.most:
            raise refusal("length", f"At most {nodes.NODE.most} nodes.", nodes.PATH)
        _check_free(snapshot, node_id, address)
        key = self._keep_psk(candidate, psk, known.psk.key if known and known.psk else None)
        self._put(candidate, place, {"address": address, "psk": key, "roles": known.roles if known else []})

    def change_member(self, candidate: Candidate, node_id: str, body: nodes.MemberBody) -> None:
        """Set address and roles of a member, both whole. The member is there."""
        snapshot, place = candidate.snapshot, Place(nodes.PATH, node_id)
        check_central(snapshot, place.href)
        is_central = node_id == cluster_role(snapshot).central_node_id
        if (nodes.CENTRAL in body.roles) != is_central:
            raise refusal("central_role", "This role can be neither given nor taken.", place.href, "/roles")
        document = snapshot.at(place)
        _check_free(snapshot, node_id, body.address)
        self._put(candidate, place, document.value | body.model_dump(mode="json"))

    def remove(self, candidate: Candidate, node_id: str) -> None:
        """Remove a member. It turns standalone at its next contact and keeps its configuration."""
        place = Place(nodes.PATH, node_id)
        check_central(candidate.snapshot, place.href)
        if node_id == cluster_role(candidate.snapshot).central_node_id:
            raise refusal("central_role", "Central Management can't be removed.", place.href)
        member = candidate.snapshot.find(nodes.NODE, node_id)
        candidate.remove(place)
        _drop_psk(candidate, member.psk.key if member and member.psk else None)

    # A node that joins

    def ask_to_join(self, candidate: Candidate, central_address: str, psk: str) -> str:
        """Ask Central Management at an address to be taken in. Returns the address of this node."""
        known = cluster_role(candidate.snapshot)
        if known.is_member:
            raise refusal("already_in_cluster", "This node is in a cluster.", join_request.PATH)
        address = _own_address(candidate.snapshot, join_request.PATH)
        _check_other(address, central_address)
        key = self._keep_psk(candidate, psk, known.psk)
        body = {"central_management_address": central_address, "node_id": self.node_id, "psk": key}
        self._put(candidate, Place(join_request.PATH), body)
        return address

    def look_elsewhere(self, candidate: Candidate, central_address: str) -> ClusterRole:
        """Look for Central Management at another address; the earlier one is tried as well. Returns what the node then is."""
        known = cluster_role(candidate.snapshot)
        _check_joining(known)
        _check_other(interface.listen_address(candidate.snapshot), central_address)
        document = candidate.snapshot.at(Place(join_request.PATH))
        old = document.value
        if central_address != old["central_management_address"]:
            moved = {"central_management_address": central_address, "previous_address": old["central_management_address"]}
            self._put(candidate, Place(join_request.PATH), old | moved)
        return cluster_role(candidate.snapshot)

    def leave(self, candidate: Candidate) -> None:
        """Withdraw the join request, or leave the cluster. What was configured stays and is writable again."""
        known = cluster_role(candidate.snapshot)
        _check_joining(known)
        self._put(candidate, Place(join_request.PATH), None)
        _drop_psk(candidate, known.psk)
        for key in list(candidate.snapshot.objects(nodes.PATH).order):
            candidate.remove(Place(nodes.PATH, key))

    def _put(self, candidate: Candidate, place: Place, value: Any) -> None:
        candidate.put(place, self.tree.load(place, value))

    def _keep_psk(self, candidate: Candidate, text: str, earlier: str | None) -> str:
        """Make the secret of a pairing, in place of an earlier one, and return its key."""
        place = Place(passwords.PATH, str(uuid.uuid4()))
        self._put(candidate, place, {"created": now()})
        candidate.secrets[place.key] = text
        _drop_psk(candidate, earlier)
        return place.key


def refusal(code: str, message: str, path: str, pointer: str = "") -> SemanticError:
    """Return a refusal with one problem."""
    return SemanticError([Problem(code, message, pointer, path)])


def check_central(snapshot: Snapshot, path: str) -> promote.Promotion:
    """Return since when this node is Central Management. Raises SemanticError where it is not."""
    promotion = snapshot.read(promote.NODE)
    if promotion is None or cluster_role(snapshot).state != "central":
        raise refusal("not_central", "Only Central Management can do this.", path)
    return promotion


def _drop_psk(candidate: Candidate, psk: str | None) -> None:
    """Take back a secret that this transaction made itself; one that is committed is destroyed once nothing needs it."""
    if psk is not None and candidate.secrets.pop(psk, None) is not None:
        candidate.remove(Place(passwords.PATH, psk))


def _own_address(snapshot: Snapshot, path: str) -> str:
    """Return the cluster listen address. Raises SemanticError where the interface is off."""
    address = interface.listen_address(snapshot)
    if address is None:
        raise refusal("cluster_interface_disabled", "Enable local_services/cluster with an address first.", path)
    return address


def _check_other(own: str | None, central_address: str) -> None:
    if central_address == own:
        message = "This is the address of the node itself."
        raise refusal("own_address", message, join_request.PATH, "/central_management_address")


def _check_joining(known: ClusterRole) -> None:
    if known.state == "central":
        raise refusal("central_role", "Central Management can't leave its cluster.", join_request.PATH)
    if known.state == "standalone":
        raise refusal("not_in_cluster", "The node is in no cluster and has no join request.", join_request.PATH)


def _check_free(snapshot: Snapshot, node_id: str, address: str) -> None:
    """Raise SemanticError where another node has the address."""
    if found := list(nodes.taken(snapshot, node_id, address)):
        raise SemanticError(found)
