"""Whom this node is paired with, kept through restarts: certificates, tombstones, and how long secrets of pairings live."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from doorward.cluster.pairing import PSK_SECONDS, PskLife
from doorward.store.port import Record, Store

TOMBSTONE_SECONDS = 30 * 86_400
"""How long a removed node is told so."""

_PEER, _PSK = "cluster_peer", "cluster_psk"


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
        self._store = store
        self._peers = {record.id: _pinned(record) for record in store.records(_PEER)}
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
                self._keep(replace(found, removed=now))

    def forget(self, node_ids: Iterable[str]) -> None:
        """Forget peers altogether."""
        for node_id in node_ids:
            with self._changing:
                self._store.remove_record(_PEER, node_id)
                self._peers = {key: peer for key, peer in self._peers.items() if key != node_id}

    def over(self, now: float) -> list[str]:
        """Return the nodes whose tombstone has stood long enough."""
        return [p.id for p in self._peers.values() if p.removed is not None and now - p.removed > TOMBSTONE_SECONDS]

    def _keep(self, peer: Pinned) -> None:
        certificate = base64.b64encode(peer.certificate).decode()
        body = {"at": peer.at, "certificate": certificate, "psk": peer.psk, "removed": peer.removed}
        with self._changing:
            self._store.put_record(Record(_PEER, peer.id, body))
            self._peers = {**self._peers, peer.id: peer}


def _pinned(record: Record) -> Pinned:
    body: dict[str, Any] = record.body
    return Pinned(record.id, base64.b64decode(body["certificate"]), body["at"], body["removed"], body["psk"])


def psk_life(store: Store, key: str, now: float) -> PskLife:
    """Return how long a psk lives. Its time begins when it is first asked for, which is at its commit or the start after it.

    One that would live longer than any was given its time by a clock that has been set back since: its day begins anew.
    """
    found = store.record(_PSK, key)
    if found is None:
        store.put_record(Record(_PSK, key, {"pinned": None, "pinned_at": 0.0, "until": now + PSK_SECONDS}))
        return PskLife(now + PSK_SECONDS)
    body = found.body
    if body["until"] > now + PSK_SECONDS or body["pinned_at"] > now:
        body = {**body, "pinned_at": min(body["pinned_at"], now), "until": min(body["until"], now + PSK_SECONDS)}
        store.put_record(Record(_PSK, key, body))
    return PskLife(body["until"], bytes.fromhex(body["pinned"]) if body["pinned"] else None, body["pinned_at"])


def used(store: Store, key: str, life: PskLife, fingerprint: bytes, now: float) -> None:
    """Note that a psk has paired; from now on it is good for that certificate alone."""
    if life.pinned is None:
        store.put_record(Record(_PSK, key, {"pinned": fingerprint.hex(), "pinned_at": now, "until": life.until}))


def psks(store: Store) -> list[str]:
    """Return the keys of the psks whose time is running."""
    return [record.id for record in store.records(_PSK)]


def destroy(store: Store, key: str) -> None:
    """Destroy a psk; whoever refers to it refers to nothing."""
    store.forget_secret(key)
    store.remove_record(_PSK, key)
