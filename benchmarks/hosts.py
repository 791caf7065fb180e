"""Fifty managed hosts on one Central Management: what they cost it, and how soon all of them follow.

The hosts are threads of this process. Each has a key, pairs, keeps its two connections, waits, fetches, checks hash and secrets
and reports as a node does, with the code of a node; only what a node then does by itself, a commit on its own host, is left out.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import psutil
import structlog

from benchmarks import ours
from benchmarks.measure import percentile
from benchmarks.process import free_port
from benchmarks.report import Table
from doorward import __version__
from doorward.cluster.apply_revision import check
from doorward.cluster.calls import Since
from doorward.cluster.client import CentralClient, Paired, pair
from doorward.cluster.connection import ChannelError, Way
from doorward.cluster.figures import figures
from doorward.cluster.follower import REPORT_SECONDS
from doorward.cluster.keys import NodeKey
from doorward.cluster.pairing import new_psk
from doorward.cluster.pins import PinnedPeer
from doorward.cluster.revisions import Envelope, Header
from doorward.cluster.statuses import NodeReport, utc
from doorward.configuration.aaa.local_database import users
from doorward.configuration.management import webinterface
from doorward.membership.nodes import MANAGED
from tests.support.members import NODES, STATUS, Member, started
from tests.support.server import Server, until

if TYPE_CHECKING:
    from benchmarks.bench import Bench

T = TypeVar("T")

_HOSTS, _ACCOUNTS, _CHANGES = 50, 1_000, 20
_IDLE_SECONDS, _QUICK_SECONDS = 60, 5
_SECONDS = 60.0
_PAUSE = 1.0
_FIRST = IPv4Address("127.0.1.0")


@dataclass
class Host:
    """A simulated managed host.

    ``at`` holds when (perf_counter) it had each cluster revision, and when it was known; ``failed`` counts calls that did
    not come off.
    """

    key: NodeKey
    id: str
    way: Way
    folder: Path
    psk: str = field(default_factory=new_psk, repr=False)
    applied: Header | None = None
    at: dict[int, tuple[float, float]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    links: list[CentralClient] = field(default_factory=list)
    failed: int = 0

    def asked(self) -> dict[str, Any]:
        """Return what Central Management accepts."""
        return {"address": self.way.source, "node_id": self.id, "psk": self.psk, "roles": []}

    def run(self) -> None:
        """Pair, then follow until it is stopped; what does not come off is tried again, as a node does."""
        made = self._tried(self._pair)
        if made is None:
            return
        peer = PinnedPeer(str(made.central_node_id), made.certificate)
        following, reporting = self.links[:] = [CentralClient(self.key, peer, self.way) for _ in range(2)]
        threading.Thread(target=self._report_often, args=(reporting,), daemon=True).start()
        while not self.stopping.is_set():
            self._tried(lambda: self._follow(following, str(made.cluster_id), reporting))

    def _tried(self, work: Callable[[], T]) -> T | None:
        """Do something until it comes off, or until this host is stopped."""
        while not self.stopping.is_set():
            try:
                return work()
            except ChannelError:
                self.failed += not self.stopping.wait(_PAUSE)
        return None

    def _pair(self) -> Paired:
        return pair(
            self.way, self.key, node_id=uuid.UUID(self.id), psk=self.psk, version=__version__, address=str(self.way.source)
        )

    def _since(self) -> Since | None:
        return Since(self.applied.epoch, self.applied.number) if self.applied else None

    def _follow(self, link: CentralClient, cluster_id: str, reporting: CentralClient) -> None:
        if link.head(self._since()) is None:
            return
        envelope = msgspec.convert(link.revision(self._since()), Envelope)
        check(envelope, self.applied, cluster_id)
        self.applied = envelope.header
        had = time.perf_counter()
        self._report(reporting)
        self.at[envelope.header.number] = had, time.perf_counter()

    def _report(self, link: CentralClient) -> None:
        now = time.time()
        link.status(
            NodeReport(
                f"{self.id}.invalid", __version__, self.way.source, now, self.applied, self.applied, utc(now), utc(now),
                health_status=figures(self.folder), central_address=self.way.addresses[0],
            )
        )  # fmt: skip

    def _report_often(self, link: CentralClient) -> None:
        while not self.stopping.wait(REPORT_SECONDS):
            self._tried(lambda: self._report(link))

    def stop(self) -> None:
        """End."""
        self.stopping.set()
        for link in self.links:
            link.close()


def hosts(bench: Bench) -> Table:
    """Fifty managed hosts and 1,000 accounts: joining at once, idling, following changes."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with ExitStack() as stack:
        central, port = stack.enter_context(_central(bench))
        process = psutil.Process(central.server.process.pid)  # type: ignore[union-attr]
        made = [_host(bench.place(f"host{number}"), central, port, number) for number in range(1, _HOSTS + 1)]
        before = process.memory_info().rss
        joining, cpu = _joined(central, process, made, stack)
        own = process.memory_info().rss - before
        seconds = _QUICK_SECONDS if bench.effort.rounds < 3 else _IDLE_SECONDS  # noqa: PLR2004 - a quick run
        idle = _cpu(process)
        time.sleep(seconds)
        idle = (_cpu(process) - idle) * 60 / seconds
        had, known, spent = _changes(central, process, made)
        grown = process.memory_info().rss - before
    rows: list[dict[str, Any]] = [
        {"figure": f"{_HOSTS} joining at once, until all are up-to-date, s", "value": joining},
        {"figure": "  CPU of Central Management, s", "value": cpu},
        {"figure": "idle, CPU of Central Management a minute, s", "value": idle},
        {"figure": "a change until one of them has it, p50 ms", "value": percentile(had, 0.5) * 1e3},
        {"figure": "  p95 ms", "value": percentile(had, 0.95) * 1e3},
        {"figure": "a change until Central Management knows of all, p50 ms", "value": percentile(known, 0.5) * 1e3},
        {"figure": "  p95 ms", "value": percentile(known, 0.95) * 1e3},
        {"figure": "  CPU of Central Management a change, ms", "value": spent * 1e3},
        {"figure": "calls that had to be made again", "value": sum(host.failed for host in made)},
        {"figure": "memory of Central Management a host, after joining, kB", "value": own / _HOSTS / 1e3},
        {"figure": "  after all the changes, kB", "value": grown / _HOSTS / 1e3},
    ]
    return Table("hosts", f"{_HOSTS} simulated managed hosts, {_ACCOUNTS:,} accounts, {_CHANGES} changes", rows)


