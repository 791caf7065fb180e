"""What is measured. Each scenario starts the servers it compares, lets them take turns, and returns a table."""

from __future__ import annotations

import compileall
import itertools
import statistics
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import doorward
from benchmarks import measure, ours, peers
from benchmarks.backup_runs import backup_runs
from benchmarks.backup_targets import backup_targets
from benchmarks.bench import Bench
from benchmarks.cluster import following
from benchmarks.hosts import hosts
from benchmarks.measure import Connection, in_turns, percentile, ratio_of_medians, spread_of_ratios
from benchmarks.ours import Doorward
from benchmarks.recovery import recovery
from benchmarks.report import Table
from benchmarks.ssh import ssh_relay
from benchmarks.ssh_files import ssh_files
from benchmarks.ssh_recorded import ssh_recorded
from doorward.configuration.aaa.local_database import users
from doorward.configuration.datetime import ntp_servers
from doorward.configuration.management import webinterface

ACCOUNTS = (10, 1_000, 10_000)
MANY = 1_000
MOST = 9_900


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of the changes of one round: of the commit alone, and with the write before it."""

    commit: list[float]
    both: list[float]


def reading(bench: Bench) -> Table:
    """GET of the time servers, logged in, 16 keep-alive connections. At least five rounds: one alone says little.

    The rate is what a client sees. The processor time of the server for a request hardly depends on what else the machine does.
    """
    with bench.servers() as kept:
        plain = kept(Doorward(bench.place("plain"), bench.core))
        secure = kept(Doorward(bench.place("secure"), bench.core, plain=False))
        login, secure_login = plain.log_in(), secure.log_in()
        with closing(Connection(plain.port, login)) as connection:
            size = len(connection.request("GET", ntp_servers.PATH).body)
        caddy = kept(peers.Caddy(bench.place("caddy"), bench.core, answer_size=size))
        logging = kept(peers.Caddy(bench.place("caddy-logging"), bench.core, answer_size=size, logging=True))
        sizes = {len(caddy.answer()), len(logging.answer()), size}
        if len(sizes) != 1:
            raise RuntimeError(f"the answers differ in size: {sizes}")
        targets = {
            "Doorward, plain HTTP": (plain.url + ntp_servers.PATH, login, plain.process),
            "Doorward, TLS": (secure.url + ntp_servers.PATH, secure_login, secure.process),
            "Caddy": (caddy.answer_url, {}, caddy.process),
            "Caddy, requests logged (its default)": (logging.answer_url, {}, logging.process),
        }
        for url, headers, _ in targets.values():
            measure.load(url, 1, headers)
        seconds = bench.effort.seconds
        runs = in_turns(
            {
                name: partial(measure.load, url, seconds, headers, server=process)
                for name, (url, headers, process) in targets.items()
            },
            bench.effort.rounds,
        )
    rates = {name: [run.rate for run in found] for name, found in runs.items()}
    computed = {name: [run.cpu for run in found] for name, found in runs.items()}
    rows = [
        {
            "party": name,
            "requests/s": statistics.median(rates[name]),
            "p50 ms": statistics.median(run.p50 for run in found),
            "p99 ms": statistics.median(run.p99 for run in found),
            "rate : Caddy": spread_of_ratios(rates[name], rates["Caddy"]),
            "cpu ms": statistics.median(computed[name]) * 1e3,
            "Caddy's cpu : cpu": spread_of_ratios(computed["Caddy"], computed[name]),
        }
        for name, found in runs.items()
    ]
    return Table("reading", f"GET {ntp_servers.PATH}, body of {size} bytes, wrk -t1 -c16, {bench.effort.rounds} rounds", rows)


def changes(connection: Connection, path: str, values: Iterator[Any], count: int) -> Timed:
    """Write and commit, so many times. Raises RuntimeError when a commit changed nothing."""
    timed, revisions = Timed([], []), set()
    for value in itertools.islice(values, count):
        written = connection.request("PUT", path, value).seconds
        committed = ours.commit(connection)
        timed.commit.append(committed.seconds)
        timed.both.append(written + committed.seconds)
        revisions.add(committed.json()["meta"]["revision"])
    if len(revisions) != count:
        raise RuntimeError(f"{count} commits made {len(revisions)} revisions")
    return timed


def timeouts() -> Iterator[dict[str, int]]:
    """Yield bodies of ``management/webinterface``, each unlike the one before."""
    return ({"timeout": minutes} for minutes in itertools.cycle((20, 21)))


def committing(bench: Bench) -> Table:
    """One small change made durable: ours, Caddy's, etcd's, and the disk's alone."""
    effort, values = bench.effort, timeouts()
    with bench.servers() as kept:
        doorward = kept(Doorward(bench.place("plain"), bench.core)).connection()
        caddy = kept(peers.Caddy(bench.place("caddy"), bench.core))
        etcd = kept(peers.Etcd(bench.place("etcd"), bench.core)).connection()

        def patches(count: int) -> list[float]:
            return [caddy.change() for _ in range(count)]

        def puts(count: int) -> list[float]:
            return [peers.put(etcd, webinterface.PATH, next(values)) for _ in range(count)]

        own: list[Timed] = []

        def commits(count: int) -> list[float]:
            own.append(changes(doorward, webinterface.PATH, values, count))
            return own[-1].commit

        def batches(count: int) -> list[float]:
            bodies = itertools.islice(values, count)
            change = {"method": "PUT", "path": webinterface.PATH}
            return [ours.commit_changes(doorward, [{**change, "body": body}]).seconds for body in bodies]

        parties: dict[str, Callable[[int], list[float]]] = {
            "Doorward, commit": commits,
            "Doorward, POST /api/commits": batches,
            "Caddy, PATCH": patches,
            "etcd, put": puts,
            "disk, 4 KiB + fdatasync": partial(measure.synced_writes, bench.folder),
        }
        for party in parties.values():
            party(effort.commits)
        own.clear()
        rounds = in_turns({name: partial(party, effort.commits) for name, party in parties.items()}, effort.turns)
    rounds = {"Doorward, PUT + commit": [timed.both for timed in own], **rounds}
    rows = [
        {
            "party": name,
            **_spread(found),
            "p50 : Caddy": ratio_of_medians(found, rounds["Caddy, PATCH"]),
            "p50 : etcd": ratio_of_medians(found, rounds["etcd, put"]),
        }
        for name, found in rounds.items()
    ]
    title = f"One changed value, one connection, plain HTTP, {effort.turns * effort.commits} times"
    return Table("committing", title, rows)


