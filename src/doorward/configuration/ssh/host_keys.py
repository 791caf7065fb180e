"""The host keys that SSH clients get to see: ``/api/configuration/ssh/host_keys``.

An extension, reachable but not listed. The keys are made by the first commit that switches SSH on, and are the same on every
node of a cluster and in every backup; connection policies may have keys of their own. GET of a key shows its public half and
fingerprint.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorward.configuration.ssh.authentication_policies import PrivateKeyReference
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Singleton

PATH = "/api/configuration/ssh/host_keys"


class HostKeys(Body):
    """The host keys of the appliance."""

    keys: Annotated[list[PrivateKeyReference], Elements(most=8, unique=lambda one: one.key)] = Field(
        default_factory=list, description="Keys of private keys: Ed25519, ECDSA on P-256, RSA."
    )


NODE: Singleton[HostKeys] = Singleton(
    title="Host keys of SSH", model=HostKeys, default={"keys": []}, listed=False, read_only=True
)
