"""The catalogue of sessions in SQLite beside the one in PostgreSQL: processor time to keep, find and delete, and size.

``python -m benchmarks.catalogues DIRECTORY [--sessions N] [--seconds S] [--engine E ...]``. Each session has a hundred lines of a
terminal. What is kept stays in the directory, so that a run may end after some seconds, and the next one goes on from there; the
questions are asked once all sessions are there, and some of them are deleted at last.

Times are those of processors, our own and the engine's: on a machine that others use they move least.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks.measure import percentile
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.fields import FIELDS
from doorward.sessions.catalogue.keeping import KeptSessions
from doorward.sessions.catalogue.postgresql import PostgresCatalogue
from doorward.sessions.catalogue.query import parsed
from doorward.sessions.catalogue.results import SortOrder
from doorward.sessions.catalogue.rows import Facts, Peer
from doorward.sessions.catalogue.sqlite import SqliteCatalogue
from tests.support.catalogues import NODE
from tests.support.postgresql import Cluster
from tests.support.recorded import LINUX, ORACLE, row, told

LINES: Final = 100
"""Of each session."""
_WORDS: Final = 20_000
_RARE: Final = 1000
"""One session in so many has a word that the others of its thousand have not."""
_TOGETHER: Final = 200
"""Sessions that are told at a time, as gateways with much to do would."""
_PAGE: Final = 500
_ROUNDS: Final = 20
_DELETED: Final = 1000
_AT_A_TIME: Final = 20
_SERVER: Final = ("fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers=256MB", "max_wal_size=2GB")
_DATABASE: Final = "measured"


class Words:
    """Lines of terminals: words as frequent as in a language, the same in every run."""

    def __init__(self) -> None:
        dice = random.Random(1)  # noqa: S311 - as all below: no secrets, the same in every run
        letters = "abcdefghijklmnopqrstuvwxyz"
        self.all = ["".join(dice.choices(letters, k=dice.randint(3, 10))) for _ in range(_WORDS)]
        self._weights = list(accumulate(1 / (rank + 3) for rank in range(_WORDS)))

    def lines(self, number: int) -> list[str]:
        """Return the lines of a session: eight words each, a path and a number in some of them."""
        dice = random.Random(number)  # noqa: S311
        words = dice.choices(self.all, cum_weights=self._weights, k=LINES * 8)
        lines = [" ".join(words[at : at + 8]) for at in range(0, len(words), 8)]
        for at in range(0, LINES, 5):
            lines[at] = f"/srv/{words[at]}/{words[at + 1]}.conf {dice.randrange(100_000)} {lines[at]}"
        if not number % _RARE:
            lines[7] += f" rare{number // _RARE}"
        return lines


class Sqlite:
    """The file of one node."""

    name = "sqlite"

    def __init__(self, directory: Path) -> None:
        self._path = directory / "sessions.db"
        self.catalogue: KeptSessions = SqliteCatalogue(self._path, key=b"t" * 32)

    def processor(self) -> float:
        """Return the seconds of processor time of others than this process: there are none."""
        return 0.0

    def size(self) -> int:
        """Return the bytes on the disk."""
        return sum(one.stat().st_size for one in self._path.parent.glob("sessions.db*"))

    def close(self) -> None:
        """Close it."""
        self.catalogue.close()


class Postgresql:
    """A cluster of its own, with what it takes in an installation: synced, 256 MB of shared buffers."""

    name = "postgresql"

    def __init__(self, directory: Path) -> None:
        self._cluster = Cluster(directory / "postgresql", *_SERVER)
        if (self._cluster.directory / "made").exists():
            self._cluster.start()
        else:
            self._cluster.make()
            with self._cluster.connect("postgres") as connection:
                connection.execute(f"CREATE DATABASE {_DATABASE} TEMPLATE doorward_template")
            (self._cluster.directory / "made").touch()
        lines = (self._cluster.directory / "data/postmaster.pid").read_text().splitlines()
        self._server = psutil.Process(int(lines[0]))
        self.catalogue: KeptSessions = PostgresCatalogue(self._cluster.address(_DATABASE), NODE)

    def processor(self) -> float:
        """Return the seconds of processor time of the server; what its children took that ended, to a hundredth."""
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children").read_text().split()
        living = sum(int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) for child in children)
        return living / 1e9 + sum(self._server.cpu_times()[2:4])

    def size(self) -> int:
        """Return the bytes of the database, without its log."""
        with self._cluster.connect(_DATABASE) as connection:
            connection.execute("VACUUM ANALYZE")
            found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Close it, and stop the server in order."""
        self.catalogue.close()
        self._cluster.stop(mode="fast")


ENGINES: Final[dict[str, Callable[[Path], Sqlite | Postgresql]]] = {"postgresql": Postgresql, "sqlite": Sqlite}


