"""What a command checks the identity of a server with."""

from __future__ import annotations

import ssl
from pathlib import Path

from doorward.cli.failures import Usage
from doorward.cli.target import CommandTarget
from doorward.client.errors import UnsendableError
from doorward.client.trust import pinned, verified


def trust(target: CommandTarget) -> ssl.SSLContext:
    """Return what the server is checked with. Raises Usage."""
    if target.pin:
        try:
            return pinned(target.pin)
        except UnsendableError as why:
            raise Usage(f"{target.origin['pin']} {why}.") from None
    return trusting(target.ca, target.node.file("tls/ca.pem") if target.node else None, target.origin.get("ca", "--ca"))


def trusting(ca: Path | None, own: Path | None, origin: str = "--ca") -> ssl.SSLContext:
    """Return what a certificate is checked with: the authorities of a file, or those of the system and of a node here."""
    try:
        context = verified(ca)
        if ca is None and own is not None:
            context.load_verify_locations(own)
    except (OSError, ssl.SSLError) as error:
        said = f"{origin}: " if ca else ""
        raise Usage(f"{said}{ca or own} holds no certificates: {error.strerror or error}.") from None
    return context
