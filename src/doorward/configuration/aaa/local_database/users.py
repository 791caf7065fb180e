"""Local accounts: ``/api/configuration/aaa/local_database/users``.

A new password, a rename and a DELETE end the account's login sessions at the commit; a DELETE takes the account out of its
groups as well. The built-in account ``admin`` has every right. No account is given the name ``doorward``, ``central-management``
or ``system``: what the appliance does by itself stands under these. One that has it from an earlier release keeps it.
``public_keys`` is an extension, shown only where there are some: with them, and with the password, an account logs in at SSH
connections whose authentication policy says ``accounts``. Nothing on the host changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from doorward.configuration import passwords
from doorward.configuration._openssh import UserKey
from doorward.tree.fields import matching
from doorward.tree.models import Body, Elements, extension
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/aaa/local_database/users"
ADMIN = "-1"
"""The key of the built-in account ``admin``."""

RESERVED = frozenset({"central-management", "doorward", "system"})
"""Names that no account is given, in lower case: authors of what the appliance does by itself."""

UserName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64),
    AfterValidator(matching(r"[A-Za-z0-9._@][A-Za-z0-9._@-]*", "Only letters, digits and . _ @ - are allowed, - not first.")),
]
Password = Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="hash")]


class User(Body):
    """A local account."""

    name: UserName = Field(description="Login name, unique without regard to case.", examples=["operator1"])
    password: Password | None = Field(None, description="Key of a password; null: the account cannot log in with a password.")
    public_keys: Annotated[list[UserKey], Elements(most=32, unique=str)] = extension(
        [], description="Keys that the account logs in with at SSH connections, as 'type base64'; they may live in FIDO tokens."
    )


def admin_can_log_in(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Refuse to take the password of ``admin`` away."""
    if place.key == ADMIN and (user := snapshot.find(NODE, ADMIN)) is not None and user.password is None:
        yield Problem("required_with", "The account admin needs a password.", "/password")


NODE: Collection[User] = Collection(
    title="Local users",
    model=User,
    default={ADMIN: {"name": "admin", "password": None}},
    fixed=("name",),
    unique="name",
    fold=True,
    reserved=RESERVED,
    cascade=True,
    rules=(admin_can_log_in,),
)
