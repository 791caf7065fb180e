"""A backup from the request to the proven file, beside tar, gzip, gpg and rsync by hand; and what commits feel of one.

The measuring runs again as a child, ``python -m benchmarks.backup_runs``, in a network namespace of its own.
"""

from __future__ import annotations

import base64
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import in_turns, percentile, ratio
from benchmarks.report import Table
from doorward.store.port import Revision
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.support import openpgp
from tests.support.server import Server
from tests.system.backup_site import Site, Storage, storage
from tests.system.sshd_support import ACCOUNT

if TYPE_CHECKING:
    from benchmarks.scenarios import Bench

_CHECKOUT = Path(__file__).resolve().parent.parent
_REVISIONS, _BYTES = 55, 1 << 20
"""History of an old appliance: so many revisions with so many random bytes each, which don't compress."""
_COMMITS = 40
_LOOK_SECONDS = 0.05
_NTP = "/api/configuration/datetime/ntp_servers"


def backup_runs(bench: Bench) -> Table:
    """A backup of a large node to an SSH server, encrypted; and commits while one runs."""
    command = [sys.executable, "-m", "benchmarks.backup_runs", str(bench.core), str(bench.effort.rounds)]
    said = subprocess.run([str(_CHECKOUT / "scripts" / "offline"), *command], cwd=_CHECKOUT, check=True, stdout=subprocess.PIPE)
    found = json.loads(said.stdout)
    return Table("backup_runs", f"a backup of {found['size'] / 2**20:.0f} MiB, encrypted, and commits beside it", found["rows"])


def _measured(core: int, rounds: int) -> dict[str, Any]:
    usable = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder, storage(Path(folder)) as kept:
        directory = Path(folder)
        server = Server(directory / "state").start()
        server.stop()
        _fill(directory / "state")
        os.sched_setaffinity(0, {core})
        server.start()
        os.sched_setaffinity(0, usable)
        try:
            site = Site(server, kept)
            site.set_up()
            size = site.back_up()["files"][0]["size"]
            by_hand = partial(_by_hand, _unpacked(site, directory), kept, directory, core)
            drilled: list[float] = []
            parties: dict[str, Callable[[], float]] = {"Doorward": partial(_ours, site, drilled), "tar|gzip|gpg, rsync": by_hand}
            seconds = in_turns(parties, rounds)
            commits = in_turns({"alone": partial(_commits, site), "during": partial(_commits, site, during=True)}, rounds)
        finally:
            server.stop()
    rows = [
        {"party": name, "seconds": statistics.median(took), "Doorward : this": ratio(seconds["Doorward"], took)}
        for name, took in seconds.items()
    ]
    whole = {"party": "Doorward, its restore drill as well", "seconds": statistics.median(drilled)}
    rows.append({**whole, "Doorward : this": ratio(seconds["Doorward"], drilled)})
    alone, during = ([percentile(round_, 0.95) for round_ in commits[name]] for name in ("alone", "during"))
    rows += [
        {"party": "commit p95, alone", "seconds": statistics.median(alone), "Doorward : this": 1.0},
        {"party": "commit p95, during a backup", "seconds": statistics.median(during), "Doorward : this": ratio(during, alone)},
    ]
    return {"rows": rows, "size": size}


def _fill(state: Path) -> None:
    """Give a node that is down a long history."""
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    try:
        head = store.head()
        number = head.number if head else 0
        for extra in range(1, _REVISIONS + 1):
            words = base64.b64encode(os.urandom(_BYTES)).decode()
            store.publish(Revision(number + extra, "bench", "", "2026-11-21T10:00:00Z", words, 0), [])
    finally:
        store.close()


def _ours(site: Site, drilled: list[float]) -> float:
    """Return the seconds until the file is on the server and compared with ours; add those until the drill passed."""
    began, path = time.monotonic(), site.now()
    while site.admin.body(path)["status"] not in {"verifying", "finished"}:
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - began
    run = site.finished(path, 120)
    drilled.append(time.monotonic() - began)
    if run["result"] != "succeeded":
        raise RuntimeError(run["message"])
    return seconds


def _unpacked(site: Site, directory: Path) -> Path:
    """Return a folder with what is in a backup."""
    place = directory / "unpacked"
    name = next(name for name in site.storage.names() if name.endswith(".gpg"))
    with tarfile.open(fileobj=io.BytesIO(openpgp.decrypted(site.storage.config / name))) as archive:
        archive.extractall(place, filter="data")
    return place


def _by_hand(place: Path, kept: Storage, directory: Path, core: int) -> float:
    """Pack, encrypt and send, then compare what came there by its checksum, as a careful administrator does."""
    key, known, file = directory / "client", directory / "known_hosts", directory / "by-hand.tar.gz.gpg"
    known.write_text(f"[127.0.0.1]:{kept.sshd.port} {kept.sshd.host_key}\n")
    shell = f"ssh -F /dev/null -p {kept.sshd.port} -i {key} -o UserKnownHostsFile={known} -l {ACCOUNT}"
    encrypt = f"gpg --homedir {openpgp.home()} --batch --yes --trust-model always -r good@example.com --compress-algo none -e"
    script = (
        f"set -e; tar c -C {place} . | gzip -6 | {encrypt} > {file}; "
        f"rsync -e '{shell}' {file} 127.0.0.1:{kept.path}/by-hand; "
        f"rsync -n --checksum -e '{shell}' {file} 127.0.0.1:{kept.path}/by-hand"
    )
    began = time.monotonic()
    subprocess.run(["taskset", "-c", str(core), "sh", "-c", script], check=True, stdin=subprocess.DEVNULL)
    return time.monotonic() - began


def _commits(site: Site, *, during: bool = False) -> list[float]:
    """Return how long commits of one small change took, with a backup at work or without."""
    run = site.now() if during else ""
    found = []
    for number in range(_COMMITS):
        site.write("PUT", _NTP, [{"selection": "ip", "value": f"192.0.2.{1 + number % 200}"}])
        began = time.monotonic()
        site.commit()
        found.append(time.monotonic() - began)
        if during and site.admin.body(run)["ended"]:
            break
    if during:
        site.finished(run, 120)
    return found


if __name__ == "__main__":
    tempfile.tempdir = os.environ.get("TMPDIR") or None
    print(json.dumps(_measured(int(sys.argv[1]), int(sys.argv[2]))))
