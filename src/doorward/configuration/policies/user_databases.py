"""Users that are known to the gateway alone: ``/api/configuration/policies/user_databases``.

An authentication policy with the backend ``local`` refers to one. A user logs in with any of the passwords or keys; who has
none logs in by certificate only. Passwords are kept as argon2id hashes. A commit that takes a user away, or what a user logged
in with, ends the sessions of that user. ``groups`` is an extension, shown only where a user has some. Nothing on the host
changes.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration import passwords
from doorward.configuration._inert import only
from doorward.configuration._openssh import UserKey
from doorward.tree.fields import Name, text
from doorward.tree.models import Body, Elements, extension
from doorward.tree.nodes import Collection
from doorward.tree.references import Reference, RefersTo

PATH = "/api/configuration/policies/user_databases"

UserName = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)]
"""The name of a user at the gateway or at a server, compared exactly."""

Groups = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(text)]], Elements(most=64, unique=str)
]


PasswordReference = Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="hash")]


class DatabaseUser(Body):
    """A user."""

    username: UserName = Field(description="Name of the user, unique in the database.", examples=["jane"])
    passwords: Annotated[list[PasswordReference], Elements(most=4, unique=lambda one: one.key)] = Field(
        default_factory=list, description="Keys of passwords; several only to bridge a change."
    )
    public_keys: Annotated[list[UserKey], Elements(most=32, unique=str)] = Field(
        default_factory=list, description="Keys that the user logs in with, as 'type base64'; they may live in FIDO tokens."
    )
    certificates: Annotated[list[Any], only([], "X.509 certificates of users are not supported by this release.")] = Field(
        default_factory=list, description="Empty: X.509 certificates are not taken."
    )
    groups: Groups = extension([], description="Groups of the user at the gateway.", examples=[["dba"]])


class UserDatabase(Body):
    """A user database."""

    name: Name = Field(description="Name of the database, unique.", examples=["contractors"])
    users: Annotated[list[DatabaseUser], Elements(most=1000, unique=lambda user: user.username)] = Field(
        default_factory=list, description="Its users."
    )


NODE: Collection[UserDatabase] = Collection(title="User databases", model=UserDatabase, unique="name")