def proving(bench: Bench) -> Table:
    """A change of the time servers that chronyd takes and shows before the commit answers."""
    effort = bench.effort
    lists = ([{"selection": "ip", "value": f"127.0.0.{number}"}] for number in itertools.cycle((11, 12)))
    with bench.servers() as kept:
        connection = kept(Doorward(bench.place("plain"), bench.core)).connection()
        changes(connection, ntp_servers.PATH, lists, 4)
        rounds = [changes(connection, ntp_servers.PATH, lists, effort.proven) for _ in range(effort.rounds)]
    rows = [
        {"step": "commit", **_spread([timed.commit for timed in rounds])},
        {"step": "PUT + commit", **_spread([timed.both for timed in rounds])},
    ]
    return Table("proving", f"Other time servers, reloaded and proven in chronyd, {effort.rounds * effort.proven} times", rows)


def growing(bench: Bench) -> Table:
    """The same small commits with few and with many accounts."""
    effort = bench.effort
    with bench.servers() as kept:
        parties: dict[tuple[str, int], Callable[[], Timed]] = {}
        for count in ACCOUNTS:
            state = bench.place(f"accounts-{count}")
            keys = ours.prepare(state, count)
            connection = kept(Doorward(state, bench.core)).connection()
            parties["session timeout", count] = partial(changes, connection, webinterface.PATH, timeouts(), effort.commits)
            names = (ours.account(number, "renamed") for number in itertools.cycle((1, 2)))
            parties["name of an account", count] = partial(changes, connection, f"{users.PATH}/{keys[0]}", names, effort.commits)
        for party in parties.values():
            party()
        rounds = in_turns({f"{what}/{count}": party for (what, count), party in parties.items()}, effort.turns)
    rows = []
    for what, count in parties:
        found, least = rounds[f"{what}/{count}"], rounds[f"{what}/{ACCOUNTS[0]}"]
        commits = [timed.commit for timed in found]
        rows.append({
            "change": what,
            "accounts": count,
            **_spread(commits, "commit "),
            "PUT + commit p50 ms": _spread([timed.both for timed in found])["p50 ms"],
            f"p50 : {ACCOUNTS[0]}": ratio_of_medians(commits, [timed.commit for timed in least]),
        })  # fmt: skip
    rows.sort(key=lambda row: str(row["change"]), reverse=True)
    return Table("growing", "The same commit with more accounts", rows)


