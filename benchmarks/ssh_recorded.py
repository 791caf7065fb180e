"""Recorded sessions through a whole node: what it does for others beside them, what they take, and how they are found again.

Users are light clients of the benchmark, the target is an asyncssh server that echoes; the node is ``doorward serve``.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from pathlib import Path
from ssl import create_default_context
from typing import TYPE_CHECKING, Any, Final

import psutil

from benchmarks.measure import Connection, percentile
from benchmarks.report import Table
from benchmarks.ssh import middle
from doorward.configuration.management import webinterface
from doorward.proxy.ssh.taps.trail import FRAME_MILLISECONDS
from doorward.proxy.ssh.wire.numbers import Message
from doorward.recording.keys import ContentKeys, in_clear
from doorward.recording.records import Record, RecordKind
from doorward.recording.writer import TrailWriter
from doorward.sessions.catalogue.rows import Facts
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.ports import free_port
from tests.support.raw_ssh import RawPeer, channel_request, data
from tests.support.recorded import key_of, put_trail, row, shell, told, trail
from tests.support.server import PASSWORD, Server, until
from tests.system.command_line import CommandLine
from tests.system.served import left_behind

if TYPE_CHECKING:
    from benchmarks.bench import Bench

BUSY: Final = 100
WARM: Final = 20
"""Sessions before memory is looked at: what the first ones take is not theirs alone."""
USER: Final = "bench"
HOUR: Final = 3600
LINES: Final = 100
"""Of each session that is searched."""
PACE: Final = 0.05
"""Seconds between commits, and between keys, of somebody who waits in between: still many times faster than people."""


@dataclass
class Node:
    """A node with a gateway on ``port`` before a target, and sessions of former days in its catalogue."""

    server: Server
    port: int
    target: int
    vocabulary: list[str]

    @property
    def login(self) -> str:
        """What a user of the gateway logs in as."""
        return f"{USER}@127.0.0.1:{self.target}"

    def header(self) -> dict[str, str]:
        """The header of a login session of its own."""
        client = self.server.login()
        return {"Cookie": "; ".join(f"{one.name}={one.value}" for one in client.http.cookies.jar)}

    def connection(self) -> Connection:
        """A connection to the API that is logged in."""
        return Connection(self.server.port, self.header(), self.server.certificate)

    def workers(self) -> list[psutil.Process]:
        """The processes that carry sessions."""
        return [psutil.Process(pid) for pid in left_behind(self.server.state)]


def _vocabulary() -> list[str]:
    dice = random.Random(1)  # noqa: S311 - the same words in every run
    return ["".join(dice.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(dice.randint(4, 9))) for _ in range(5000)]


def _fill(state: Path, sessions: int, vocabulary: list[str]) -> None:
    """Put sessions of former days into a state directory: lines of words, some of them frequent; one has a trail of 8 hours."""
    dice = random.Random(2)  # noqa: S311 - as above
    state.mkdir(mode=0o700)
    weights = [1 / (rank + 1) for rank in range(len(vocabulary))]
    catalogue = SqliteCatalogue(state / "sessions.db")

    async def fill() -> None:
        for number in range(1, sessions + 1):
            words = dice.choices(vocabulary, weights, k=LINES * 6)
            lines = [" ".join(words[at : at + 6]) for at in range(0, len(words), 6)]
            await told(catalogue, row(number), lines=lines)
        await catalogue.update(key_of(1), Facts(trail=put_trail(state / "trails", key_of(1), trail(shell(8 * HOUR)))))

    asyncio.run(fill())
    catalogue.close()


@contextmanager
def _node(folder: Path, sessions: int) -> Iterator[Node]:
    vocabulary, state, home = _vocabulary(), folder / "recorded", folder / "home"
    home.mkdir()
    _fill(state, sessions, vocabulary)
    with middle("echo", "0") as (target, _):
        server = Server(state, plain=True).start()
        try:
            node = Node(server, free_port(), target, vocabulary)
            cli = CommandLine(server, home)
            cli.ok("quickstart", "ssh", "--yes", "--port", str(node.port), node.login)
            cli.ok("set", "--yes", "ssh/options.limits", "{sessions: 20000, per_address: 20000}")
            yield node
        finally:
            server.stop()


def _milliseconds(work: Callable[[], object], count: int, pause: float = 0) -> list[float]:
    times = []
    for _ in range(count):
        time.sleep(pause)
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def _serve(node: Node, commits: int) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of commits one right after the other, of commits in the course of time, and of reads."""
    api, values = node.connection(), itertools.cycle(range(10, 1000))

    def commit() -> None:
        api.request("PUT", webinterface.PATH, {"timeout": next(values)})
        api.request("PUT", "/api/transaction", {"status": "commit"})

    found = (
        _milliseconds(commit, commits),
        _milliseconds(commit, commits, PACE),
        _milliseconds(lambda: api.request("GET", webinterface.PATH), 5 * commits),
    )
    api.close()
    return found