@contextmanager
def _central(bench: Bench) -> Iterator[tuple[Member, int]]:
    """Central Management with many accounts, on the core of the servers."""
    port, own = free_port(), os.sched_getaffinity(0)
    place = bench.place("centre")
    server = Server(place, plain=True, options=("--listen", "127.0.0.1:0", "--cluster-port", str(port)))
    with ExitStack() as stack:
        os.sched_setaffinity(0, {bench.core})  # the server inherits it
        try:
            (central,) = stack.enter_context(started([Member(place, "127.0.0.1", server)]))
        finally:
            os.sched_setaffinity(0, own)
        for number in range(_ACCOUNTS):
            central.ok("POST", users.PATH, ours.account(number))
        central.commit()
        yield central, port


def _host(folder: Path, central: Member, port: int, number: int) -> Host:
    folder.mkdir(parents=True)
    node_id = str(uuid.uuid4())
    return Host(NodeKey.at(folder, node_id), node_id, Way((central.address,), port, str(_FIRST + number)), folder)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _joined(central: Member, process: psutil.Process, made: list[Host], stack: ExitStack) -> tuple[float, float]:
    """Accept all in one commit while they ask; return seconds and CPU seconds until the last one is up-to-date."""
    for host in made:
        central.ok("POST", NODES, host.asked())
        central.ok("PUT", f"{NODES}/{host.id}", {"address": host.way.source, "roles": [MANAGED, "search-local"]})
        stack.callback(host.stop)
    central.commit()
    began, cpu = time.perf_counter(), _cpu(process)
    for host in made:
        threading.Thread(target=host.run, daemon=True).start()

    def all_there() -> bool:
        items: list[Any] = central.shown(STATUS)["items"]
        return [item["sync_status"] for item in items].count("up-to-date") == len(made)

    until(all_there, _SECONDS)
    return time.perf_counter() - began, _cpu(process) - cpu


def _changes(central: Member, process: psutil.Process, made: list[Host]) -> tuple[list[float], list[float], float]:
    """Change something often; return seconds until each host has it, until all is known, CPU seconds a change."""
    had, known, values = list[float](), list[float](), itertools.count(11)
    cpu = _cpu(process)
    for _ in range(_CHANGES):
        before = max(host.applied.number for host in made if host.applied)
        central.ok("PUT", webinterface.PATH, {**central.body(webinterface.PATH), "timeout": next(values)})
        began = time.perf_counter()
        central.commit()
        until(lambda: all(max(host.at) > before for host in made), _SECONDS)  # noqa: B023 - called at once
        had += [host.at[max(host.at)][0] - began for host in made]
        known.append(max(host.at[max(host.at)][1] for host in made) - began)
    return had, known, (_cpu(process) - cpu) / _CHANGES
