"""A backup's way to its target and back, beside the same by hand: rsync, smbclient and nfs-cp against the same servers.

The measuring runs again as a child, ``python -m benchmarks.backup_targets``, in a network namespace of its own: the NFS server
brings a network card.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.backup_places import PLACES, Place, filled_in, need_programs
from benchmarks.measure import in_turns, ratio
from benchmarks.report import Table
from doorward.backup.targets.port import open_target
from tests.system.backup_support import NODE, open_directory

if TYPE_CHECKING:
    from benchmarks.bench import Bench

_MEBIBYTES = 60
_CHECKOUT = Path(__file__).resolve().parent.parent
_NAME = "doorward-20261121T230002Z-46f97a58.config.gpg"

Party = Callable[[], float]


def backup_targets(bench: Bench) -> Table:
    """60 MiB written to each kind of target and read back, login included."""
    need_programs()
    command = [sys.executable, "-m", "benchmarks.backup_targets", str(bench.core), str(bench.effort.rounds)]
    said = subprocess.run([str(_CHECKOUT / "scripts" / "offline"), *command], cwd=_CHECKOUT, check=True, stdout=subprocess.PIPE)
    rows = json.loads(said.stdout)
    return Table("backup_targets", f"{_MEBIBYTES} MiB written, flushed, checked and read back, login included", rows)


def _measured(core: int, rounds: int) -> list[dict[str, Any]]:
    """Return the rows: servers on one core, what is measured on the others."""
    rows = []
    usable = os.sched_getaffinity(0)
    with open_directory("bench") as directory, ExitStack() as stack:
        content = directory / _NAME
        content.write_bytes(os.urandom(_MEBIBYTES * 1024 * 1024))
        os.sched_setaffinity(0, {core})
        places = [stack.enter_context(place(directory)) for place in PLACES]
        os.sched_setaffinity(0, usable)
        for place in places:
            parties: dict[str, Party] = {
                f"Doorward, {place.kind}": partial(_ours, place, directory, content),
                place.by_hand: partial(_by_hand, place, content, directory / "back"),
            }
            for party in parties.values():
                party()
            found = in_turns(parties, rounds)
            ours = found[f"Doorward, {place.kind}"]
            for name, seconds in found.items():
                rows.append({
                    "party": name, "seconds": statistics.median(seconds), "slowest s": max(seconds),
                    "ours : by hand": ratio(ours, seconds),
                })  # fmt: skip
    return rows


def _ours(place: Place, directory: Path, content: Path) -> float:
    back = directory / "back"
    back.unlink(missing_ok=True)
    began = time.monotonic()
    secrets = {place.secret[1]: place.secret[2]} if place.secret else {}
    options: dict[str, Any] = {"node": NODE, "per_node": False, "stop": threading.Event(), "workdir": directory / "work"}
    with open_target(place.target, secrets.get, **options) as target:
        target.prepare()
        target.put(_NAME, content)
        target.fetch(_NAME, back)
        seconds = time.monotonic() - began
        target.delete(_NAME)
    _same(content, back)
    return seconds


def _by_hand(place: Place, content: Path, back: Path) -> float:
    """Send and fetch under a name of its own: servers remember the file that had it before."""
    back.unlink(missing_ok=True)
    name = f"by-hand-{uuid.uuid4()}"
    began = time.monotonic()
    for command in (filled_in(place.put, content, name), filled_in(place.get, back, name)):
        subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60
        )
    seconds = time.monotonic() - began
    _same(content, back)
    (place.path / name).unlink()
    return seconds


def _same(content: Path, back: Path) -> None:
    if content.read_bytes() != back.read_bytes():
        raise RuntimeError("what came back is not what was sent")


if __name__ == "__main__":
    tempfile.tempdir = os.environ.get("TMPDIR") or None
    print(json.dumps(_measured(int(sys.argv[1]), int(sys.argv[2]))))
