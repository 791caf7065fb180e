"""What control has for the login at a target. A password leaves once; private keys never do: control signs with them itself.

All of it is for one session that control placed on the worker which asks, after its login and its target were found, until it is
connected. A worker that asks otherwise is not one of ours.
"""

from __future__ import annotations

import base64
import secrets
import time
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from doorward.configuration.ssh.authentication_policies import CertificateLogin, PrivateKeyLogin
from doorward.proxy.control.backends import run
from doorward.proxy.control.ports import Secret
from doorward.proxy.control.session import Located, MisbehaviourError, Session
from doorward.sessions.admission import credential
from doorward.sessions.rules import Relayed

if TYPE_CHECKING:
    from asyncssh import SSHKey

MAX_SIGNATURES = 12
"""For one session: a server that takes no key of it has been asked for each of them often enough."""
SKEW_SECONDS = 60
"""Certificates begin so much earlier, for servers whose clock is behind."""
_REQUEST = 50
_SESSION_IDENTIFIERS = range(16, 65)
"""Lengths of a session identifier, that is of a hash (RFC 4253, section 7.2)."""
_CERTIFICATE = "-cert-v01@openssh.com"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoginCredential:
    """What the worker gets: a password, or public keys that control signs for."""

    password: str | None = field(default=None, repr=False)
    public_keys: tuple[str, ...] = ()


@dataclass(slots=True)
class Keyring:
    """The keys and passwords of one session. ``secret`` returns secrets by their keys."""

    session: Session
    target: Located
    secret: Secret
    threads: Executor
    given: set[Relayed] = field(default_factory=set)
    signatures: int = 0
    _keys: dict[str, SSHKey] = field(default_factory=dict, repr=False)
    """Private keys by the public key, or certificate, that was offered."""

    async def credential(self, way: Relayed) -> LoginCredential:
        """Return what one way to log in takes; nothing for ways that take nothing of control. Raises MisbehaviourError."""
        if way not in self.target.offers:
            raise MisbehaviourError(f"asked for {way.value}, which was not offered")
        if way in self.given:
            raise MisbehaviourError(f"asked for {way.value} twice")
        self.given.add(way)
        match way:
            case Relayed.PRIVATE_KEY:
                return await run(self.threads, self._private_key)
            case Relayed.CERTIFICATE:
                return await run(self.threads, self._certificate)
            case Relayed.CREDENTIAL_STORE:
                return await run(self.threads, self._stored)
            case Relayed.SAME_PASSWORD | Relayed.KEYBOARD_INTERACTIVE | Relayed.AGENT | Relayed.PASSWORD_PROMPT:
                return LoginCredential()

    def _private_key(self) -> LoginCredential:
        relayed = self.session.connection.policy.authentication.relayed
        chosen = next((way for way in relayed if isinstance(way, PrivateKeyLogin)), None)
        return self._offered(chosen.key.key if chosen is not None else None)

    def _offered(self, secret: str | None, password: str | None = None) -> LoginCredential:
        key = self._load(secret)
        if key is None:
            return LoginCredential(password)
        line = " ".join(key.export_public_key().decode("ascii").split()[:2])
        self._keys[line] = key
        return LoginCredential(password, (line,))

    def _certificate(self) -> LoginCredential:
        relayed = self.session.connection.policy.authentication.relayed
        chosen = next((way for way in relayed if isinstance(way, CertificateLogin)), None)
        authority = self._load(chosen.ca_key.key) if chosen is not None else None
        if chosen is None or authority is None:
            return LoginCredential()
        import asyncssh

        key, now = asyncssh.generate_private_key("ssh-ed25519"), int(time.time())
        certificate = authority.generate_user_certificate(
            key,
            self.session.id,
            serial=secrets.randbits(63),
            principals=[self.target.user],
            valid_after=now - SKEW_SECONDS,
            valid_before=now + chosen.seconds,
            sig_alg="rsa-sha2-512" if authority.get_algorithm() == "ssh-rsa" else (),
        )
        line = " ".join(certificate.export_certificate().decode("ascii").split()[:2])
        self._keys[line] = key
        return LoginCredential(public_keys=(line,))

    def _stored(self) -> LoginCredential:
        store = self.session.connection.policy.store
        if store is None:
            return LoginCredential()
        # All addresses that the worker may connect to have to be for the same line: which one it will be, it alone knows.
        lines = [credential(store, (self.target.name,), address, self.target.user) for address in self.target.addresses]
        found = lines[0]
        if found is None or any(line != found for line in lines):
            return LoginCredential()
        password = self.secret(found.password.key) if found.password is not None else None
        return self._offered(found.private_key.key if found.private_key is not None else None, password)

    def _load(self, secret: str | None) -> SSHKey | None:
        if secret is None:
            return None
        text = self.secret(secret)
        if text is None:
            log.error("a key for the login at a server is not here", session=self.session.id)
            return None
        import asyncssh

        return asyncssh.import_private_key(text)

    async def sign(self, public_key: str, algorithm: str, data: bytes) -> bytes:
        """Return the signature over the claim that a user has a key (RFC 4252, section 7). Raises MisbehaviourError."""
        key = self._keys.get(public_key)
        if key is None:
            raise MisbehaviourError("asked for the signature of a key that it was not offered")
        self.signatures += 1
        if self.signatures > MAX_SIGNATURES:
            raise MisbehaviourError("asked for far too many signatures")
        self._check(public_key, algorithm, data)
        plain = algorithm.removesuffix(_CERTIFICATE).encode("ascii")
        return await run(self.threads, key.sign, data, plain)

    def _check(self, public_key: str, algorithm: str, data: bytes) -> None:
        """Raise MisbehaviourError unless data is the claim of this very user, for this key, in a connection to a server."""
        from asyncssh.packet import PacketDecodeError, SSHPacket

        kind, encoded = public_key.split()
        wanted = (b"ssh-connection", b"publickey", True, algorithm.encode("ascii", "replace"), base64.b64decode(encoded))
        packet = SSHPacket(data)
        try:
            identifier, number, user = packet.get_string(), packet.get_byte(), packet.get_string()
            claim = packet.get_string(), packet.get_string(), packet.get_boolean(), packet.get_string(), packet.get_string()
            packet.check_end()
        except PacketDecodeError:
            raise MisbehaviourError("asked to sign what is no login") from None
        plain = algorithm.removesuffix(_CERTIFICATE)
        fits = plain in _SIGNERS.get(kind.removesuffix(_CERTIFICATE), ()) and (plain != algorithm) == kind.endswith(_CERTIFICATE)
        if number != _REQUEST or user != self.target.user.encode() or claim != wanted or not fits:
            raise MisbehaviourError("asked to sign another login than that of its session")
        if len(identifier) not in _SESSION_IDENTIFIERS or identifier == self.session.identifier:
            raise MisbehaviourError("asked to sign for no connection to a server")


_SIGNERS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    # SHA-1 is for servers that know nothing else; what it signs is of no use to anybody who could find a collision.
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"),
}
