"""The node's side at work: asks to be paired, follows its Central Management, reports (contract, sections 4, 6.3 and 9)."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import structlog

from doorward.areas.area import Issue
from doorward.areas.worker import Worker
from doorward.cluster.apply_revision import AUTHOR, NotAppliedError
from doorward.cluster.contact import Contact
from doorward.cluster.following import Following, StoppingError
from doorward.cluster.peers import Peers, Pinned, destroy, psk_life
from doorward.cluster.port import CentralRefusedError, Connector, RemovedError, ReportingLink
from doorward.cluster.statuses import NodeReport, utc
from doorward.configuration.local_services.cluster import listen_address
from doorward.events.alarm import Alarm
from doorward.events.events import Events
from doorward.membership import ROOT, join_request, nodes
from doorward.membership.cluster_role import ClusterRole, cluster_role
from doorward.transaction.candidate import Candidate
from doorward.transaction.order import Order
from doorward.transaction.pipeline import SYSTEM, Pipeline
from doorward.tree.places import Place

log = structlog.get_logger()

WAIT_SECONDS = 25.0
REPORT_SECONDS = 10.0
LOST_SECONDS = 60.0
SOON_SECONDS, SOON_FOR_SECONDS, LATER_SECONDS = 2.0, 300.0, 30.0
"""A join request is tried every 2 s for 5 minutes, then every 30 s."""
_MAX_BACKOFF = 30.0
_STOP_SECONDS = 1.0
"""A call that can't be cut, an attempt to pair, is not waited for: nothing that lasts depends on how it ends."""


