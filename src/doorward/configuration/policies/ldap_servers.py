"""Directory servers that policies ask: ``/api/configuration/policies/ldap_servers``.

A connection that refers to an entry asks it for users that log in at the gateway, where the authentication policy says ``ldap``,
and for the groups of users on servers. The servers of an entry are tried in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import InitErrorDetails

from doorward.configuration import passwords
from doorward.configuration._tls import CHECKED, Disabled, ServerCheck
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, Name, Port, matching, text
from doorward.tree.models import Body, Elements, Interrelated, Off, Switched, Variants, wrong
from doorward.tree.nodes import Collection
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.references import Reference, RefersTo
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/policies/ldap_servers"

_TYPE = r"(?:[A-Za-z][A-Za-z0-9-]*|(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+)"
_ESCAPED = r'\\(?:["+,;<>\\ #=]|[0-9A-Fa-f]{2})'
_FIRST, _INNER, _LAST = r'[^"+,;<>\\ #]', r'[^"+,;<>\\]', r'[^"+,;<>\\ ]'
_VALUE = rf"(?:#(?:[0-9A-Fa-f]{{2}})+|(?:(?:{_FIRST}|{_ESCAPED})(?:(?:{_INNER}|{_ESCAPED})*(?:{_LAST}|{_ESCAPED}))?)?)"
_PAIR = f"{_TYPE}={_VALUE}"
_NAME = rf"{_PAIR}(?:\+{_PAIR})*"

DistinguishedName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024),
    AfterValidator(text),
    AfterValidator(matching(f"{_NAME}(?:,{_NAME})*", "Must be a distinguished name, such as ou=people,dc=example,dc=com.")),
]
Attribute = Annotated[
    str, StringConstraints(min_length=1, max_length=128), AfterValidator(matching(_TYPE, "Must be the name of an attribute."))
]


class Server(Body):
    """A directory server."""

    host: Address = Field(description="The server.")
    port: Port = Field(description="Its port.")


class StartTls(Body):
    """Encrypted from the first request on."""

    selection: Literal["starttls"] = Field(description="STARTTLS; no fall-back to clear text.")
    server_certificate_check: ServerCheck = Field(CHECKED, description="What the server must show.")


class Ldaps(Body):
    """Encrypted from the first byte on."""

    selection: Literal["ldaps"] = Field(description="LDAP over TLS.")
    server_certificate_check: ServerCheck = Field(CHECKED, description="What the server must show.")


class MembershipCheck(Body):
    """Groups name their members."""

    enabled: Literal[True] = Field(description="Groups are searched for the user.")
    member_uid_attribute: Attribute = Field(description="Attribute of groups with the members.", examples=["memberUid"])


class PosixMemberOfCheck(Body):
    """Users name their groups."""

    enabled: Literal[True] = Field(description="The user's own entry is looked at.")
    memberof_user_attribute: Attribute = Field(description="Attribute of users with their groups.", examples=["memberOf"])


class AdMemberOfCheck(Body):
    """Users name their groups."""

    enabled: Literal[True] = Field(description="The user's own entry is looked at.")


MembershipSwitch = Annotated[MembershipCheck | Off, Switched()]
PosixMemberOfSwitch = Annotated[PosixMemberOfCheck | Off, Switched()]


class PosixSchema(Body):
    """A directory with POSIX accounts."""

    selection: Literal["posix"] = Field(description="POSIX accounts, RFC 2307.")
    username_attribute: Attribute = Field("uid", description="Attribute with the login name.")
    membership_check: MembershipSwitch = Field(description="Search in groups.")
    memberof_check: PosixMemberOfSwitch = Field(description="Look at the user's entry.")


AdMemberOfSwitch = Annotated[AdMemberOfCheck | Off, Switched()]


class AdSchema(Body):
    """Active Directory."""

    selection: Literal["ad"] = Field(description="Active Directory.")
    memberof_check: AdMemberOfSwitch = Field(description="Look at the user's entry.")


Transport = Annotated[Disabled | StartTls | Ldaps, Variants("selection")]
Schema = Annotated[PosixSchema | AdSchema, Variants("selection")]


class LdapServers(Interrelated):
    """A directory."""

    model_config = ConfigDict(serialize_by_alias=True)
    destination = Destination("encryption.selection", "encryption.server_certificate_check", shrinking=("servers",))

    name: Name = Field(description="Name of the entry, unique.", examples=["posix-simple"])
    servers: Annotated[list[Server], Elements(least=1, most=16, unique=lambda server: (server.host.value, server.port))] = Field(
        description="The servers of the directory, tried in order."
    )
    encryption: Transport = Field(
        StartTls(selection="starttls", server_certificate_check=CHECKED), description="How connections are protected."
    )
    bind_dn: DistinguishedName | None = Field(None, description="Who to log in as; null: anonymous.")
    bind_password: Annotated[Reference[passwords.StoredPassword], RefersTo(passwords.NODE, form="sealed")] | None = Field(
        None, description="Key of the password; null: anonymous."
    )
    user_base_dn: DistinguishedName = Field(description="Where users are.", examples=["ou=people,dc=example,dc=com"])
    group_base_dn: DistinguishedName = Field(description="Where groups are.", examples=["ou=groups,dc=example,dc=com"])
    schema_: Schema = Field(alias="schema", description="How users and groups are kept.")

    @classmethod
    def conflicts(cls, sent: dict[str, Any]) -> Iterator[InitErrorDetails]:
        """Want a name and a password, or neither."""
        for given, other in (("bind_dn", "bind_password"), ("bind_password", "bind_dn")):
            if sent.get(given) is not None and sent.get(other) is None:
                yield wrong("contradiction", f"Must not be null with {given}.", other)


def password_in_clear(snapshot: Snapshot, place: Place) -> Iterator[Problem]:
    """Warn of a password that crosses the network in clear text."""
    directory = snapshot.find(NODE, place.key)
    if directory is not None and isinstance(directory.encryption, Disabled) and directory.bind_password:
        yield Problem("password_in_clear", "The password crosses the network in clear text.", "/encryption")


NODE: Collection[LdapServers] = Collection(
    title="Directory servers of policies", model=LdapServers, unique="name", advice=(password_in_clear,)
)
