"""TLS as a client, by the blocks of the configuration that say what the server must show and what we show it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Protocol

from doorward.configuration import x509
from doorward.configuration._tls import ClientIdentity, ServerCertificateCheck
from doorward.host.tls import client_context, show
from doorward.store.port import StoreDamagedError
from doorward.store.vault import VaultError
from doorward.tree.models import Off
from doorward.tree.snapshot import Snapshot

SecretText = Callable[[str], str | None]
"""Returns the text of a secret by its key."""


class NoCertificateError(Exception):
    """A certificate or key that the configuration refers to can't be had."""


class Protected(Protocol):
    """A block that says what the server must show and what we show it."""

    @property
    def client_authentication(self) -> ClientIdentity | Off:
        """What we show."""

    @property
    def server_certificate_check(self) -> ServerCertificateCheck | Off:
        """What the server must show."""


def context(snapshot: Snapshot, block: Protected, secret: SecretText) -> ssl.SSLContext:
    """Return the TLS context for a block with ``server_certificate_check`` and ``client_authentication``.

    Raises NoCertificateError or ssl.SSLError.
    """
    check, client = block.server_certificate_check, block.client_authentication
    authority = check.server_certificate_ca if isinstance(check, ServerCertificateCheck) else None
    made = client_context(certificate(snapshot, authority.key) if authority else None, checked=check.enabled)
    if isinstance(client, ClientIdentity):
        try:
            key = secret(client.x509_identity.key)
        except (StoreDamagedError, VaultError) as error:
            raise NoCertificateError(
                f"the private key of the client certificate can't be had: {str(error).rstrip('.')}"
            ) from error
        if key is None:
            raise NoCertificateError("the private key of the client certificate is not here")
        show(made, certificate(snapshot, client.x509_identity.key) + key)
    return made


def certificate(snapshot: Snapshot, key: str) -> str:
    """Return a certificate with its chain, in PEM. Raises NoCertificateError."""
    found = snapshot.find(x509.NODE, key)
    if found is None:
        raise NoCertificateError("a certificate that the configuration refers to is gone")
    return found.certificate
