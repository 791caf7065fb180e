"""How a node and Central Management come to trust each other: pure functions for both sides (cluster contract, section 11.2).

Both know the psk of a join request. It is never sent: each proves to know it by a MAC over what both saw of the TLS connection,
the fingerprints of the two certificates. Somebody in the middle shows another fingerprint and can't make the MAC.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from doorward.cluster.keys import MAX_CERTIFICATE, NodeKey, fingerprint, proves
from doorward.tree.jsontext import prepared

PSK_LENGTH = 64
PSK_SECONDS = 24 * 3600
"""How long a psk lives, from the commit that made or accepted it."""
REPEAT_SECONDS = 600
"""How long Central Management lets a node repeat a pairing whose answer was lost."""

_ALPHABET = string.ascii_letters + string.digits
_INFO = b"doorward pair v1"
_NONCE_BYTES = 32

_Bytes32 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


@prepared
class PairRequest(msgspec.Struct, frozen=True):
    """What the node sends. Bytes are base64 on the wire; ``certificate`` is in DER."""

    node_id: UUID
    version: Annotated[str, msgspec.Meta(max_length=64)]
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    address: Annotated[str, msgspec.Meta(max_length=64)]
    certificate: Annotated[bytes, msgspec.Meta(max_length=MAX_CERTIFICATE)]
    nonce: _Bytes32
    mac: _Bytes32
    signature: Annotated[bytes, msgspec.Meta(max_length=128)]

    def __post_init__(self) -> None:
        ipaddress.ip_address(self.address)  # msgspec makes the ValueError one of its own


@prepared
class PairAnswer(msgspec.Struct, frozen=True):
    """What Central Management answers."""

    cluster_id: UUID
    central_node_id: UUID
    nonce: _Bytes32
    mac: _Bytes32


class PairingRefusedError(Exception):
    """Central Management does not pair. ``code`` is ``not_accepted`` or ``version_mismatch``.

    ``psk_differs`` is for Central Management alone: the node is accepted, but this request does not prove to be its own.
    """

    def __init__(self, code: str, *, psk_differs: bool = False) -> None:
        super().__init__(code)
        self.code, self.psk_differs = code, psk_differs


class CentralNotProvenError(Exception):
    """The answer was not made by somebody who knows the psk and holds the certificate that was shown."""


def new_psk() -> str:
    """Return a new psk: 381 bits from the random source of the system."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(PSK_LENGTH))


def key_of(psk: str, node_id: UUID) -> bytes:
    """Return K."""
    return HKDF(hashes.SHA256(), 32, salt=node_id.bytes, info=_INFO).derive(psk.encode())


def fields(*values: bytes) -> bytes:
    """Join fields, each after its length (four bytes, the highest first), so that no two lists give the same text."""
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


def node_text(node_id: UUID, nonce: bytes, node: bytes, central: bytes, version: str) -> bytes:
    """Return what the node authenticates; ``node`` and ``central`` are fingerprints."""
    return fields(b"node", node_id.bytes, nonce, node, central, version.encode())


def central_text(node_id: UUID, nonces: tuple[bytes, bytes], central: bytes, node: bytes, cluster_id: UUID) -> bytes:
    """Return what Central Management authenticates; ``nonces`` are the one of the node and its own."""
    return fields(b"centre", node_id.bytes, *nonces, central, node, cluster_id.bytes)


class PairingAttempt:
    """One try of the node. ``central`` is the fingerprint that the server showed in this very connection."""

    def __init__(self, psk: str, node_id: UUID, key: NodeKey, central: bytes) -> None:
        self._key, self._node_id, self._own, self._central = key_of(psk, node_id), node_id, key, central
        self._nonce = secrets.token_bytes(_NONCE_BYTES)

    def request(self, *, version: str, address: str, time: datetime) -> PairRequest:
        """Return what to send."""
        text = node_text(self._node_id, self._nonce, self._own.fingerprint, self._central, version)
        mac = hmac.digest(self._key, text, "sha256")
        signature = self._own.sign(text)
        return PairRequest(self._node_id, version, time, address, self._own.certificate, self._nonce, mac, signature)

    def check(self, answer: PairAnswer) -> None:
        """Check that Central Management knows the psk; only then its certificate may be pinned. Raises CentralNotProvenError."""
        nonces = self._nonce, answer.nonce
        text = central_text(self._node_id, nonces, self._central, self._own.fingerprint, answer.cluster_id)
        if not hmac.compare_digest(hmac.digest(self._key, text, "sha256"), answer.mac):
            raise CentralNotProvenError


class PskLife(Struct, frozen=True):
    """How long a psk lives: until a Unix time, and for which fingerprint alone once it has paired (``pinned_at``, Unix time)."""

    until: float
    pinned: bytes | None = None
    pinned_at: float = 0.0

    def over(self, now: float) -> bool:
        """Whether it has come to its end: after 24 hours, or ten minutes after it paired, for an answer that was lost."""
        return now >= (self.until if self.pinned is None else min(self.until, self.pinned_at + REPEAT_SECONDS))


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A node that an administrator of Central Management accepted, the psk for it, and how long that lives."""

    node_id: UUID
    psk: str = field(repr=False)
    life: PskLife


class PairedCentral(Struct, frozen=True):
    """The side that answers: its release, the fingerprint of its own certificate, its cluster."""

    version: str
    fingerprint: bytes
    cluster_id: UUID
    node_id: UUID

    def answer(self, request: PairRequest, acceptance: Acceptance | None, now: float) -> PairAnswer:
        """Return the proof for the node, whose certificate is then to be pinned. Raises PairingRefusedError.

        Unknown node, dead psk and wrong proof take the same time and get the same refusal.
        """
        alive = acceptance is not None and acceptance.node_id == request.node_id and not acceptance.life.over(now)
        psk = acceptance.psk if acceptance is not None and alive else _DECOY
        key, node = key_of(psk, request.node_id), fingerprint(request.certificate)
        text = node_text(request.node_id, request.nonce, node, self.fingerprint, request.version)
        right = hmac.compare_digest(hmac.digest(key, text, "sha256"), request.mac)
        right = proves(request.certificate, text, request.signature) and right
        if acceptance is not None and acceptance.life.pinned is not None:
            right = hmac.compare_digest(acceptance.life.pinned, node) and right
        if not (alive and right):
            raise PairingRefusedError("not_accepted", psk_differs=alive)
        if request.version != self.version:
            raise PairingRefusedError("version_mismatch")
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = central_text(request.node_id, (request.nonce, nonce), self.fingerprint, node, self.cluster_id)
        return PairAnswer(self.cluster_id, self.node_id, nonce, hmac.digest(key, text, "sha256"))


_DECOY = new_psk()
"""Used where there is no psk, so that an unknown node can't be told by the time the answer takes."""
