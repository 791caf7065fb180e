"""A connection policy as a body, for the endpoint and for the rules around it. No endpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from doorward.configuration import policies
from doorward.configuration._inert import NOT_YET, NotYet, only
from doorward.configuration._openssh import AuthorityKey
from doorward.configuration.aaa.acls import GroupName
from doorward.configuration.policies import (
    archive_cleanup_policies,
    audit_policies,
    backup_policies,
    credentialstores,
    indexing,
    ldap_servers,
    usermapping_policies,
)
from doorward.configuration.ssh import authentication_policies, channel_policies, settings_policies
from doorward.configuration.ssh.authentication_policies import PrivateKeyReference
from doorward.configuration.ssh.options import CleanupSwitch
from doorward.tree.described import At
from doorward.tree.destinations import Destination
from doorward.tree.fields import Address, HostName, Ip, Name, Network, Port, same_network
from doorward.tree.fields import Domain as DomainText
from doorward.tree.models import Body, Elements, Off, Variants
from doorward.tree.references import Reference, RefersTo

PATH = "/api/configuration/ssh/connections"

_TRANSPARENT = only("", "Not supported: this release does not intercept connections to servers.")
_ONE_PRIORITY = only(2, "No session is indexed before another in this release; 2 stands for it.")
_LATER = only(None, "Not supported by this release.")
Networks = Annotated[list[Network], Elements(least=1, most=64, unique=same_network)]


class ConnectionNetwork(Body):
    """Which connections the policy is for."""

    clients: Networks = Field(description="Networks that clients come from.", examples=[["0.0.0.0/0", "::/0"]])
    ports: Annotated[list[Port], Elements(least=1, most=16, unique=int)] = Field(
        description="Ports that clients connect to.", examples=[[22]]
    )
    targets: Networks = Field(
        description="Networks with the addresses of the node that clients connect to.", examples=[["192.0.2.10/32"]]
    )


class Nat(Body):
    """The address that the client dialled, moved to another network."""

    selection: Annotated[Literal["nat"], _TRANSPARENT] = Field(description="Not supported by this release.")
    network: Network = Field(description="The network.")


class Original(Body):
    """The address that the client dialled."""

    selection: Annotated[Literal["original"], _TRANSPARENT] = Field(description="Not supported by this release.")


class Fixed(Body):
    """One server."""

    selection: Literal["fix"] = Field(description="Always the same server.")
    address: Address = Field(description="The server.")
    port: Port = Field(default=22, description="Its port.")


class TargetNetwork(Body):
    """Servers by address."""

    selection: Literal["address"] = Field(description="What the name of a server resolves to is compared.")
    value: Network = Field(description="Network or address.", examples=["10.0.0.0/8"])


class TargetDomain(Body):
    """Servers by name."""

    selection: Literal["domain"] = Field(description="The name of a server is compared.")
    value: DomainText = Field(description="Host name, or *. and a name for all names below it.", examples=["*.example.com"])


TargetHost = Annotated[TargetNetwork | TargetDomain, Variants("selection")]


class InbandTarget(Body):
    """Some servers."""

    domain: TargetHost = Field(description="Which servers.")
    port: Port | None = Field(None, description="Their port; null: any.")


def _target(one: InbandTarget) -> tuple[str, str, int | None]:
    value = one.domain.value
    return one.domain.selection, same_network(value) if isinstance(one.domain, TargetNetwork) else value, one.port


Targets = Annotated[list[InbandTarget], Elements(most=256, unique=_target)]


class Inband(Body):
    """The user names the server."""

    selection: Literal["inband"] = Field(description="The server stands in the user name.")
    domains: Annotated[list[InbandTarget], Elements(least=1, most=256, unique=_target)] = Field(
        description="Servers that are allowed."
    )
    exception_domains: Targets = Field(default_factory=list, description="Servers that are not, whatever domains says.")
    dns_server: Ip | None = Field(None, description="Name server that is asked; null: those of the node.")
    dns_suffixes: Annotated[list[HostName], Elements(most=16, unique=str)] = Field(
        default_factory=list, description="Domains that names without dot are looked for in, in order."
    )


ServerAddress = Annotated[Fixed | Inband | Nat | Original, Variants("selection")]


class BoxAddress(Body):
    """Any address of the node."""

    selection: Literal["box_address"] = Field(description="The address by which the node reaches the server.")


class FixedSource(Body):
    """One address of the node."""

    selection: Literal["fix"] = Field(description="Always the same address.")
    address: Ip = Field(description="An address of the node; on a node without it no server is reached.")


class ApplianceKeys(Body):
    """The host keys of the appliance."""

    selection: Literal["appliance"] = Field(description="Ed25519, ECDSA on P-256, RSA; the same on every node of a cluster.")


class OwnKeys(Body):
    """Host keys of the policy."""

    destination = Destination("selection")

    selection: Literal["own"] = Field(description="Other keys than those of the appliance.")
    keys: Annotated[list[PrivateKeyReference], Elements(least=1, most=4, unique=lambda one: one.key)] = Field(
        description="Keys of private keys, each of another type."
    )


class PlainHostKey(Body):
    """Host keys without certificate."""

    check: Literal["trusted_only", "accept_first", "disabled"] = Field(
        "trusted_only", description="Only known ones, the first one of an unknown server too, or any."
    )


class ServerKeys(Body):
    """How servers prove who they are."""

    authorities: Annotated[list[AuthorityKey], Elements(most=16, unique=str)] = Field(
        default_factory=list, description="OpenSSH public keys of authorities whose certificates of hosts are trusted."
    )
    plain_hostkey: PlainHostKey = Field(PlainHostKey(), description="Host keys without certificate.")


SubjectGroup = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Everybody(Body):
    """All users."""

    selection: Literal["everybody"] = Field(description="The sessions of all users.")


class OnlyGroup(Body):
    """Some users."""

    selection: Literal["only"] = Field(description="The sessions of users of a group at the gateway.")
    group: SubjectGroup = Field(description="Name of the group.")


class AccessControl(Body):
    """Who may see and decide on sessions."""

    authorizer: GroupName = Field(description="Name of a local group, spelt as there.", examples=["auditors"])
    permission: Literal["audit", "authorize", "audit_and_authorize"] = Field(
        description="See recordings and running sessions, decide on sessions, or both."
    )
    require_different_ip: bool = Field(default=False, description="Whether that has to be from another address than the user's.")
    require_different_username: bool = Field(default=False, description="Whether that has to be another person than the user.")
    subject: Annotated[Everybody | OnlyGroup, Variants("selection")] = Field(
        Everybody(selection="everybody"), description="Whose sessions."
    )


class Indexing(Body):
    """What can be searched for."""

    enabled: bool = Field(default=True, description="Whether sessions can be searched for what happened in them.")
    policy: Annotated[Reference[indexing.IndexingPolicy], RefersTo(indexing.NODE)] | None = Field(
        None, description="Key of an indexing policy; null: all that the screen shows."
    )
    priority: Annotated[int, Field(ge=1, le=4), _ONE_PRIORITY] = Field(
        2,
        description="2: sessions are indexed while they run, none before another.",
        json_schema_extra={"minimum": 2, "maximum": 2},
    )


def _later(node: Any) -> Any:
    """Return the type of a reference that is null in this release."""
    return Annotated[Annotated[Reference[Any], RefersTo(node)] | None, _LATER]


class ConnectionPolicies(Body):
    """The policies of a connection."""

    aa_plugin: _later(policies.NODE.children["aa_plugin_instances"]) = Field(None, description="Null in this release.")  # type: ignore[valid-type]
    analytics_policy: _later(policies.NODE.children["analytics"]) = Field(None, description="Null in this release.")  # type: ignore[valid-type]
    archive_cleanup_policy: (
        Annotated[Reference[archive_cleanup_policies.ArchivePolicy], RefersTo(archive_cleanup_policies.NODE)] | None
    ) = Field(None, description="Key of the archive policy: where recordings go, and how long they stay; null: they stay.")
    audit_policy: Annotated[Reference[audit_policies.AuditPolicy], RefersTo(audit_policies.NODE)] = Field(
        description="Key of the audit policy: how sessions are recorded."
    )
    authentication_policy: Annotated[
        Reference[authentication_policies.AuthenticationPolicy], RefersTo(authentication_policies.NODE)
    ] = Field(description="Key of the authentication policy: how users log in.")
    backup_policy: _later(backup_policies.NODE) = Field(None, description="Null in this release.")  # type: ignore[valid-type]
    channel_policy: Annotated[Reference[channel_policies.ChannelPolicy], RefersTo(channel_policies.NODE)] = Field(
        description="Key of the channel policy: what users may do."
    )
    credential_store: Annotated[Reference[credentialstores.CredentialStore], RefersTo(credentialstores.NODE)] | None = Field(
        None, description="Key of the credential store, or null."
    )
    ldap_server: Annotated[Reference[ldap_servers.LdapServers], RefersTo(ldap_servers.NODE)] | None = Field(
        None, description="Key of the directory, or null."
    )
    settings: Annotated[Reference[settings_policies.SettingsPolicy], RefersTo(settings_policies.NODE)] = Field(
        description="Key of the settings policy."
    )
    usermapping_policy: (
        Annotated[Reference[usermapping_policies.UsermappingPolicy], RefersTo(usermapping_policies.NODE)] | None
    ) = Field(None, description="Key of the usermapping policy, or null: users are on servers who they ask to be.")


class SshConnection(Body):
    """A connection policy."""

    name: Name = Field(description="Name of the policy, unique.", examples=["linux"])
    active: bool = Field(default=True, description="Whether the policy takes connections.")
    network: ConnectionNetwork = Field(description="Which connections the policy is for.")
    server_address: ServerAddress = Field(description="Where connections go.")
    policies: ConnectionPolicies = Field(description="The policies that count.")
    access_control: Annotated[list[AccessControl], Elements(most=64)] = Field(
        default_factory=list, description="Who may see sessions, besides those with /special/searchmenu."
    )
    channel_database_cleanup: CleanupSwitch = Field(
        Off(enabled=False), description="Whether its sessions are deleted earlier than ssh/options says."
    )
    client_side_hostkeys: Annotated[ApplianceKeys | OwnKeys, Variants("selection")] = Field(
        ApplianceKeys(selection="appliance"), description="Host keys that clients get to see."
    )
    indexing: Indexing = Field(Indexing(), description="What can be searched for.")
    log_audit_trail_downloads: bool = Field(default=True, description="Whether it is written down who downloads recordings.")
    override_log_level: NotYet = Field(NOT_YET, description="A log level of the policy's own.")
    server_side_hostkeys: ServerKeys = Field(ServerKeys(), description="How servers prove who they are.")
    source_address: Annotated[BoxAddress | FixedSource, Variants("selection")] = Field(
        BoxAddress(selection="box_address"), description="Address that servers see."
    )
    web_gateway_authentication: NotYet = Field(NOT_YET, description="Logins that a browser confirms.")


CONNECTIONS: At[SshConnection] = At(PATH, SshConnection)
"""Where the connection policies are read."""
