"""Which connection policy a session is under: all that it refers to, and the rules that its worker gets."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from doorward.access.directory import authority_of
from doorward.configuration import x509
from doorward.configuration.management import certificates
from doorward.configuration.policies.audit_policies import PolicyOid, RemoteAuthority, Signing, Timestamping
from doorward.configuration.ssh import connections, options
from doorward.sessions.compiler import compile_rules
from doorward.sessions.policies import ConnectionPolicy, connection_policy, disk_limit, limits, matching
from doorward.sessions.rules import ConnectionRules
from doorward.transaction.candidate import Running
from doorward.tree.snapshot import Snapshot


class Identity(Struct, frozen=True):
    """A certificate in PEM, with its chain, and the key of the secret that is its private key."""

    certificate: str
    key: str


class Sealing(Struct, frozen=True):
    """How trails are sealed. ``signer`` None: not signed. ``url`` None: ``authority``, the node's own, makes time stamps."""

    signer: Identity | None = None
    timestamped: bool = False
    authority: Identity | None = None
    url: str | None = None
    policy_oid: str | None = None


class ResolvedPolicy(Struct, frozen=True):
    """A connection policy as it is at a moment. ``directory_authority``: who must have signed the directory, in PEM."""

    policy: ConnectionPolicy
    rules: ConnectionRules
    sealing: Sealing
    directory_authority: str | None = None

    @property
    def key(self) -> str:
        """The key of the policy."""
        return self.policy.key

    @property
    def name(self) -> str:
        """The name of the policy."""
        return self.policy.connection.name

    @property
    def has_login(self) -> bool:
        """Whether somebody logs in at the gateway."""
        return self.rules.gateway_login

    @property
    def has_strict_host_keys(self) -> bool:
        """Whether only hosts that have proven who they are can be targets."""
        return self.policy.connection.server_side_hostkeys.plain_hostkey.check == "trusted_only"


class Connections:
    """The connection policies that run at a moment. In any thread."""

    def __init__(self, running: Callable[[], Running]) -> None:
        self._running = running

    def matching(self, local: tuple[str, int], client: str) -> ResolvedPolicy | None:
        """Return the policy that takes a connection; None: nobody's."""
        running = self._running()
        key = matching(running.snapshot, *local, client)
        return None if key is None else compiled(running.snapshot, key, running.number)

    def is_taken(self, address: str, port: int) -> bool:
        """Whether a connection from this node to an address and port would be taken by itself."""
        return matching(self._running().snapshot, address, port, address) is not None

    @property
    def limits(self) -> options.SshLimits:
        """How many sessions there may be."""
        return limits(self._running().snapshot)

    @property
    def disk_limit(self) -> int | None:
        """The percentage of the disk above which no session begins."""
        return disk_limit(self._running().snapshot)


def active(snapshot: Snapshot, key: str, revision: int) -> ResolvedPolicy | None:
    """Return a policy that takes connections; None where there is none, or it is inactive, or SSH is off."""
    found = snapshot.find(connections.NODE, key)
    return compiled(snapshot, key, revision) if found is not None and found.active and options.is_enabled(snapshot) else None


def compiled(snapshot: Snapshot, key: str, revision: int) -> ResolvedPolicy:
    """Return a connection policy with all that it refers to. ``revision`` is that of the configuration. Raises KeyError."""
    policy = connection_policy(snapshot, key)
    rules = compile_rules(snapshot, key, revision)
    authority = authority_of(snapshot, policy.directory) if policy.directory is not None else None
    return ResolvedPolicy(policy, rules, _sealing(snapshot, policy), authority)


def _sealing(snapshot: Snapshot, policy: ConnectionPolicy) -> Sealing:
    audit = policy.audit
    signer = _identity(snapshot, audit.signing.x509_identity.key) if isinstance(audit.signing, Signing) else None
    stamping = audit.timestamping
    if not isinstance(stamping, Timestamping):
        return Sealing(signer)
    if isinstance(stamping.server, RemoteAuthority):
        oid = stamping.server.oid.policy_oid if isinstance(stamping.server.oid, PolicyOid) else None
        return Sealing(signer, timestamped=True, url=stamping.server.server_url, policy_oid=oid)
    own = snapshot.read(certificates.NODE).tsa
    return Sealing(signer, timestamped=True, authority=_identity(snapshot, own.key) if own is not None else None)


def _identity(snapshot: Snapshot, key: str) -> Identity | None:
    found = snapshot.find(x509.NODE, key)
    return Identity(found.certificate, key) if found is not None else None