class Progress:
    """What is known of an engine so far, in a file beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.figures: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"sessions": 0, "kept": 0.0}

    def save(self) -> None:
        """Write it."""
        self._path.write_text(json.dumps(self.figures, indent=2))


@contextmanager
def _taken(engine: Sqlite | Postgresql, into: list[float]) -> Iterator[None]:
    before = engine.processor()
    own = time.process_time()
    yield
    own = time.process_time() - own
    into.append(engine.processor() - before + own)


async def _tell(catalogue: KeptSessions, words: Words, first: int, last: int) -> None:
    async def one(number: int) -> None:
        made = row(number, policy_key=ORACLE if number % 3 else LINUX, client=Peer(f"192.0.{number % 200}.7", 50_000))
        name = f"user{number % 997}"
        await told(catalogue, made, lines=words.lines(number), facts=Facts(gateway_user=name, server_user="root"))

    await asyncio.gather(*(one(number) for number in range(first, last + 1)))
    await catalogue.synced()


def _fill(engine: Sqlite | Postgresql, progress: Progress, sessions: int, until: float) -> bool:
    """Keep sessions until there are enough, or it is time; whether there are."""
    words = Words()
    while progress.figures["sessions"] < sessions:
        if time.monotonic() > until:
            return False
        first = progress.figures["sessions"] + 1
        last = min(sessions, first + _TOGETHER - 1)
        made = time.process_time()
        for number in range(first, last + 1):
            words.lines(number)
        made = time.process_time() - made
        spent: list[float] = []
        with _taken(engine, spent):
            asyncio.run(_tell(engine.catalogue, words, first, last))
        progress.figures["sessions"] = last
        progress.figures["kept"] += spent[0] - made
        progress.save()
    return True


def _weigh(engine: Sqlite | Postgresql, progress: Progress) -> None:
    progress.figures["size"] = engine.size()
    progress.save()


def _questions(words: Words) -> dict[str, str]:
    common, frequent = words.all[40], words.all[0]
    return {
        "all sessions": "",
        "a user": "user.name:user7",
        "a policy and a network": f'recording.connection_policy_id:{LINUX} AND client.ip:"192.0.0.0/22"',
        "a rare word": "rare3",
        "a common word": common,
        "a word of nearly every session": frequent,
        "a phrase": f'"{words.all[2]} {words.all[5]}"',
        "a word and a field": f"{common} AND user.name:user7",
    }


def _ask(engine: Sqlite | Postgresql, progress: Progress) -> None:
    newest = SortOrder(((FIELDS["start_time"], True),))
    asked: dict[str, Any] = {}
    for name, text in _questions(Words()).items():
        criterion = parsed(text).criterion if text else ALL
        spent: list[float] = []
        matching = 0
        for _ in range(_ROUNDS):
            with _taken(engine, spent), engine.catalogue.looking(600.0) as look:
                ids, matching = look.page(criterion, newest, _PAGE, 0)
                look.rows(list(ids), ALL)
        asked[name] = {"sessions": matching, "p50 ms": percentile(spent, 0.5) * 1000, "p95 ms": percentile(spent, 0.95) * 1000}
    progress.figures["asked"] = asked
    progress.save()


def _delete(engine: Sqlite | Postgresql, progress: Progress) -> None:
    with engine.catalogue.looking(600.0) as look:
        ids = list(look.ids(ALL, SortOrder(((FIELDS["start_time"], False),)), _DELETED))
    spent: list[float] = []
    with _taken(engine, spent):
        for at in range(0, len(ids), _AT_A_TIME):
            engine.catalogue.delete(ids[at : at + _AT_A_TIME]).result()
    progress.figures["deleted"] = {"sessions": len(ids), "seconds": spent[0]}
    progress.save()


def main() -> None:
    """Go on with each engine, for as long as may be."""
    parser = argparse.ArgumentParser(prog="benchmarks.catalogues", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--sessions", type=int, default=100_000, help="how many; 100 lines each")
    parser.add_argument("--seconds", type=float, default=1e9, help="after so long no more are kept in this run")
    parser.add_argument("--engine", choices=sorted(ENGINES), action="append", help="which; all by default")
    wanted = parser.parse_args()
    until = time.monotonic() + wanted.seconds
    wanted.directory.mkdir(parents=True, exist_ok=True)
    for name in wanted.engine or sorted(ENGINES):
        progress = Progress(wanted.directory / f"{name}.json")
        engine = ENGINES[name](wanted.directory)
        try:
            is_full = _fill(engine, progress, wanted.sessions, until)
            for name_of, step in (("size", _weigh), ("asked", _ask), ("deleted", _delete)):
                if is_full and name_of not in progress.figures and time.monotonic() < until:
                    step(engine, progress)
        finally:
            engine.close()
        print(name, json.dumps(progress.figures))


if __name__ == "__main__":
    main()
