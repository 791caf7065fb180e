"""TLS contexts, made in one place: what a client of ours trusts, and how an identity is loaded. Pure but for memory files."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!eNULL:!aDSS:!PSK"
"""Of TLS 1.2, in OpenSSL's words; those of 1.3 are all of the kind. Suites with CBC and without forward secrecy are left out."""


def modern(context: ssl.SSLContext) -> ssl.SSLContext:
    """Let a context speak no older TLS than 1.2, and no other suites than AEAD ones; returns it."""
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(_SUITES)
    return context


def client_context(authorities: str | Path | None = None, *, checked: bool = True) -> ssl.SSLContext:
    """Return a context for a client: TLS 1.3, or 1.2 with AEAD suites, names checked, alike on every release of Python.

    ``authorities`` are certificates in PEM, or a file of them; None: those that the system trusts. Each of them is trusted by
    itself, also an intermediate or a server's own (X509_V_FLAG_PARTIAL_CHAIN). With ``checked`` False nothing is checked.
    Raises ssl.SSLError or OSError.
    """
    file, data = (authorities, None) if isinstance(authorities, Path) else (None, authorities)
    made = modern(ssl.create_default_context(cafile=file, cadata=data))
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 begins with it: authorities made by older tools would fail
    if not checked:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made


def show(made: ssl.SSLContext, pem: str) -> None:
    """Load an identity: certificates and private key in PEM. OpenSSL wants a file: one in memory keeps the key off the disk.

    Raises ssl.SSLError where OpenSSL does not take it.
    """
    with os.fdopen(os.memfd_create("identity", os.MFD_CLOEXEC), "w") as file:
        file.write(pem)
        file.flush()
        made.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def unusable(pem: str) -> str | None:
    """Return why OpenSSL would not show an identity, certificates and private key in PEM; None where it does."""
    try:
        show(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pem)
    except ssl.SSLError as error:
        return (error.reason or "not an identity").lower().replace("_", " ")
    return None