def _echo(port: int, user: str, keys: int, pause: float = 0.002) -> list[float]:
    """Milliseconds from a key to its echo."""
    peer = RawPeer.connect(port)
    peer.login(user, PASSWORD)
    channel = peer.open_session()
    peer.send(channel_request(channel, "exec", b"\0\0\0\3cat"))
    peer.until(Message.CHANNEL_SUCCESS)

    def key() -> None:
        peer.send(data(channel, b"x"))
        peer.until(Message.CHANNEL_DATA)

    times = _milliseconds(key, keys, pause)
    peer.close()
    return times


def _idle(node: Node, count: int) -> tuple[float, float]:
    """Kilobytes of all workers, and of control, for each session that does nothing."""
    control = psutil.Process(node.server.process.pid if node.server.process else 0)

    def memory() -> tuple[int, int]:
        return sum(one.memory_full_info().uss for one in node.workers()), control.memory_full_info().uss

    def session() -> RawPeer:
        peer = RawPeer.connect(node.port)
        peer.login(node.login, PASSWORD)
        channel = peer.open_session()
        peer.send(channel_request(channel, "exec", b"\0\0\0\3cat"))
        peer.until(Message.CHANNEL_SUCCESS)
        return peer

    warm = [session() for _ in range(WARM)]
    before = memory()
    peers = [session() for _ in range(count)]
    after = memory()
    for peer in (*warm, *peers):
        peer.close()
    return (after[0] - before[0]) / count / 1000, (after[1] - before[1]) / count / 1000


def _search(node: Node, count: int) -> list[float]:
    """Milliseconds of a page of 50 for a word, by chance from the whole vocabulary."""
    api, dice = node.connection(), random.Random(3)  # noqa: S311 - as above
    path = "/api/audit/sessions?limit=50&q="
    times = _milliseconds(lambda: api.request("GET", path + dice.choice(node.vocabulary)), count)
    api.close()
    return times


def _seek(node: Node, count: int) -> list[float]:
    """Milliseconds until the replay of a trail of 8 hours begins at a second by chance."""
    dice, context, header = random.Random(4), create_default_context(cafile=str(node.server.certificate)), node.header()  # noqa: S311

    def seek() -> None:
        connection = HTTPSConnection("127.0.0.1", node.server.port, context=context)
        path = f"/api/audit/sessions/{key_of(1)}/replay?channel=1&from={dice.randrange(8 * HOUR)}"
        connection.request("GET", path, headers=header)
        answer = connection.getresponse()
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise RuntimeError(f"{path}: {answer.status} {answer.read(500)!r}")
        answer.read(1000)
        connection.close()

    return _milliseconds(seek, count)


