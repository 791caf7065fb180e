"""The nodes of the cluster: ``/api/cluster/nodes``, keys are their UUIDs. A joined node has the list that it fetched last.

The role ``managed-host`` makes a node take the whole configuration of scope ``cluster`` from Central Management.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic_core import InitErrorDetails

from doorward.membership._identities import Psk
from doorward.tree.destinations import Destination
from doorward.tree.fields import Ip
from doorward.tree.models import Elements, Interrelated, wrong
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/cluster/nodes"

CENTRAL = "central-management"
MANAGED = "managed-host"
LOCAL, MASTER, MINION = "search-local", "search-master", "search-minion"
_SEARCH = (LOCAL, MASTER, MINION)

Role = Literal["central-management", "managed-host", "search-local", "search-master", "search-minion"]


class MemberBody(Interrelated):
    """A node as it is shown and written."""

    address: Ip = Field(description="Its cluster listen address.")
    roles: Annotated[list[Role], Elements(most=5, unique=str)] = Field(description="What it does.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Central Management manages itself, and nobody searches in two ways."""
        roles = sent.get("roles")
        if not isinstance(roles, list):
            return
        if CENTRAL in roles and MANAGED in roles:
            yield wrong("contradiction", f"{CENTRAL} and {MANAGED} exclude each other.", "roles")
        if MASTER in roles and CENTRAL not in roles:
            yield wrong("contradiction", "Only Central Management searches the other nodes.", "roles")
        if MINION in roles and CENTRAL in roles:
            yield wrong("contradiction", f"Central Management searches as {MASTER}.", "roles")
        if len([role for role in _SEARCH if role in roles]) > 1:
            yield wrong("contradiction", "A node has one search role at most.", "roles")


class Member(MemberBody):
    """A node as it is kept."""

    destination = Destination()  # what a node pairs with is never sent

    psk: Psk | None = Field(None, description="The secret to pair with, until then.")


def addresses_differ(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """No two nodes have one address."""
    member = snapshot.find(NODE, place.key)
    if member is not None:
        yield from taken(snapshot, place.key, member.address)


def taken(snapshot: Snapshot, key: str, address: str) -> Iterator[Problem]:
    """Yield the problem that another node has the address."""
    for other, member in snapshot.each(NODE):
        if other != key and member.address == address:
            yield Problem("duplicate_address", f"{PATH}/{other} has this address.", "/address", f"{PATH}/{key}" if key else PATH)


def given_roles(old: Member, new: Member, snapshot: Snapshot) -> Iterator[Problem]:
    """Warn of what the role of a managed host does to the node, of a node without search role, of one that nobody searches."""
    if MANAGED in new.roles and MANAGED not in old.roles:
        message = "The node's own settings of scope cluster, accounts included, are overwritten."
        yield Problem("overwrites_node", message, "/roles")
    if old.roles != new.roles and not any(role in _SEARCH for role in new.roles):
        yield Problem("no_search_role", "The node has no search role.", "/roles")
    if MINION in new.roles and MINION not in old.roles and not any(MASTER in one.roles for _, one in snapshot.each(NODE)):
        yield Problem("no_search_master", f"Nobody searches the node: Central Management is no {MASTER}.", "/roles")


NODE: Collection[Member] = Collection(
    title="Nodes", model=Member, rules=(addresses_differ,), step=given_roles, scope="node", most=1_000
)
