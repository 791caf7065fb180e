"""How Central Management pairs with nodes that were accepted: by secrets that live until they have done their work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from uuid import UUID

from doorward.cluster.keys import NodeKey, fingerprint
from doorward.cluster.pairing import Acceptance, PairAnswer, PairedCentral, PairingRefusedError, PairRequest
from doorward.cluster.peers import Peers, destroy, psk_life, used
from doorward.cluster.statuses import NodeIssue
from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, Pipeline
from doorward.tree.places import Place
from doorward.tree.plaintext import plain
from doorward.tree.times import SystemClock


class NodePairing:
    """Called in any thread."""

    def __init__(
        self, pipeline: Pipeline, node_id: str, key: NodeKey, peers: Peers, *, clock: SystemClock, version: str
    ) -> None:  # fmt: skip
        self._pipeline, self._store, self._node_id, self._key, self._peers = pipeline, pipeline.store, node_id, key, peers
        self._clock, self._version = clock, version
        self._lock = threading.Lock()
        self._trials: dict[str, NodeIssue] = {}
        self._skews: dict[str, float] = {}
        self.pinned: Callable[[], None] = lambda: None
        """Called when another peer is trusted."""

    def trouble(self, node_id: str) -> NodeIssue | None:
        """Return how the last attempt to pair with a node went, where it went badly."""
        return self._trials.get(node_id)

    def skew(self, node_id: str) -> float | None:
        """Return by how many seconds the clock of a node was ahead when it paired, or tried to."""
        return self._skews.get(node_id)

    def forget(self, node_id: str) -> None:
        """Forget a node that was removed."""
        self._trials.pop(node_id, None)
        self._skews.pop(node_id, None)

    def answer(self, request: PairRequest) -> PairAnswer:
        """Prove to know the psk of an accepted node and pin its certificate. Raises PairingRefusedError."""
        known, now = cluster_role(self._pipeline.running.snapshot), self._clock.time()
        if known.state != "central":
            raise PairingRefusedError("not_accepted")
        node_id = str(request.node_id)
        central = PairedCentral(self._version, self._key.fingerprint, UUID(known.cluster_id), UUID(self._node_id))
        with self._lock:
            psk = self._psk(node_id)
            life = psk_life(self._store, psk, now) if psk else None
            text = self._pipeline.secrets.text(psk) if psk else None
            acceptance = None
            if life is not None and text is not None:
                acceptance = Acceptance(request.node_id, text, life)
            try:
                answer = central.answer(request, acceptance, now)
            except PairingRefusedError as refused:
                self._tried(node_id, request, refused, now)
                raise
            if psk is None or life is None:
                raise PairingRefusedError("not_accepted")
            if life.pinned is None:
                self._peers.pin(node_id, request.certificate, now)
                used(self._store, psk, life, fingerprint(request.certificate), now)
            self._trials.pop(node_id, None)
            self._skews[node_id] = request.time.timestamp() - now
        self.pinned()
        return answer

    def _psk(self, node_id: str) -> str | None:
        """Return the key of the psk of a node that was accepted for good."""
        member = self._pipeline.running.snapshot.find(nodes.NODE, node_id)
        if member is None or member.psk is None or self._store.confirmation() is not None:
            return None
        return member.psk.key

    def _tried(self, node_id: str, request: PairRequest, refused: PairingRefusedError, now: float) -> None:
        if refused.code == "version_mismatch":
            message = f"The node runs {plain(request.version, 64)}, Central Management {self._version}."
            self._trials[node_id] = NodeIssue("version_mismatch", message)
            self._skews[node_id] = request.time.timestamp() - now
        elif refused.psk_differs:
            self._trials[node_id] = NodeIssue("psk_mismatch", "Somebody tried to pair as this node with another secret.")

    def retire(self, node_id: str) -> None:
        """Destroy the psk of a node that came with its certificate, or whose time is over. In the commit thread."""
        place = Place(nodes.PATH, node_id)
        member = self._pipeline.running.snapshot.find(nodes.NODE, node_id)
        if member is None or member.psk is None or self._store.confirmation() is not None:
            return
        psk, now = member.psk.key, self._clock.time()
        life = psk_life(self._store, psk, now)
        # A node may be known by a secret of before, and have yet to pair by this one.
        paired = life.pinned is not None and self._peers.paired(node_id)
        if not paired and not life.over(now):
            return
        candidate = Candidate.on(self._pipeline.running)
        candidate.put(place, self._pipeline.tree.load(place, member.model_dump(mode="json") | {"psk": None}))
        why = f"Paired with node {node_id}." if paired else f"The time to pair with node {node_id} is over."
        self._pipeline.commit(candidate, Order(SYSTEM, "", why, when_guarded="pass"))
        destroy(self._store, psk)
        self._trials.pop(node_id, None)

    def due(self) -> list[str]:
        """Return the nodes whose psk has come to its end."""
        now = self._clock.time()
        return [
            key
            for key, member in self._pipeline.running.snapshot.each(nodes.NODE)
            if member.psk and psk_life(self._store, member.psk.key, now).over(now)
        ]
