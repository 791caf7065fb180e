"""What this node needs to read recordings back: ``/api/configuration/local_services/indexer``.

``decryption_keys`` are certificates with their private keys: with one of them, recordings that an audit policy encrypts to it
are shown and searched for here. Text is indexed while a session runs, so there are no workers to set. Nothing on the host
changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import Field

from doorward.configuration import x509
from doorward.configuration._inert import NOT_YET, NotYet, only
from doorward.configuration._tls import CertificateReference
from doorward.tree.models import Body, Elements
from doorward.tree.nodes import Singleton
from doorward.tree.places import Place
from doorward.tree.problems import Problem
from doorward.tree.snapshot import Snapshot

PATH = "/api/configuration/local_services/indexer"

_NoWorkers = Annotated[int, only(0, "Text is indexed while sessions run; there are no workers for it.")]


class Integrated(Body):
    """Workers of the node."""

    number_of_near_realtime_workers: _NoWorkers = Field(0, description="0.", json_schema_extra={"minimum": 0, "maximum": 0})
    number_of_workers: _NoWorkers = Field(0, description="0.", json_schema_extra={"minimum": 0, "maximum": 0})


class Indexer(Body):
    """What a node needs to read recordings back."""

    decryption_keys: Annotated[list[CertificateReference], Elements(most=16, unique=lambda one: one.key)] = Field(
        default_factory=list, description="Keys of certificates with RSA keys and their private keys."
    )
    integrated: Integrated = Field(Integrated(), description="Workers of the node: none.")
    remote_access: NotYet = Field(NOT_YET, description="Workers elsewhere.")


def can_decrypt(snapshot: Snapshot, _place: Place) -> Iterator[Problem]:
    """Refuse certificates that open nothing."""
    for index, reference in enumerate(snapshot.read(NODE).decryption_keys):
        at = f"/decryption_keys/{index}"
        yield from x509.without_private_key(snapshot, reference.key, at)
        certificate = x509.certificate_of(snapshot, reference.key)
        if certificate is not None and not isinstance(certificate.public_key(), rsa.RSAPublicKey):
            yield Problem("unsuitable", "Only a certificate with an RSA key can decrypt.", at)


NODE: Singleton[Indexer] = Singleton(
    title="Indexer",
    scope="node",
    model=Indexer,
    default={
        "decryption_keys": [],
        "integrated": {"number_of_near_realtime_workers": 0, "number_of_workers": 0},
        "remote_access": {"enabled": False},
    },
    rules=(can_decrypt,),
)
