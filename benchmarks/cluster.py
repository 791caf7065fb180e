"""A change on Central Management until five managed hosts run it, beside an etcd with five watches.

A managed host has journalled, applied and verified the change when it says that it took it; a watch of etcd has only heard of
it. So etcd is the floor, what the way alone costs, and no rival.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING

from benchmarks import peers
from benchmarks.measure import in_turns, percentile, ratio
from benchmarks.process import free_port
from benchmarks.report import Table
from doorward.configuration.management import webinterface
from tests.support.members import STATUS, Member, started
from tests.support.server import Server, until

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_NODES = 5
_KEY = "/watched"
_SECONDS = 30.0

Delays = list[float]
"""Seconds from the order to each of the five."""


def following(bench: Bench) -> Table:
    """A change on Central Management until five managed hosts run it; etcd until five watches hear of it."""
    with ExitStack() as stack:
        ours = stack.enter_context(_managed(bench))
        theirs = stack.enter_context(_watched(bench))
        ours(), theirs()
        times = in_turns({"Doorward": ours, "etcd": theirs}, bench.effort.proven)
    rows = []
    for of, chosen in (("one of five", statistics.median), ("the last of five", max)):
        for party, delays in times.items():
            mine, floor = ([chosen(one) for one in found] for found in (delays, times["etcd"]))
            rows.append(
                {
                    "party": f"{party}, {of}",
                    "p50 ms": 1000 * percentile(mine, 0.5),
                    "p95 ms": 1000 * percentile(mine, 0.95),
                    "p50 : etcd": ratio(mine, floor),
                }
            )
    return Table("following", "A change on Central Management until managed hosts run it", rows)


@contextmanager
def _managed(bench: Bench) -> Iterator[Callable[[], Delays]]:
    """Give a function that makes one change and waits for five managed hosts."""
    port, own = free_port(), os.sched_getaffinity(0)
    with ExitStack() as stack:

        def member(number: int) -> Member:
            address, place = f"127.0.0.{number}", bench.place(f"member{number}")
            options = ("--listen", f"{address}:0", "--cluster-port", str(port))
            return Member(place, address, Server(place, options=options))

        os.sched_setaffinity(0, {bench.core})  # the servers inherit it
        try:
            central, *nodes = stack.enter_context(started([member(number) for number in range(1, _NODES + 2)]))
        finally:
            os.sched_setaffinity(0, own)
        for node in nodes:
            node.join(central, "managed-host", "search-local")
        values = itertools.count(11)

        def settled() -> bool:
            items = central.shown(STATUS)["items"]
            return all(item["sync_status"] in {"n/a", "up-to-date"} for item in items)

        def change() -> Delays:
            until(settled, _SECONDS)
            value = {**central.client.body(webinterface.PATH), "timeout": next(values)}
            assert central.client.put(webinterface.PATH, value).status_code == 200  # noqa: PLR2004, S101 - HTTP's number
            taken = [_taken(node) for node in nodes]
            began = time.time()
            central.client.commit()
            until(lambda: all(len(_taken(node)) > len(old) for node, old in zip(nodes, taken, strict=True)), _SECONDS)
            if any(node.client.body(webinterface.PATH) != value for node in nodes):
                raise RuntimeError("a managed host has another value")
            return [_taken(node)[-1] - began for node in nodes]

        yield change


def _taken(node: Member) -> Delays:
    """Return when a managed host had taken what came, by its log: to ask it would take the core on which it works."""
    lines = [line for line in list(node.server.errors) if '"a cluster revision was taken"' in line]
    return [datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp() for line in lines]


@contextmanager
def _watched(bench: Bench) -> Iterator[Callable[[], Delays]]:
    """Give a function that puts one value into etcd and waits for five watches."""
    with bench.servers() as kept, ExitStack() as stack:
        etcd = kept(peers.Etcd(bench.place("watched"), bench.core))
        heard: list[float] = []
        for _ in range(_NODES):
            watch = stack.enter_context(_watch(etcd.port))
            threading.Thread(target=_listen, args=(watch, heard), daemon=True).start()
        connection, values = etcd.connection(), itertools.count()

        def change() -> Delays:
            heard.clear()
            began = time.perf_counter()
            peers.put(connection, _KEY, next(values))
            until(lambda: len(heard) == _NODES, _SECONDS)
            return [at - began for at in heard]

        yield change
        connection.close()


@contextmanager
def _watch(port: int) -> Iterator[socket.socket]:
    """Open a watch and wait until it stands."""
    order = json.dumps({"create_request": {"key": base64.b64encode(_KEY.encode()).decode()}}).encode()
    with socket.create_connection(("127.0.0.1", port), _SECONDS) as watch:
        head = f"POST /v3/watch HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(order)}\r\n\r\n"
        watch.sendall(head.encode() + order)
        answer = b""
        while b'"created":true' not in answer:
            answer += watch.recv(1 << 16)
        yield watch
        watch.shutdown(socket.SHUT_RDWR)


def _listen(watch: socket.socket, heard: list[float]) -> None:
    watch.settimeout(None)
    with suppress(OSError):  # the end of etcd
        while data := watch.recv(1 << 16):
            at = time.perf_counter()
            if b'"events"' in data:
                heard.append(at)
