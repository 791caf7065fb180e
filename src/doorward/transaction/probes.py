"""What is known, when a commit answers, of the servers that it adds.

Time servers were asked in the background (time contract, section 1, checks 7 and 8); others are tried now, for a moment.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from doorward.host.ntp_probe import Prober, ProbeResult
from doorward.transaction.edits import DocumentEdit
from doorward.tree.nodes import Valued
from doorward.tree.problems import Problem
from doorward.tree.registry import Tree

FAR_SECONDS = 10.0
REACH_SECONDS = 2.0
PROBED = frozenset({"far_off", "no_answer", "unresolved_name", "unsynchronised"})
"""Codes of what was found at the moment of a commit."""
_UNSYNCHRONISED_STRATA = {0, 16}
_LEAP_UNKNOWN = 3


def probe_warnings(tree: Tree, edits: Iterable[DocumentEdit], prober: Prober) -> Iterator[Problem]:
    """Yield warnings about added hosts whose probe has ended. Never waits."""
    for edit in edits:
        node = tree[edit.place.path].node
        if not isinstance(node, Valued) or node.probe is None or edit.after is None:
            continue
        for at, host in node.probe(edit.before and edit.before.read(node), edit.after.read(node)):
            result = prober.found(host)
            if result is not None and (found := _judged(host, result)) is not None:
                yield Problem(found[0], found[1], at, edit.place.href)


def _judged(host: str, result: ProbeResult) -> tuple[str, str] | None:
    if not result.resolved:
        return "unresolved_name", f"{host} does not resolve yet; the daemon goes on trying."
    if not result.answered:
        return "no_answer", f"{host} did not answer within 2 s."
    if result.stratum in _UNSYNCHRONISED_STRATA or result.leap == _LEAP_UNKNOWN:
        return "unsynchronised", f"{host} says that it is not synchronised."
    if result.offset_seconds is not None and abs(result.offset_seconds) > FAR_SECONDS:
        return "far_off", f"{host} differs from this node's clock by {result.offset_seconds:.0f} s."
    return None


def reach_warnings(tree: Tree, edits: Iterable[DocumentEdit]) -> Iterator[Problem]:
    """Try the servers that were added, all at once, and yield warnings about those that did not answer within 2 s."""
    wanted: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for edit in edits:
        node = tree[edit.place.path].node
        if isinstance(node, Valued) and node.reach is not None and edit.after is not None:
            for at, host, port in node.reach(edit.before and edit.before.read(node), edit.after.read(node)):
                wanted.setdefault((host, port), []).append((at, edit.place.href))
    failed = _tried(wanted)
    for (host, port), places in wanted.items():
        why = failed.get((host, port))
        for at, href in places if why else []:
            where = f"port {port} of {host}" if port else host
            yield Problem("no_answer", f"No answer from {where}: {why}.", at, href)


def _tried(servers: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str | None]:
    """Return why each server did not answer; None: it did."""
    answers: SimpleQueue[tuple[tuple[str, int], str | None]] = SimpleQueue()
    found: dict[tuple[str, int], str | None] = dict.fromkeys(servers, "not within 2 seconds")
    for server in found:  # daemon threads: a resolver that hangs must not hold up the end of the process
        Thread(target=lambda server=server: answers.put((server, _tried_one(*server))), name="reach", daemon=True).start()
    end = time.monotonic() + REACH_SECONDS
    for _ in found:
        try:
            server, why = answers.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            break
        found[server] = why
    return found


def _tried_one(host: str, port: int) -> str | None:
    try:
        if port:
            socket.create_connection((host, port), REACH_SECONDS).close()
        else:
            socket.getaddrinfo(host, None)
    except socket.gaierror:
        return "the name does not resolve"
    except OSError as error:
        return (error.strerror or "not within 2 seconds").lower()
    return None