class Follower:
    """Two workers: one asks and takes, the other reports. Both idle while there is nothing to follow."""

    def __init__(
        self,
        pipeline: Pipeline,
        following: Following,
        peers: Peers,
        *,
        connector: Connector,
        report: Callable[[], NodeReport],
        events: Events,
    ) -> None:
        self._pipeline, self._following, self._peers, self._connector = pipeline, following, peers, connector
        self._report, self._events, self._clock = report, events, following.clock
        self.exchange: Callable[[ReportingLink], None] = lambda _link: None
        """Called after each report of a managed host: what travels beside the configuration."""
        self._failures = 0
        self.contact = Contact()
        self._lost = Alarm(events, "cluster_central_lost", f"{ROOT}/status")
        self._stopping = following.stopping
        self._links: dict[str, tuple[Any, ReportingLink]] = {}
        self._asked_since: tuple[str, float] = ("", 0.0)
        self._asking = Worker("cluster-follow", self.turn, stop_seconds=_STOP_SECONDS)
        self._reporting = Worker("cluster-report", self.push, stop_seconds=_STOP_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._asking.start()
        self._reporting.start()

    def stop(self) -> None:
        """End; what waits for Central Management is given up."""
        self._stopping.set()
        self.wake()
        self._cut("report")
        self._asking.stop()
        self._reporting.stop()

    def wake(self) -> None:
        """Look again at what the node is: it asks to join, has left, or knows another address."""
        self._asking.wake()
        self._reporting.wake()
        self._cut("follow")

    def report_soon(self) -> None:
        """Tell Central Management that there is something new."""
        self._reporting.wake()

    # Asking and taking

    def turn(self) -> float | None:
        """Ask once and take what is new; return after how many seconds to ask again, None: when there is news."""
        known = self._known()
        if known.state not in {"requested", "joined"}:
            return None
        try:
            pause = self._asked(known)
        except StoppingError:
            return None
        except NotAppliedError as refused:
            log.error("the membership was not taken", reason=str(refused))
            return _MAX_BACKOFF
        except Exception:
            log.exception("following Central Management failed")
            return _MAX_BACKOFF
        return pause

    def _asked(self, known: ClusterRole) -> float:
        try:
            pause = self._pair(known) if known.state == "requested" else self._step(known)
        except CentralRefusedError as refused:
            self._failures += 1
            self._went_badly(refused)
            return self._again_in(known, self._failures)
        except RemovedError:
            self._was_removed(known)
            return 0.0
        self._failures = 0
        return pause

    def _known(self) -> ClusterRole:
        return cluster_role(self._pipeline.running.snapshot)

    def _again_in(self, known: ClusterRole, failures: int) -> float:
        if known.state == "requested":
            return self._pairing_pause(known)
        return min(_MAX_BACKOFF, 2.0 ** min(failures - 1, 8)) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads nodes

    def _pairing_pause(self, known: ClusterRole) -> float:
        psk, since = self._asked_since
        if psk != known.psk:
            since = self._clock.monotonic()
            self._asked_since = known.psk or "", since
        return SOON_SECONDS if self._clock.monotonic() - since < SOON_FOR_SECONDS else LATER_SECONDS

    def _pair(self, known: ClusterRole) -> float:
        """Try once to be paired, and to be told who else is there; a good answer makes the node a member."""
        psk = known.psk
        if psk is None:  # the request is no longer open
            return 0.0
        now, store = self._clock.time(), self._pipeline.store
        if store.confirmation() is not None:
            return 1.0
        text = self._pipeline.secrets.text(psk)
        if text is None or psk_life(store, psk, now).over(now):
            self._following.when_nothing_awaits(self._expired, known)
            return 0.0
        self.contact = self.contact.tried(self._clock)
        self._become_member(known, psk, text)
        destroy(store, psk)
        self._went_well()
        self._reporting.wake()
        log.info("joined a cluster", central=self._known().central_node_id)
        return 0.0

    def _become_member(self, known: ClusterRole, psk: str, text: str) -> None:
        """Pair, unless that was done before a crash, and be told who is there: the first good answer makes the node a member."""
        own = self._listen_address()
        for pinned in list(self._peers.all().values()):
            try:
                self._join(known, pinned, own)
            except (CentralRefusedError, RemovedError):
                log.info("Central Management does not know this node any more; it pairs again", central=pinned.id)
            else:
                return
        central, certificate = self._connector.pair(known.central_addresses, text, own)
        self._peers.forget([key for key in self._peers.all() if key != central])
        self._peers.pin(central, certificate, self._clock.time(), psk)
        self._join(known, self._peers.all()[central], own)

    def _join(self, known: ClusterRole, central: Pinned, own: str | None) -> None:
        link = self._connector.connect(known.central_addresses, central, own)
        try:
            self._following.join(link, known)
        finally:
            link.close()

    def _step(self, known: ClusterRole) -> float:
        link = self._linked(known, "follow")
        if self._asking.is_woken:
            return 0.0
        self.contact = self.contact.tried(self._clock)
        well = self.contact.good is not None and self.contact.reason is None
        wait = WAIT_SECONDS if well else 0.0  # at first, and after a failure, it counts that there is an answer at all
        if self._following.step(link, wait, self._went_well):
            self._reporting.wake()
        self._went_well()
        return 0.0

    def _linked(self, known: ClusterRole, slot: str) -> ReportingLink:
        """Return the link of a thread, a new one where addresses or the certificate of Central Management are others by now."""
        pinned = self._peers.all().get(known.central_node_id or "")
        if pinned is None:
            raise CentralRefusedError("pin_mismatch", "no certificate of Central Management is kept")
        now = known.central_addresses, pinned, self._listen_address()
        kept = self._links.get(slot)
        if kept is not None and kept[0] == now:
            return kept[1]
        if kept is not None:
            kept[1].close()
        link = self._connector.connect(*now)
        self._links[slot] = now, link
        return link

    def _cut(self, slot: str) -> None:
        """Give a link up; a call that waits fails, and the next one makes another link."""
        if (kept := self._links.pop(slot, None)) is not None:
            kept[1].close()

    def _listen_address(self) -> str | None:
        return listen_address(self._pipeline.running.snapshot)

    def _went_well(self) -> None:
        if self.contact.since is not None:  # Central Management is back; it may have missed the last report
            self._reporting.wake()
        self.contact = self.contact.well(self._clock)

    def _went_badly(self, refused: CentralRefusedError) -> None:
        if self._stopping.is_set() or self._asking.is_woken:  # given up by ourselves
            return
        before = self.contact
        self.contact = before.badly(refused.reason, self._clock)
        if before.reason != refused.reason:
            log.warning("Central Management does not answer as it should", reason=str(refused))

    # What ends a membership

    def _expired(self) -> None:
        """The time to pair is over; the request has failed. In the commit thread."""
        place = Place(join_request.PATH)
        document = self._pipeline.running.snapshot.document(place)
        if document is not None:
            candidate = Candidate.on(self._pipeline.running)
            candidate.put(place, self._pipeline.tree.load(place, document.value | {"psk": None}))
            self._pipeline.commit(candidate, Order(SYSTEM, "", "The time to join is over.", when_guarded="pass"))

    def _was_removed(self, known: ClusterRole) -> None:
        """Turn standalone; the configuration stays and is the node's own."""

        def work() -> None:
            self._following.note_removed(removed=True)
            candidate = Candidate.on(self._pipeline.running)
            candidate.put(Place(join_request.PATH), self._pipeline.tree.load(Place(join_request.PATH), None))
            for key in list(candidate.snapshot.objects(nodes.PATH).order):
                candidate.remove(Place(nodes.PATH, key))
            candidate.from_central = True
            self._pipeline.commit(candidate, Order(AUTHOR, "", "Removed by Central Management.", when_guarded="pass"))

        self._following.when_nothing_awaits(work, known)
        text = "Central Management removed this node from the cluster; it keeps its configuration."
        self._events.raise_("cluster_central_lost", text, f"{ROOT}/join_request")

    # Reporting

    def push(self) -> float | None:
        """Report once; return after how many seconds to report again, None: when there is something to report."""
        known = self._known()
        try:
            if known.state == "joined":
                self._push_once(known)
            self._watch(known)
        except Exception:
            log.exception("reporting to Central Management failed")
        return REPORT_SECONDS if known.state == "joined" else None

    def _push_once(self, known: ClusterRole) -> None:
        try:
            link = self._linked(known, "report")
            link.report(self._report())
            if known.managed:
                self.exchange(link)
        except (CentralRefusedError, RemovedError) as refused:  # said by the other thread, which meets the same
            log.debug("no report", reason=str(refused))

    def _watch(self, known: ClusterRole) -> None:
        """Raise and end the alert that Central Management does not answer."""
        lost = self.lost_seconds(known)
        text = f"Central Management at {', '.join(known.central_addresses)} does not answer."
        self._lost.update(self._clock.monotonic(), begun=lost is not None and lost >= LOST_SECONDS, over=lost is None, text=text)

    def lost_seconds(self, known: ClusterRole | None = None) -> float | None:
        """Return for how long Central Management has not answered; None: it does, or there is none."""
        return self.contact.lost_seconds(self._clock) if (known or self._known()).state == "joined" else None

    def issues(self) -> list[Issue]:
        """Return what is wrong, for the health of the node."""
        found = []
        if self.contact.since is not None and self.lost_seconds() is not None:
            text = f"Central Management has not answered since {utc(self.contact.since)}: {self.contact.reason}."
            found.append(Issue(text, f"{ROOT}/status"))
        return found
