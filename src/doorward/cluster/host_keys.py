"""Host keys of SSH servers in a cluster: what managed nodes come to trust goes to Central Management, and what it trusts to them.

Nodes only add. Where two know different keys of a server, that of Central Management counts, and only there a key is deleted. A
node asks with each report; who has the same keys is told nothing.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Protocol

import msgspec
import structlog

from doorward.cluster.pins import PinnedPeer
from doorward.sessions.host_keys import MAX_KEYS, HostKey, TrustedHostKeys, fingerprint
from doorward.tree.jsontext import prepared
from doorward.tree.plaintext import plain

LIMIT = 4 << 20
"""Bytes of what a node tells, in JSON."""
MAX_TOLD = 200
"""New keys that a node tells of at a time."""

_Short = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]

log = structlog.get_logger()


@prepared
class SharedHostKey(msgspec.Struct, frozen=True):
    """A trusted key. Raises ValueError where ``public_key`` is none of the type."""

    type: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9@.-]{1,64}$")]
    host: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z:._-]{1,253}$")]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    public_key: Annotated[str, msgspec.Meta(max_length=16_384)]
    learned: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}T[0-9:.]{8,15}(Z|[+-]\d{2}:\d{2})$")]
    by: _Short

    def __post_init__(self) -> None:
        kind, _, encoded = self.public_key.partition(" ")
        try:
            blob = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise ValueError("no public key") from None
        name = kind.encode()
        if kind != self.type or not blob.startswith(len(name).to_bytes(4, "big") + name):
            raise ValueError("a public key of another type")


@prepared
class HostKeyReport(msgspec.Struct, frozen=True):
    """What a node tells: the digest of all its keys, and some that Central Management was not told of yet."""

    digest: Annotated[str, msgspec.Meta(max_length=64)]
    learned: Annotated[list[SharedHostKey], msgspec.Meta(max_length=MAX_TOLD)] = []


@prepared
class SharedHostKeys(msgspec.Struct, frozen=True):
    """All keys that Central Management trusts."""

    keys: Annotated[list[SharedHostKey], msgspec.Meta(max_length=MAX_KEYS)]


class HostKeyLink(Protocol):
    """The way to Central Management."""

    def host_keys(self, told: HostKeyReport) -> SharedHostKeys | None:
        """Tell; return what it trusts, None: the same."""


def take(host_keys: TrustedHostKeys, peer: PinnedPeer, told: HostKeyReport) -> SharedHostKeys | None:
    """Take what a node tells, on Central Management; return all keys where the node has others. Blocks."""
    taken = host_keys.take([_kept(one) for one in told.learned])
    if taken:
        log.info("host keys were learned by a node", peer=peer.id, keys=[key.id for key in taken])
    if host_keys.digest == told.digest:
        return None
    return SharedHostKeys([_shared(key) for key in host_keys.all()])


def exchange(host_keys: TrustedHostKeys, link: HostKeyLink) -> None:
    """Tell Central Management what is new here, and take its keys. Blocks. Raises what the link does."""
    while True:
        digest, learned = host_keys.untold(MAX_TOLD)
        trusted = link.host_keys(HostKeyReport(digest, [_shared(key) for key in learned]))
        host_keys.settle(learned, None if trusted is None else [_kept(one) for one in trusted.keys])
        if len(learned) < MAX_TOLD:
            return


def _shared(key: HostKey) -> SharedHostKey:
    return SharedHostKey(key.type, key.host, key.port, key.public_key, key.learned, key.by)


def _kept(one: SharedHostKey) -> HostKey:
    by = plain(one.by, 300)
    return HostKey(one.type, one.host, one.port, one.public_key, fingerprint(one.public_key), one.learned, by, is_told=True)
