"""The host keys that SSH clients get to see: ``/api/configuration/ssh/host_keys``.

An extension, reachable but not listed. The keys are made by the first commit that switches SSH on, and are the same on every
node of a cluster and in every backup; connection policies may have keys of their own. GET of a key shows its public half and
fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import Field

from doorward.configuration import private_keys
from doorward.configuration.ssh import options
from doorward.configuration.ssh.authentication_policies import PrivateKeyReference
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Singleton, Supply
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/ssh/host_keys"

_RSA_BITS = 3072


class HostKeys(Body):
    """The host keys of the appliance."""

    keys: Annotated[list[PrivateKeyReference], Elements(most=8, unique=lambda one: one.key)] = Field(
        default_factory=list, description="Keys of private keys: Ed25519, ECDSA on P-256, RSA."
    )


def are_missing(snapshot: Snapshot) -> bool:
    """Whether SSH is on and has no host keys yet."""
    return options.is_enabled(snapshot) and not snapshot.read(NODE).keys


def make() -> Iterator[tuple[dict[str, Any], str]]:
    """Make a key of each type. RSA takes a good part of a second."""
    yield private_keys.described(private_keys.generated("ed25519"))
    yield private_keys.described(private_keys.generated("ecdsa-p256"))
    yield private_keys.described(rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS))


def _body(keys: list[str]) -> dict[str, list[str]]:
    return {"keys": keys}


NODE: Singleton[HostKeys] = Singleton(
    title="SSH host keys",
    model=HostKeys,
    default={"keys": []},
    listed=False,
    read_only=True,
    supply=Supply(private_keys.PATH, are_missing, make, _body),
)
