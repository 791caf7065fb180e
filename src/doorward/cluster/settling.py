"""What is no configuration, brought in line with one that is for good: pins, tombstones, the ledger, psks, trust."""

from __future__ import annotations

import threading

import structlog

from doorward.cluster.central import Central
from doorward.cluster.channel import ChannelApp
from doorward.cluster.following import Following
from doorward.cluster.peers import Peers, destroy, psk_life, psks
from doorward.cluster.pins import PinnedPeer
from doorward.configuration import passwords
from doorward.membership import nodes
from doorward.membership.cluster_role import cluster_role
from doorward.transaction.candidate import Running
from doorward.transaction.confirmation import confirmed_revision
from doorward.transaction.pipeline import Pipeline
from doorward.tree.places import Place
from doorward.tree.times import SystemClock

log = structlog.get_logger()


class Settling:
    """Does what follows from a commit, or was left undone by a crash. Doing it twice does no harm."""

    def __init__(
        self, pipeline: Pipeline, central: Central, following: Following, peers: Peers, channel: ChannelApp, clock: SystemClock
    ) -> None:
        self._pipeline, self._central, self._following, self._peers = pipeline, central, following, peers
        self._channel, self._clock = channel, clock
        self._trusting = threading.Lock()
        self._settled: Running | None = None
        """The configuration with which everything else was brought in line last."""

    def again(self) -> None:
        """Do it once more, for what others have changed meanwhile."""
        if self._settled is not None:
            self.settle(self._settled)

    def confirmed(self) -> None:
        """Bring everything in line with what runs for good."""
        running = confirmed_revision(self._pipeline)
        if running is not None:
            self.settle(running)

    def settle(self, running: Running) -> None:
        """Bring what is no configuration in line with one that is for good. Does nothing the second time.

        Later ones may run by now: nodes are told of each of them, but what can't be taken back follows from the newest alone.
        """
        if self._settled is not None and running.number < self._settled.number:
            return  # what was found regularly was newer than what still waited
        self._settled = running
        self._remove()
        if cluster_role(running.snapshot).state == "central" and self._central.ledger.note(running):
            newest = self._central.ledger.newest
            log.info("a cluster revision", number=newest.header.number if newest else None)
        self._central.noted = running.number
        self.trust()

    def _remove(self) -> None:
        """Let go of peers and secrets that what runs for good has no use for any more."""
        # These first: what is there now was known to what runs then, or to what ran before.
        peers, kept = self._peers.all(), psks(self._pipeline.store)
        newest = confirmed_revision(self._pipeline)
        if newest is None:
            return
        now, known = self._clock.time(), cluster_role(newest.snapshot)
        if known.state == "central":
            members = set(newest.snapshot.objects(nodes.PATH).order)
            for key in [key for key in peers if key not in members]:
                self._peers.mark_removed(key, now)
                self._central.forget(key)
            self._peers.forget(self._peers.over(now))
        elif known.state != "joined":
            pinned = known.psk  # a crash may have come between the pin and the answer to the first question
            self._peers.forget([peer.id for peer in peers.values() if pinned is None or peer.psk != pinned])
            if self._following.sync != self._following.nothing:
                self._following.forget()
            if known.state != "standalone":
                self._following.note_removed(removed=False)
        if self._pipeline.store.confirmation() is None:  # else there may be others than those of what is for good
            self._destroy_psks(kept, newest, now)

    def _destroy_psks(self, kept: list[str], running: Running, now: float) -> None:
        """Let the time of new psks begin, and destroy those that nothing refers to any more."""
        snapshot = running.snapshot
        wanted = {known for known in [cluster_role(snapshot).psk] if known}
        wanted |= {member.psk.key for _, member in snapshot.each(nodes.NODE) if member.psk}
        for key in wanted:
            psk_life(self._pipeline.store, key, now)
        for key in kept:
            if key not in wanted and not snapshot.who_refers_to(Place(passwords.PATH, key).href):
                destroy(self._pipeline.store, key)

    def trust(self) -> None:
        """Tell the channel whom to trust, on a Central Management with the roles of which the nodes were told."""
        with self._trusting:  # two threads come here: the later to look must be the later to tell
            self._channel.trust(self.trusted())

    def trusted(self) -> list[PinnedPeer]:
        """Return whom the channel trusts."""
        newest = self._central.ledger.newest
        roles = {row.key: row.roles for row in newest.content.membership.nodes} if newest else {}
        central = {nodes.CENTRAL} if cluster_role(self._pipeline.running.snapshot).state != "central" else set()
        return [
            PinnedPeer(
                peer.id, peer.certificate, frozenset(central.union(roles.get(peer.id, ()))), removed=peer.removed is not None
            )
            for peer in self._peers.all().values()
        ]
