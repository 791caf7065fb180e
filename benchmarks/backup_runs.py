"""A backup from the request to the file on its target, beside tar, zstd, gpg and a copy by hand; and what commits feel of one.

The measuring runs again as a child, ``python -m benchmarks.backup_runs``, in a network namespace of its own.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shlex
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.backup_node import Node, filled
from benchmarks.backup_places import PLACES, Place, filled_in, need_programs
from benchmarks.measure import in_turns, percentile, ratio
from benchmarks.report import Table
from tests.support import openpgp
from tests.system.backup_support import open_directory

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_CHECKOUT = Path(__file__).resolve().parent.parent
_COMMITS = 40


def backup_runs(bench: Bench) -> Table:
    """A backup of a large node to every kind of target, encrypted; and commits while one runs."""
    need_programs()
    command = [sys.executable, "-m", "benchmarks.backup_runs", str(bench.core), str(bench.effort.rounds)]
    said = subprocess.run([str(_CHECKOUT / "scripts" / "offline"), *command], cwd=_CHECKOUT, check=True, stdout=subprocess.PIPE)
    found = json.loads(said.stdout)
    title = (
        f"a backup of {found['size'] / 2**20:.0f} MiB, encrypted, until it is on its target (drill not counted), with at most "
        f"{found['grown'] / 1e6:.0f} MB more than the idle server; commits beside it"
    )
    return Table("backup_runs", title, found["rows"])


@dataclass(frozen=True)
class _Took:
    """Seconds on the clock, and those of processor time that the party itself took, its programs with it."""

    wall: float
    processor: float


def _measured(core: int, rounds: int) -> dict[str, Any]:
    rows, size = [], 0
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder, open_directory("bench") as served, ExitStack() as stack:
        directory = Path(folder)
        server = filled(directory / "state", core)
        stack.callback(server.stop)
        places = [stack.enter_context(place(served)) for place in PLACES]
        node = Node(server, server.login())
        node.set_up(places)
        for place in places:
            node.select(place)
            size = node.until(node.begin())["files"][0]["size"]
            rows += _runs(node, place, directory, core, rounds)
        rows += _beside(node, rounds)
    return {"rows": rows, "size": size, "grown": max(node.grown)}


def _runs(node: Node, place: Place, directory: Path, core: int, rounds: int) -> list[dict[str, Any]]:
    content = _unpacked(place, directory)
    drilled: list[float] = []
    parties: dict[str, Callable[[], _Took]] = {
        f"Doorward, {place.kind}": partial(_ours, node, place, drilled),
        f"tar|zstd|gpg, {place.by_hand}": partial(_by_hand, content, place, directory, core),
    }
    found = in_turns(parties, rounds)
    ours = found[f"Doorward, {place.kind}"]
    return [
        {
            "party": name,
            "seconds": statistics.median(one.wall for one in took),
            "with drill s": statistics.median(drilled) if took is ours else "",
            "Doorward : this": ratio([one.wall for one in ours], [one.wall for one in took]),
            "processor s": statistics.median(one.processor for one in took),
            "ratio of it": ratio([one.processor for one in ours], [one.processor for one in took]),
        }
        for name, took in found.items()
    ]


def _beside(node: Node, rounds: int) -> list[dict[str, Any]]:
    found = in_turns({"alone": partial(_commits, node), "during a backup": partial(_commits, node, during=True)}, rounds)
    p95 = {name: [percentile(seconds, 0.95) for seconds in every] for name, every in found.items()}
    return [
        {
            "party": f"commit p95, {name}", "seconds": statistics.median(seconds), "with drill s": "",
            "Doorward : this": ratio(seconds, p95["alone"]), "processor s": "", "ratio of it": "",
        }
        for name, seconds in p95.items()
    ]  # fmt: skip


def _ours(node: Node, place: Place, drilled: list[float]) -> _Took:
    """Back up until the file is on the server under its name; add the seconds until the drill passed."""
    with node.watched():
        before, began = node.processor(), time.monotonic()
        path = node.begin()
        node.until(path, "verifying")
        took = _Took(time.monotonic() - began, node.processor() - before)
        node.until(path)
        drilled.append(time.monotonic() - began)
    for file in (place.path / "config").iterdir():
        file.unlink()
    return took


def _unpacked(place: Place, directory: Path) -> Path:
    """Return a folder with what is in a backup, which is deleted."""
    content = directory / place.kind
    for file in (place.path / "config").iterdir():
        if file.suffix == ".gpg":
            with tarfile.open(fileobj=io.BytesIO(openpgp.decrypted(file))) as archive:
                archive.extractall(content, filter="data")
        file.unlink()
    return content


def _by_hand(content: Path, place: Place, directory: Path, core: int) -> _Took:
    """Pack, encrypt and send."""
    file, name = directory / "by-hand.tar.zst.gpg", f"by-hand-{uuid.uuid4()}"
    encrypt = f"gpg --homedir {openpgp.home()} --batch --yes --trust-model always -r good@example.com --compress-algo none -e"
    put = shlex.join(filled_in(place.put, file, name))
    script = f"set -e; tar c -C {content} . | zstd -q | {encrypt} > {file}; {put}"
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = ["taskset", "-c", str(core), "sh", "-c", script]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if (place.path / name).stat().st_size != file.stat().st_size:
        raise RuntimeError(f"{place.by_hand} did not send the whole file")
    (place.path / name).unlink()
    return _Took(wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def _commits(node: Node, *, during: bool = False) -> list[float]:
    """Return how long commits of one small change took, with a backup at work or without."""
    run = node.begin() if during else ""
    found = []
    for number in range(_COMMITS):
        found.append(node.change(number))
        if during and node.over(run):
            break
    if during:
        node.until(run)
    return found


if __name__ == "__main__":
    tempfile.tempdir = os.environ.get("TMPDIR") or None
    print(json.dumps(_measured(int(sys.argv[1]), int(sys.argv[2]))))
