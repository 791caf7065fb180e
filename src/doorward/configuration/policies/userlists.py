"""Lists of users that others refer to by name: ``/api/configuration/policies/userlists``.

A list holds everybody but some, or nobody but some; names are compared exactly. Nothing asks them before plugins come with a
later release; they can be prepared before.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from doorward.configuration.policies.user_databases import UserName
from doorward.tree.fields import Name
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Collection

PATH = "/api/configuration/policies/userlists"


class UserList(Body):
    """A list of users."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name = Field(description="Name of the list, unique.", examples=["operators"])
    allow: Literal["all_users", "no_user"] = Field(description="Who is on the list, apart from the exceptions.")
    except_: Annotated[list[UserName], Elements(most=10_000, unique=str)] = Field(
        default_factory=list, alias="except", description="Users to whom the contrary applies.", examples=[["jane"]]
    )


NODE: Collection[UserList] = Collection(title="User lists", model=UserList, unique="name")
