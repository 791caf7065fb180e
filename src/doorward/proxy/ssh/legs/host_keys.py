"""Host keys: ours, with which we sign, and those of servers, whose signatures we check."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache

import asyncssh
from asyncssh.public_key import CERT_TYPE_HOST, SSHOpenSSHCertificate

from doorward.proxy.ssh.wire.errors import ExchangeError
from doorward.proxy.ssh.wire.fields import Fields

RSA = "ssh-rsa"
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", RSA)
_CERTIFICATE = "-cert-v01@openssh.com"


class BoundKey:
    """A host key of ours, bound to one algorithm of signatures."""

    def __init__(self, key: asyncssh.SSHKey, algorithm: str) -> None:
        self._key = key
        self._algorithm = algorithm.encode()
        self.public_data: bytes = key.public_data

    def sign(self, data: bytes) -> bytes:
        """A signature as it goes over the wire."""
        return self._key.sign(data, self._algorithm)


@lru_cache(maxsize=64)
def _load(private: bytes) -> asyncssh.SSHKey:
    """Read a private key, once a process: the check of an RSA key takes longer than a login."""
    return asyncssh.import_private_key(private)


def bind_host_keys(privates: Iterable[bytes], wanted: Iterable[str]) -> Mapping[str, BoundKey]:
    """Host keys by algorithm, in the order of ``wanted``. ``privates``: OpenSSH private keys."""
    by_algorithm: dict[str, BoundKey] = {}
    for private in privates:
        key = _load(private)
        algorithm = key.get_algorithm()
        for name in _RSA_SIGNATURES if algorithm == RSA else (algorithm,):
            by_algorithm.setdefault(name, BoundKey(key, name))
    return {name: by_algorithm[name] for name in wanted if name in by_algorithm}


def key_algorithm(algorithm: str) -> str:
    """The type of key behind an algorithm of host keys or signatures, such as ``ssh-rsa`` for ``rsa-sha2-256``."""
    plain = algorithm.removesuffix(_CERTIFICATE)
    return RSA if plain in _RSA_SIGNATURES else plain


def signature_algorithm(algorithm: str) -> str:
    """The algorithm of signatures that belongs to an algorithm of host keys."""
    return algorithm.removesuffix(_CERTIFICATE)


def is_certificate(algorithm: str) -> bool:
    """Whether an algorithm of host keys means certificates."""
    return algorithm.endswith(_CERTIFICATE)


def certificate_algorithm(algorithm: str) -> str:
    """The same algorithm with certificates."""
    return algorithm + _CERTIFICATE


def show(data: bytes) -> str:
    """A public key or certificate as OpenSSH writes it."""
    return f"{Fields(data, 0).string().decode('ascii', 'replace')} {base64.b64encode(data).decode()}"


def fingerprint(data: bytes) -> str:
    """SHA-256 as OpenSSH shows it."""
    return str(asyncssh.import_public_key(show(data)).get_fingerprint())


class ServerKey(asyncssh.SSHKey):
    """The key of a server during an exchange: it checks a signature by the algorithm that was agreed on, by no other.

    ``data``: what the server sent; ``certificate``: the same, if it is one.
    """

    def __init__(self, data: bytes, algorithm: str) -> None:
        self.data = data
        self.certificate: asyncssh.SSHCertificate | None = None
        self._expected = signature_algorithm(algorithm)
        try:
            if is_certificate(algorithm):
                self.certificate = asyncssh.import_certificate(show(data))
                self.key = self.certificate.key
            else:
                self.key = asyncssh.import_public_key(show(data))
        except (asyncssh.KeyImportError, ValueError):
            raise ExchangeError("The server sent a host key that can't be read") from None
        if self.key.get_algorithm() != key_algorithm(algorithm):
            raise ExchangeError("The server sent a host key of another type than was agreed on")

    @property
    def shown(self) -> str:
        """The key as OpenSSH writes it."""
        return show(self.key.public_data)

    def is_one_of(self, keys: Iterable[str]) -> bool:
        """Whether it is one of some OpenSSH public keys."""
        return any(asyncssh.import_public_key(known).public_data == self.key.public_data for known in keys)

    def is_vouched_for(self, authorities: Iterable[str], name: str) -> bool:
        """Whether it came with a valid certificate of one of some authorities, for a host of that name."""
        certificate = self.certificate
        if not isinstance(certificate, SSHOpenSSHCertificate):
            return False
        trusted = {asyncssh.import_public_key(authority).public_data for authority in authorities}
        if certificate.signing_key.public_data not in trusted:
            return False
        try:
            certificate.validate(CERT_TYPE_HOST, name)
        except ValueError:
            return False
        return True

    def verify(self, data: bytes, sig: bytes) -> bool:
        """Whether the signature is right, and of the algorithm that was agreed on."""
        if Fields(sig, 0).string().decode("ascii", "replace") != self._expected:
            return False
        return self.key.verify(data, sig)