def many(bench: Bench) -> Table:
    """A thousand changes in one commit, and in one request with it; ten thousand in one commit."""
    times: dict[str, list[float]] = {"1,000 accounts made": [], "1,000 accounts removed": []}
    times |= {"1,000 made by POST /api/commits": [], "1,000 removed by POST /api/commits": [], "9,900 accounts made": []}
    writes: dict[str, list[float]] = {name: [] for name in times}
    made, removed, made_at_once, removed_at_once, most = times
    with bench.servers() as kept:
        connection = kept(Doorward(bench.place("plain"), bench.core)).connection()
        for _ in range(bench.effort.rounds):
            answers = [connection.request("POST", users.PATH, ours.account(n), expect=201) for n in range(MANY)]
            writes[made].append(sum(answer.seconds for answer in answers))
            times[made].append(ours.commit(connection).seconds)
            places = [answer.headers["location"] for answer in answers]
            writes[removed].append(sum(connection.request("DELETE", place).seconds for place in places))
            times[removed].append(ours.commit(connection).seconds)
            bodies = [{"method": "POST", "path": users.PATH, "body": ours.account(n)} for n in range(MANY)]
            answer = ours.commit_changes(connection, bodies)
            times[made_at_once].append(answer.seconds)
            hrefs = [result["href"] for result in answer.json()["results"]]
            answer = ours.commit_changes(connection, [{"method": "DELETE", "path": href} for href in hrefs])
            times[removed_at_once].append(answer.seconds)
            writes[made_at_once].append(0)
            writes[removed_at_once].append(0)
        answers = [connection.request("POST", users.PATH, ours.account(n), expect=201) for n in range(MOST)]
        writes[most].append(sum(answer.seconds for answer in answers))
        times[most].append(ours.commit(connection).seconds)
    rows = [
        {
            "changes": name,
            "commit ms": statistics.median(found) * 1e3,
            "slowest ms": max(found) * 1e3,
            "writes before it ms": statistics.median(writes[name]) * 1e3,
        }
        for name, found in times.items()
    ]
    return Table("many", "Many changes in one commit", rows)


def starting(bench: Bench) -> Table:
    """From the start of the process to its ready line, as the command line starts it, and the memory that it then has."""
    for folder in (Path(doorward.__file__).parent, Path(sysconfig.get_path("purelib"))):
        compileall.compile_dir(folder, quiet=2)  # as an installation does
    full = bench.place(f"accounts-{ACCOUNTS[-1]}")
    ours.prepare(full, ACCOUNTS[-1])
    empty = bench.place("empty")

    def started(state: Path) -> tuple[float, float]:
        server = Doorward(state, bench.core, plain=False)
        try:
            return server.seconds_to_start, server.megabytes
        finally:
            server.stop()

    started(empty)
    started(full)
    parties: dict[str, Callable[[], tuple[float, float]]] = {
        "first start": lambda: started(bench.place("fresh")),
        "start, nothing configured": lambda: started(empty),
        f"start, {ACCOUNTS[-1]:,} accounts": lambda: started(full),
    }
    rows = [
        {
            "start": name,
            "seconds": statistics.median(seconds for seconds, _ in found),
            "slowest s": max(seconds for seconds, _ in found),
            "idle MB": statistics.median(megabytes for _, megabytes in found),
        }
        for name, found in in_turns(parties, bench.effort.rounds).items()
    ]
    return Table("starting", "Start-up with chronyd, and resident memory of the server process", rows)


def _spread(rounds: Sequence[Sequence[float]], prefix: str = "") -> dict[str, float]:
    """Return p50 and p95 of all rounds together, in milliseconds."""
    values = [value for found in rounds for value in found]
    return {f"{prefix}p50 ms": percentile(values, 0.5) * 1e3, f"{prefix}p95 ms": percentile(values, 0.95) * 1e3}


SCENARIOS: dict[str, Callable[[Bench], Table]] = {
    scenario.__name__: scenario
    for scenario in (
        reading,
        committing,
        proving,
        growing,
        many,
        starting,
        backup_targets,
        backup_runs,
        recovery,
        following,
        hosts,
        ssh_relay,
        ssh_files,
        ssh_recorded,
    )
}
