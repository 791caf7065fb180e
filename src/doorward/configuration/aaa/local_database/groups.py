"""Groups of local accounts: ``/api/configuration/aaa/local_database/groups``.

What the members of a group may do stands in ``aaa/acls``. A change reaches a user at the next login. Nothing on the host changes.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration.aaa.acls import BUILT_IN_GROUPS
from doorward.tree.fields import matching
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Collection
from doorward.tree.references import Reference, RefersTo

PATH = "/api/configuration/aaa/local_database/groups"

GroupName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(matching(r"[A-Za-z0-9._-]+", "Only letters, digits and . _ - are allowed.")),
]
Member = Annotated[Reference, RefersTo("/api/configuration/aaa/local_database/users")]


class Group(Body):
    """A group of local accounts."""

    name: GroupName = Field(description="Name of the group, unique.", examples=["http-write"])
    members: Annotated[list[Member], Elements(most=1000, unique=lambda member: member.key)] = Field(
        default_factory=list, description="Keys of the accounts in the group."
    )


NODE = Collection(
    title="Local groups",
    model=Group,
    default={key: {"name": name, "members": []} for name, key in BUILT_IN_GROUPS.items()},
    fixed=("name",),
    unique="name",
)
