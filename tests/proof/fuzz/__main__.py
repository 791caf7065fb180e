"""Sends so much that is made up, and tells in a line of JSON for each part how it went: rate, answers, memory along the way."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.proof.fuzz.grammar import value
from tests.proof.fuzz.inside import Bodies, Channel, Faults, Ssh, Trails
from tests.proof.fuzz.web import Web
from tests.support.server import PASSWORD

SHARES = {"web": 0.3, "bodies": 0.3, "channel": 0.15, "trails": 0.15, "ssh": 0.1}
"""How much of all goes where."""
LOOKS = 10
"""So often memory is looked at."""
THREADS = 3
STUCK_SECONDS = 60.0
"""Without any answer for so long the server hangs."""
PROGRESS_SECONDS = 30.0
"""So often is told how far it is."""
SERVER = """
import faulthandler
import signal
import sys
from pathlib import Path
from doorward.appliance import Options, run
from doorward.cli.logging import configure
configure()
faulthandler.register(signal.SIGUSR1, all_threads=True)
run(Options(Path(sys.argv[1]), port=0, admin_password=sys.argv[2], plain_http=True), lambda line: print(line, flush=True))
"""


def memory(process: int | str = "self") -> float:
    """Return the resident megabytes of a process."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def tell(part: str, count: int, seconds: float, **more: Any) -> None:
    rate = round(count / seconds)
    print(json.dumps({"part": part, "tried": count, "seconds": round(seconds, 1), "a second": rate, **more}), flush=True)  # noqa: T201


def report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


def progress(part: str, done: int, count: int, seconds: float, megabytes: float, outcomes: Counter[Any]) -> None:
    report(f"{part}: {done} of {count} in {seconds:.0f} s, {megabytes} MB, {dict(outcomes.most_common(4))}")


def pieces(count: int) -> Iterator[int]:
    for look in range(LOOKS):
        yield count * (look + 1) // LOOKS - count * look // LOOKS


async def inside(part: str, target: Any, count: int, seed: str) -> None:
    dice, faults, seen = Random(f"{part} {seed}"), Faults(), []  # noqa: S311 - repeatable
    outcomes = Counter[Any]()
    began = time.monotonic()
    for piece in pieces(count):
        for _ in range(piece):
            await target.feed(dice)
        seen.append(memory())
        outcomes = getattr(target, "outcomes", None) or target.statuses
        progress(part, sum(outcomes.values()), count, time.monotonic() - began, seen[-1], outcomes)
    tell(part, count, time.monotonic() - began, memory=seen, outcomes=outcomes.most_common(12), faults=faults.found)


@contextmanager
def server(directory: Path) -> Iterator[tuple[int, int]]:
    """Run a server over plain HTTP; its port and process."""
    log = directory / "log"
    with log.open("wb") as errors:
        command = [sys.executable, "-c", SERVER, str(directory / "state"), PASSWORD]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield int(line.partition(" at http://127.0.0.1:")[2].split()[0]), process.pid
            assert process.poll() is None, "the server ended"
        finally:
            process.terminate()
            process.wait()
    faults = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if '"level":"error"' in line]
    assert not faults, (log, faults[:3])


class Watch:
    """Tells how far it is while it works, and has the server say what its threads do where no answer comes any more."""

    def __init__(self, target: Web, count: int, process: int, log: Path) -> None:
        self._target, self._count, self._process, self._log = target, count, process, log
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        began = told = moved = time.monotonic()
        answered = 0
        while not self._over.wait(1):
            now, found = time.monotonic(), self._target.answered
            if found != answered:
                answered, moved = found, now
            elif now - moved >= STUCK_SECONDS:
                os.kill(self._process, signal.SIGUSR1)
                report(f"web: no answer for {now - moved:.0f} s after {found}; asked: {self._target.asking}")
                self._over.wait(2)
                report(self._log.read_text(encoding="utf-8", errors="replace")[-10_000:])
                moved = now
            if now - told >= PROGRESS_SECONDS:
                told = now
                progress("web", found, self._count, now - began, memory(self._process), self._target.statuses)


def web(directory: Path, count: int, seed: str) -> None:
    with server(directory) as (port, process):
        target, seen = Web(port), []
        chances = [Random(f"web {number} {seed}") for number in range(THREADS)]  # noqa: S311
        began = time.monotonic()

        def some(dice: Random, share: int) -> None:
            for _ in range(share):
                target.feed(dice)

        with Watch(target, count, process, directory / "log"), ThreadPoolExecutor(THREADS) as pool:
            for piece in pieces(count):
                shares = [piece * (at + 1) // THREADS - piece * at // THREADS for at in range(THREADS)]
                list(pool.map(some, chances, shares))
                seen.append(memory(process))
        tell("web", count, time.monotonic() - began, memory=seen, outcomes=target.statuses.most_common(20), faults=[])


def main() -> None:
    count, directory, seed = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    parts = sys.argv[4:] or list(SHARES)
    targets: dict[str, Callable[[], Any]] = {
        "bodies": Bodies,
        "channel": lambda: Channel(directory / "channel"),
        "trails": Trails,
        "ssh": Ssh,
    }
    assert value(Random(seed)) == value(Random(seed))  # noqa: S311 - what fails can be repeated
    for part in parts:
        number = round(count * SHARES[part])
        if part == "web":
            web(directory, number, seed)
        else:
            asyncio.run(inside(part, targets[part](), number, seed))


if __name__ == "__main__":
    main()