def _typed() -> float:
    """Kilobytes of the trail of an hour: a command each 16 s, twelve lines of output for it, frames as a worker cuts them."""
    dice, words = random.Random(5), _vocabulary()  # noqa: S311 - as above
    weights = [1 / (rank + 1) for rank in range(len(words))]
    records = shell(0)[:2]
    for at in range(0, HOUR * 1000, 16_000):
        for index, letter in enumerate(" ".join(dice.choices(words, weights, k=3))):
            when = at + 150 * index
            records += [
                Record(when, RecordKind.INPUT, 1, letter.encode()),
                Record(when + 1, RecordKind.OUTPUT, 1, letter.encode()),
            ]
        text = "\r\n".join(" ".join(dice.choices(words, weights, k=8)) for _ in range(12))
        records.append(Record(at + 8000, RecordKind.OUTPUT, 1, f"\r\n{text}\r\n$ ".encode()))
    keys = ContentKeys.fresh()
    blocks = {"screen": in_clear(keys.screen or b""), "keystrokes": in_clear(keys.keystrokes or b"")}
    writer, due = TrailWriter({"session": "bench", "started": "2026-11-30T10:00:00Z"}, blocks, keys, tuple), 0
    size = len(writer.head)
    for record in sorted(records, key=lambda record: record.at):
        if record.at >= due:
            size += sum(map(len, writer.flush()))
            due = record.at + FRAME_MILLISECONDS
        size += sum(map(len, writer.write(record)))
    return (size + sum(map(len, writer.close({"reason": "client"}, HOUR * 1000)))) / 1000


def ssh_recorded(bench: Bench) -> Table:
    """Commits, reads and keys beside recorded sessions, idle sessions, searches, the begin of replays, the size of a trail."""
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    is_quick = bench.effort.rounds < 5  # noqa: PLR2004 - of the usual effort
    sessions, idle, commits = (200, 100, 30) if is_quick else (3000, 2000, 150)
    rows: list[dict[str, Any]] = []

    def add(what: str, times: list[float], alone: list[float] | None = None) -> None:
        rows.append(
            {
                "what": what, "p50": statistics.median(times), "p95": percentile(times, 0.95), "p99": percentile(times, 0.99),
                "p95 : alone": percentile(times, 0.95) / percentile(alone, 0.95) if alone else "",
            }
        )  # fmt: skip

    with _node(bench.folder, sessions) as node, ExitStack() as stack:
        words = f"of {sessions:,} sessions, {sessions * LINES:,} lines"
        add(f"search for a word {words}, ms", _search(node, 100))
        add("begin of a replay, any second of 8 hours, ms", _seek(node, 40))
        workers, control = _idle(node, idle)
        until(lambda: not _live(node), what="the end of idle sessions")
        commits_alone, paced_alone, reads_alone = _serve(node, commits)
        direct_alone, alone = _echo(node.target, USER, 300), _echo(node.port, node.login, 300)
        # In a process of their own: here they would hold up the one that measures.
        stack.enter_context(middle("typists", str(node.port), node.login, str(BUSY)))
        commits_beside, paced_beside, reads_beside = _serve(node, commits)
        direct, beside = _echo(node.target, USER, 300), _echo(node.port, node.login, 300)
        direct_paced, beside_paced = _echo(node.target, USER, 400, PACE), _echo(node.port, node.login, 400, PACE)
        add("commit, ms", commits_alone)
        add(f"commit beside {BUSY} typing, ms", commits_beside, commits_alone)
        add(f"commit every {PACE} s, ms", paced_alone)
        add(f"commit every {PACE} s beside {BUSY} typing, ms", paced_beside, paced_alone)
        add("read, ms", reads_alone)
        add(f"read beside {BUSY} typing, ms", reads_beside, reads_alone)
        add("key to echo, direct, ms", direct_alone)
        add("key to echo, recorded, ms", alone)
        add(f"key to echo beside {BUSY} typing, direct, ms", direct, direct_alone)
        add(f"key to echo beside {BUSY} typing, recorded, ms", beside, alone)
        add(f"key every {PACE} s to echo beside {BUSY} typing, direct, ms", direct_paced)
        add(f"key every {PACE} s to echo beside {BUSY} typing, recorded, ms", beside_paced)
    for what, value in (
        (f"memory of workers for one of {idle} idle sessions, kB", workers),
        (f"memory of control for one of {idle} idle sessions, kB", control),
        ("trail of an hour of typing, kB", _typed()),
    ):
        rows.append({"what": what, "p50": value, "p95": "", "p99": "", "p95 : alone": ""})
    load = " ".join(f"{figure:.1f}" for figure in os.getloadavg())
    return Table("ssh_recorded", f"Recorded SSH sessions through a whole node; load at the end {load}", rows)


def _live(node: Node) -> bool:
    api = node.connection()
    found = api.request("GET", "/api/audit/sessions?limit=1&q=active:true").json()["items"]
    api.close()
    return bool(found)
