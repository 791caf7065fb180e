"""Groups of local accounts: ``/api/configuration/aaa/local_database/groups``.

What the members of a group may do stands in ``aaa/acls``. A change takes effect at once, also for login sessions that live. A
group that a line of ``aaa/acls`` names can't be deleted, nor renamed without changing the line in the same transaction. Nothing
on the host changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from doorward.configuration.aaa import acls
from doorward.configuration.aaa.acls import BUILT_IN_GROUPS, GroupName
from doorward.configuration.aaa.local_database import users
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/aaa/local_database/groups"

Member = Annotated[Reference[users.User], RefersTo(users.NODE)]


class Group(Body):
    """A group of local accounts."""

    name: GroupName = Field(description="Name of the group, unique.", examples=["http-write"])
    members: Annotated[list[Member], Elements(most=1000, unique=lambda member: member.key)] = Field(
        default_factory=list, description="Keys of the accounts in the group."
    )


def has_no_rights(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse to delete a group that an ACL line names."""
    group = snapshot.find(NODE, place.key)
    if group is not None and any(line.group == group.name for line in snapshot.read(acls.NODE)):
        yield Problem("referenced", f"Still used by {acls.PATH}.")


NODE: Collection[Group] = Collection(
    title="Local groups",
    model=Group,
    default={key: {"name": name, "members": []} for name, key in BUILT_IN_GROUPS.items()},
    fixed=("name",),
    unique="name",
    removal=(has_no_rights,),
)
