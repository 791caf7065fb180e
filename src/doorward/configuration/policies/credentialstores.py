"""Passwords and keys for servers that users never get to see: ``/api/configuration/policies/credentialstores``.

A connection that refers to a store, with an authentication policy whose ``relayed`` names ``credential_store``, logs in at
servers with what the store has for the host and the user there: that of the first line that fits both. Secrets are kept sealed,
go to hosts that have proven who they are, and stay with the host that they were committed for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import InitErrorDetails, PydanticCustomError

from doorward.configuration import passwords, private_keys
from doorward.configuration.policies.user_databases import UserName
from doorward.tree.destinations import Destination
from doorward.tree.fields import Name, any_network, bad_format, domain
from doorward.tree.models import Body, Elements, Interrelated, wrong
from doorward.tree.nodes import Collection
from doorward.tree.references import Reference, RefersTo

PATH = "/api/configuration/policies/credentialstores"


def _host(value: str) -> str:
    """Return a network or a domain in canonical form."""
    for known in (any_network, domain):
        try:
            return known(value)
        except PydanticCustomError:
            continue
    raise bad_format("Must be a network, an address, a host name, or *. and a name.")


HostPattern = Annotated[str, StringConstraints(max_length=256), AfterValidator(_host)]


class Credential(Interrelated):
    """What there is for a user of a host."""

    destination = Destination("host")

    host: HostPattern = Field(
        description="A network, an address, a host name, or *. and a name for all names below it.",
        examples=["10.20.0.0/16", "*.db.example.com"],
    )
    username: UserName = Field(description="The user there.", examples=["oracle"])
    password: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] | None = Field(
        None, description="Key of the password, or null."
    )
    private_key: Annotated[Reference[private_keys.PublicHalf], RefersTo(private_keys.NODE, form="sealed")] | None = Field(
        None, description="Key of the private key, or null."
    )

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want a secret."""
        if sent.get("password") is None and sent.get("private_key") is None:
            yield wrong("contradiction", "A password, a private key or both are needed.")


class CredentialStore(Body):
    """A credential store."""

    name: Name = Field(description="Name of the store, unique.", examples=["servers"])
    selection: Literal["local"] = Field("local", description="The secrets are kept here.")
    credentials: Annotated[list[Credential], Elements(most=1000, unique=lambda one: (one.host, one.username))] = Field(
        default_factory=list, description="The lines of the store, tried in order."
    )


NODE: Collection[CredentialStore] = Collection(title="Credential stores", model=CredentialStore, unique="name")
