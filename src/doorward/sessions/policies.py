"""Which policy takes a connection, and everything it refers to, as typed values.

A configuration is a value, so what is made of it is kept with it and thrown away with it; control asks for each connection anew.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from doorward.configuration import x509
from doorward.configuration.local_services import indexer
from doorward.configuration.management import disk_fillup_prevention
from doorward.configuration.policies.audit_policies import AuditPolicy
from doorward.configuration.policies.credentialstores import CredentialStore
from doorward.configuration.policies.ldap_servers import LdapServers
from doorward.configuration.policies.user_databases import UserDatabase
from doorward.configuration.policies.usermapping_policies import UsermappingPolicy
from doorward.configuration.private_keys import PublicHalf
from doorward.configuration.ssh import connections, host_keys, options
from doorward.configuration.ssh._connections import Inband, OwnKeys, SshConnection
from doorward.configuration.ssh._coverage import Network, networks
from doorward.configuration.ssh._own import Ip, own_addresses
from doorward.configuration.ssh.authentication_policies import AuthenticationPolicy, LocalBackend
from doorward.configuration.ssh.channel_policies import ChannelPolicy
from doorward.configuration.ssh.settings_policies import SettingsPolicy
from doorward.recording.keys import fingerprint
from doorward.sessions.admission import Restrictions, one_address
from doorward.tree.references import Reference
from doorward.tree.snapshot import M, Snapshot


class ConnectionPolicy(Struct, frozen=True):
    """A connection policy with all that it refers to. ``host_keys`` lead to private keys: their ``key`` names the secret.

    ``restrictions``: which servers users may name, None where the server is fixed.
    """

    key: str
    connection: SshConnection
    authentication: AuthenticationPolicy
    channels: ChannelPolicy
    settings: SettingsPolicy
    audit: AuditPolicy
    host_keys: tuple[Reference[PublicHalf], ...] = ()
    restrictions: Restrictions | None = None
    users: UserDatabase | None = None
    directory: LdapServers | None = None
    mapping: UsermappingPolicy | None = None
    store: CredentialStore | None = None


def connection_policy(snapshot: Snapshot, key: str) -> ConnectionPolicy:
    """Return a connection policy. Raises KeyError where there is none."""
    kept = ("ssh policy", key)
    if kept not in snapshot.memo:
        snapshot.memo[kept] = _gathered(snapshot, key, snapshot.read(connections.NODE, key))
    found: ConnectionPolicy = snapshot.memo[kept]
    return found


# Who listens where


def matching(snapshot: Snapshot, local: str, port: int, client: str) -> str | None:
    """Return the key of the policy that takes a connection of a client to an address and port: the first active one in order.

    None: nobody's, also while SSH is off.
    """
    there = one_address(client)
    for key, clients in _listening(snapshot, one_address(local), port):
        if any(there in network for network in clients):
            return key
    return None


def _listening(snapshot: Snapshot, here: Ip, port: int) -> list[tuple[str, list[Network]]]:
    """Return the active policies that listen at an address and port, in order, and the networks of their clients."""
    kept = ("ssh listening", here, port)
    if kept not in snapshot.memo:
        if not options.is_enabled(snapshot):
            return []
        snapshot.memo[kept] = [
            (key, networks(one.network.clients))
            for key, one in snapshot.each(connections.NODE)
            if one.active and port in one.network.ports and any(here in network for network in networks(one.network.targets))
        ]
    found: list[tuple[str, list[Network]]] = snapshot.memo[kept]
    return found


# What control asks besides


def limits(snapshot: Snapshot) -> options.SshLimits:
    """Return how many sessions a node takes, and how many connections of an address that are not logged in."""
    return snapshot.read(options.NODE).limits


def disk_limit(snapshot: Snapshot) -> int | None:
    """Return the percentage of the disk above which no session begins; None: there is no limit."""
    settings = snapshot.read(disk_fillup_prevention.NODE)
    return settings.used_space_ratio_limit if settings.enabled else None


def decryption_keys(snapshot: Snapshot, text: Callable[[str], str | None]) -> dict[str, bytes]:
    """Return the private keys with which this node reads encrypted trails, in PEM, by the fingerprints of their certificates.

    ``text`` returns a secret of the configuration by its key.
    """
    found: dict[str, bytes] = {}
    for reference in snapshot.read(indexer.NODE).decryption_keys:
        certificate, private = x509.certificate_of(snapshot, reference.key), text(reference.key)
        if certificate is not None and private is not None:
            found[fingerprint(certificate)] = private.encode()
    return found


def _gathered(snapshot: Snapshot, key: str, connection: SshConnection) -> ConnectionPolicy:
    chosen = connection.policies
    authentication = followed(snapshot, chosen.authentication_policy)
    backend = authentication.backend
    return ConnectionPolicy(
        key,
        connection,
        authentication,
        followed(snapshot, chosen.channel_policy),
        followed(snapshot, chosen.settings),
        followed(snapshot, chosen.audit_policy),
        host_keys=tuple(_host_keys(snapshot, connection)),
        restrictions=_restrictions(connection, frozenset(own_addresses(snapshot))),
        users=snapshot.follow(backend.user_database) if isinstance(backend, LocalBackend) else None,
        directory=snapshot.follow(chosen.ldap_server) if chosen.ldap_server else None,
        mapping=snapshot.follow(chosen.usermapping_policy) if chosen.usermapping_policy else None,
        store=snapshot.follow(chosen.credential_store) if chosen.credential_store else None,
    )


def followed(snapshot: Snapshot, reference: Reference[M]) -> M:
    """Return what a reference of a committed configuration leads to. Raises LookupError."""
    found = snapshot.follow(reference)
    if found is None:
        raise LookupError(f"{reference.href} is gone; no commit leaves a reference to nothing.")
    return found


def _host_keys(snapshot: Snapshot, connection: SshConnection) -> list[Reference[PublicHalf]]:
    shown = connection.client_side_hostkeys
    return shown.keys if isinstance(shown, OwnKeys) else snapshot.read(host_keys.NODE).keys


def _restrictions(connection: SshConnection, own: frozenset[Ip]) -> Restrictions | None:
    server = connection.server_address
    return Restrictions(tuple(server.domains), tuple(server.exception_domains), own) if isinstance(server, Inband) else None
