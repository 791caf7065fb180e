"""Who may be whom on servers: ``/api/configuration/policies/usermapping_policies``.

A connection that refers to a policy lets a user of the gateway log in at servers only as its rules say. The first rule whose
``server_username`` is the one that the user asks for, and whose groups or users hold the user, allows it; a user who asks for
no other name gets that of the first rule that holds the user. ``allow_unmapped`` allows names that no rule has. A rule without
groups and users holds everybody. A commit takes effect on new sessions, and ends those that it no longer allows.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorward.configuration.policies.user_databases import Groups, UserName
from doorward.tree.fields import Name
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Collection

PATH = "/api/configuration/policies/usermapping_policies"


class Mapping(Body):
    """Users of the gateway who may be somebody on servers."""

    gateway_groups: Groups = Field(default_factory=list, description="Groups at the gateway; one is enough.", examples=[["dba"]])
    gateway_users: Annotated[list[UserName], Elements(most=1000, unique=str)] = Field(
        default_factory=list, description="Users at the gateway."
    )
    server_username: UserName = Field(description="Who they may be on servers.", examples=["oracle"])


class UsermappingPolicy(Body):
    """A usermapping policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["databases"])
    allow_unmapped: bool = Field(default=False, description="Whether names that no rule has are allowed.")
    rules: Annotated[list[Mapping], Elements(most=1000)] = Field(default_factory=list, description="The rules, in order.")


NODE: Collection[UsermappingPolicy] = Collection(title="Usermapping policies", model=UsermappingPolicy, unique="name")
