"""Whom this node trusts: peers by their very certificates, and TLS contexts that accept nobody else (contract, section 11.1)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from doorward.cluster.keys import NodeKey, fingerprint

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME, which the standard library has no name for


@dataclass(frozen=True, slots=True)
class PinnedPeer:
    """A node whose certificate (DER) is pinned. One that is ``removed`` is told so and gets nothing else."""

    id: str
    certificate: bytes = field(repr=False)
    roles: frozenset[str] = frozenset()
    removed: bool = False


class _Changing(ssl.SSLContext):
    """The context of a listener: hands each connection to the context of its moment."""

    present: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the standard library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin TLS; event loops come by here for each connection."""
        return self.present.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class Pins:
    """The peers of the moment; replaced as a whole, from any thread, while connections come in."""

    def __init__(self, key: NodeKey) -> None:
        self._key = key
        self._peers: dict[bytes, PinnedPeer] = {}
        self.context = _Changing(ssl.PROTOCOL_TLS_SERVER)
        """For the listener. Each connection is held against the pins of its moment."""
        self.context.present = self._context(())
        self._changing = threading.Lock()

    def trust(self, peers: Iterable[PinnedPeer]) -> None:
        """Trust these peers and nobody else, from the next handshake and the next request on."""
        found = {fingerprint(peer.certificate): peer for peer in peers}
        with self._changing:
            if found.keys() != self._peers.keys():  # roles change more often than certificates
                self.context.present = self._context(peer.certificate for peer in found.values())
            self._peers = found

    def find(self, certificate: bytes) -> PinnedPeer | None:
        """Return the peer with a certificate."""
        peer = self._peers.get(fingerprint(certificate))
        return peer if peer is not None and peer.certificate == certificate else None

    def _context(self, anchors: Iterable[bytes]) -> ssl.SSLContext:
        made = _pinned(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), anchors)
        made.verify_mode = ssl.CERT_OPTIONAL
        made.num_tickets = 0  # a resumed connection would not be checked against the pins
        self._key.shown_by(made)
        return made


def client_context(key: NodeKey, server: bytes) -> ssl.SSLContext:
    """Return a context that shows our certificate and accepts the one of the server (DER) alone."""
    made = _pinned(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), [server])
    made.check_hostname = False  # names play no part
    key.shown_by(made)
    return made


def unverified_context() -> ssl.SSLContext:
    """Return a context for pairing: the certificate of the server is not known yet, ours is not shown."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE  # what it shows goes into the proofs of both sides
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    return made


def _pinned(context: ssl.SSLContext, anchors: Iterable[bytes]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= _NO_CHECK_TIME
    for anchor in anchors:
        context.load_verify_locations(cadata=anchor)
    return context
