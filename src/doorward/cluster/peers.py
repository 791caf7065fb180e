"""Whom this node is paired with, kept through restarts: certificates, tombstones, and how long secrets of pairings live."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from msgspec import Struct
from msgspec.structs import replace

from doorward.cluster.keys import NodeKey
from doorward.cluster.pairing import PSK_SECONDS, PskLife
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.snapshot import Snapshot

TOMBSTONE_SECONDS = 30 * 86_400
"""How long a removed node is told so."""
KIND = "cluster_peer"
"""Of the records of peers; in archives, as those of cluster revisions and of how far a node is."""


@prepared
@dataclass(frozen=True, slots=True)
class Pinned:
    """A node and its certificate (DER). Times are Unix times; ``removed`` None: it belongs to the cluster.

    ``psk`` is the key of the secret that a joining node paired with.
    """

    id: str
    certificate: bytes = field(repr=False)
    at: float
    removed: float | None = None
    psk: str = ""


class Peers:
    """The peers of this node; on a node that joined, Central Management alone. Changes block and are durable.

    Safe in any thread.
    """

    def __init__(self, store: Store) -> None:
        self._kept = Records(store, KIND, Pinned)
        self._peers = {peer.id: peer for peer in self._kept.find()}
        self._changing = threading.RLock()

    def all(self) -> Mapping[str, Pinned]:
        """Return the peers by node id, tombstones included."""
        return self._peers

    def paired(self, node_id: str) -> bool:
        """Whether the node is pinned and was not removed."""
        found = self._peers.get(node_id)
        return found is not None and found.removed is None

    def pin(self, node_id: str, certificate: bytes, now: float, psk: str = "") -> None:
        """Trust a node by its certificate."""
        self._keep(Pinned(node_id, certificate, now, psk=psk))

    def mark_removed(self, node_id: str, now: float) -> None:
        """Leave of a node nothing but that it was removed."""
        with self._changing:
            found = self._peers.get(node_id)
            if found is not None and found.removed is None:
                self._keep(dataclasses.replace(found, removed=now))

    def forget(self, node_ids: Iterable[str]) -> None:
        """Forget peers altogether."""
        for node_id in node_ids:
            with self._changing:
                self._kept.remove(node_id)
                self._peers = {key: peer for key, peer in self._peers.items() if key != node_id}

    def over(self, now: float) -> list[str]:
        """Return the nodes whose tombstone has stood long enough."""
        return [p.id for p in self._peers.values() if p.removed is not None and now - p.removed > TOMBSTONE_SECONDS]

    def _keep(self, peer: Pinned) -> None:
        with self._changing:
            self._kept.put(peer)
            self._peers = {**self._peers, peer.id: peer}


@prepared
class _Psk(Struct, frozen=True):
    """How long the psk ``id`` lives, for the store; ``pinned`` is a fingerprint in hex."""

    id: str
    until: float
    pinned: str | None = None
    pinned_at: float = 0.0

    @property
    def life(self) -> PskLife:
        """The same as it is reckoned with."""
        return PskLife(self.until, bytes.fromhex(self.pinned) if self.pinned else None, self.pinned_at)


def _psks(store: Store) -> Records[_Psk]:
    return Records(store, "cluster_psk", _Psk)


def psk_life(store: Store, key: str, now: float) -> PskLife:
    """Return how long a psk lives. Its time begins when it is first asked for, which is at its commit or the start after it.

    One that would live longer than any was given its time by a clock that has been set back since: its day begins anew.
    """
    kept = _psks(store)
    found = kept.get(key)
    if found is None:
        found = _Psk(key, now + PSK_SECONDS)
        kept.put(found)
    elif found.until > now + PSK_SECONDS or found.pinned_at > now:
        found = replace(found, pinned_at=min(found.pinned_at, now), until=min(found.until, now + PSK_SECONDS))
        kept.put(found)
    return found.life


def used(store: Store, key: str, life: PskLife, fingerprint: bytes, now: float) -> None:
    """Note that a psk has paired; from now on it is good for that certificate alone."""
    if life.pinned is None:
        _psks(store).put(_Psk(key, life.until, fingerprint.hex(), now))


def psks(store: Store) -> list[str]:
    """Return the keys of the psks whose time is running."""
    return [psk.id for psk in _psks(store).find()]


def destroy(store: Store, key: str) -> None:
    """Destroy a psk; whoever refers to it refers to nothing."""
    store.forget_secret(key)
    _psks(store).remove(key)


class KnownNodes(Struct, frozen=True):
    """This node and what it knows of the others. ``names`` tells how they call themselves, by their ids."""

    snapshot: Callable[[], Snapshot]
    key: NodeKey
    peers: Callable[[], Mapping[str, Pinned]]
    names: Callable[[], Mapping[str, str]]
