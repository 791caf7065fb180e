"""Where a session goes, and as whom: the name that the client gave, looked up once, judged, and from then on an address."""

from __future__ import annotations

import structlog
from msgspec import Struct

from doorward.access.directory import DirectoryError
from doorward.configuration.ssh._connections import Fixed, FixedSource, Inband
from doorward.proxy.control.backends import BackendError, Backends, run
from doorward.proxy.control.connections import Connections, ResolvedPolicy
from doorward.proxy.control.names import Resolver, UnknownNameError
from doorward.proxy.control.session import Located, Session
from doorward.sessions.admission import (
    SSH_PORT,
    UnknownTargetError,
    Wanted,
    admit,
    map_user,
    one_address,
    parse_login,
    parse_server,
)
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.sessions.rules import Relayed

QUESTION = "Server: "

log = structlog.get_logger()


class NoTargetError(Exception):
    """The session has no target. The message is for the client; ``event`` is what is told."""

    def __init__(self, message: str, event: str = "connection_denied") -> None:
        super().__init__(message)
        self.event = event


class NotSaidError(Exception):
    """The client named no server, and may be asked."""


class Targets(Struct, frozen=True):
    """Finds targets. ``connections`` says what this node takes itself: nobody is sent back to where it came from."""

    connections: Connections
    resolver: Resolver
    host_keys: TrustedHostKeys
    backends: Backends

    async def locate(self, session: Session, text: str) -> Located:
        """Return the target of a session. ``text``: what the client answered when asked. Raises NoTargetError, NotSaidError."""
        connection = session.connection
        try:
            wanted = parse_login(session.user, inband=connection.rules.inband)
            name, port = self._named(connection, wanted, text)
            user = self._mapped(session, wanted)
            addresses, port = await self._admitted(connection, name, port)
        except (UnknownTargetError, UnknownNameError) as why:
            raise NoTargetError(str(why)) from None
        known = dict.fromkeys(key.public_key for address in addresses for key in self.host_keys.of(name, address, port))
        groups = await self._groups(connection, user)
        return Located(
            name=name,
            addresses=addresses,
            port=port,
            user=user,
            groups=groups,
            keys=tuple(known),
            offers=offers(connection),
        )

    def _named(self, connection: ResolvedPolicy, wanted: Wanted, text: str) -> tuple[str, int | None]:
        server = connection.policy.connection.server_address
        if isinstance(server, Fixed):
            return server.address.value, server.port
        if wanted.host:
            return wanted.host, wanted.port
        if text:
            return parse_server(text)
        if connection.rules.ask_target:
            raise NotSaidError
        raise NoTargetError("No server is named: write user@server.")

    def _mapped(self, session: Session, wanted: Wanted) -> str:
        person = session.person
        user = map_user(session.connection.policy.mapping, person.name, person.groups, wanted.user)
        if user is None:
            message = f"{person.name or 'You'} may not be {wanted.user or 'anybody'} on servers."
            raise NoTargetError(message, "user_mapping_failure")
        return user

    async def _admitted(self, connection: ResolvedPolicy, name: str, port: int | None) -> tuple[tuple[str, ...], int]:
        """Look the name up, and return those of its addresses that the policy allows. No second look-up follows."""
        server = connection.policy.connection.server_address
        inband = server if isinstance(server, Inband) else None
        asked = str(inband.dns_server) if inband is not None and inband.dns_server is not None else None
        found = await self.resolver.addresses(name, asked, inband.dns_suffixes if inband is not None else ())
        if connection.policy.restrictions is not None:
            admitted = admit(connection.policy.restrictions, name, port, found)
            found, port = admitted.addresses, admitted.port
        port = port or SSH_PORT
        allowed = tuple(address for address in found if not self._is_loop(address, port))
        if not allowed:
            raise UnknownTargetError("This server is the gateway itself.")
        return allowed, port

    def _is_loop(self, address: str, port: int) -> bool:
        found = one_address(address)
        return found.is_unspecified or found.is_multicast or self.connections.is_taken(address, port)

    async def _groups(self, connection: ResolvedPolicy, user: str) -> tuple[str, ...]:
        """Return the groups of a user on the server's side, by the directory of the connection. Unknown: none."""
        if connection.policy.directory is None or not any(rule.remote_groups for rule in connection.rules.channels):
            return ()
        try:
            member = await run(self.backends.threads, self.backends.directory(connection).find, user)
        except (BackendError, DirectoryError) as error:
            log.error("the groups of a user on the server can't be had", policy=connection.name, reason=str(error))
            return ()
        return member.groups if member is not None else ()


def source(connection: ResolvedPolicy) -> str | None:
    """Return the address that servers see; None: whichever leads there."""
    chosen = connection.policy.connection.source_address
    return str(chosen.address) if isinstance(chosen, FixedSource) else None


def offers(connection: ResolvedPolicy) -> tuple[Relayed, ...]:
    """Return the ways to log in at the target that apply.

    The rules of the configuration keep stored secrets, and passwords of the gateway, to hosts that have proven who they are, and
    to users who have. They are looked at once more here: it is the last place before a secret leaves.
    """
    stored = {Relayed.PRIVATE_KEY, Relayed.CERTIFICATE, Relayed.CREDENTIAL_STORE}
    if not connection.has_login:
        withheld = stored
    elif not connection.has_strict_host_keys:
        withheld = stored | {Relayed.SAME_PASSWORD}
    else:
        withheld = set()
    return tuple(way for way in connection.rules.relayed if way not in withheld)
