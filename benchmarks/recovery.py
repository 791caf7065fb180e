"""A lost node with many accounts comes back on an empty machine, by the command lines of ``docs/recovery.md``, with a watch.

The measuring runs again as a child, ``python -m benchmarks.recovery``, in a network namespace of its own.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import doorward.configuration
from benchmarks.backup_places import need_programs
from benchmarks.ours import account
from benchmarks.report import Table
from doorward.configuration.aaa.local_database import users
from doorward.store.port import Edit, Revision
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.tree.places import Place
from doorward.tree.registry import discover
from tests.support.server import Server
from tests.system.backup_site import BACKUP, RUNS, Site
from tests.system.backup_storages import storages
from tests.system.recovery_line import run_line

if TYPE_CHECKING:
    from benchmarks.bench import Bench

ACCOUNTS = 10_000
_CHECKOUT = Path(__file__).resolve().parent.parent
_KINDS = ("rsync", "s3")


def recovery(bench: Bench) -> Table:
    """A node with 10,000 accounts that is gone, from rsync and from S3, on the clock."""
    need_programs()
    command = [sys.executable, "-m", "benchmarks.recovery", str(bench.core)]
    said = subprocess.run([str(_CHECKOUT / "scripts" / "offline"), *command], cwd=_CHECKOUT, check=True, stdout=subprocess.PIPE)
    return Table("recovery", f"a lost node with {ACCOUNTS:,} accounts comes back by one command line", json.loads(said.stdout))


def _filled(state: Path) -> Server:
    """Start a node with all the accounts."""
    server = Server(state).start()
    server.stop()
    tree = discover(doorward.configuration)
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    try:
        head = store.head()
        places = [Place(users.PATH, secrets.token_hex(11)) for _ in range(ACCOUNTS - 1)]
        edits = [Edit(place, None, tree.load(place, account(number)).stored, number) for number, place in enumerate(places, 1)]
        store.publish(Revision(head.number + 1 if head else 1, "bench", "", "2026-11-30T10:00:00Z", None, len(edits)), edits)
    finally:
        store.close()
    return server.start()


def _measured(core: int) -> list[dict[str, Any]]:
    os.sched_setaffinity(0, {core, *os.sched_getaffinity(0)})
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as folder, storages(Path(folder)) as kept:
        directory = Path(folder)
        server = _filled(directory / "lost")
        sites = {kind: Site(server, kept[kind]) for kind in _KINDS}
        names = {}
        for kind, site in sites.items():
            site.set_up(name=kind)
            names[kind] = _backed_up(site)
        keys = server.login().get(f"{BACKUP}/signing_keys").json()["items"]
        signer = next(item["key"] for item in keys if item["body"]["role"] == "current")
        server.stop()
        return [_recovered(directory, kind, names[kind], signer, kept[kind]) for kind in _KINDS]


def _backed_up(site: Site) -> str:
    """Make a backup; return the name of the archive."""
    site.admin = site.server.login()
    path = str(site.admin.post(RUNS).headers["location"])
    while (run := site.admin.body(path))["status"] != "finished":
        time.sleep(0.1)
    if run["result"] != "succeeded":
        raise RuntimeError(run["message"])
    return str(run["files"][0]["name"])


def _recovered(directory: Path, kind: str, name: str, signer: str, storage: Any) -> dict[str, Any]:
    """Bring the node back on a machine with nothing."""
    home = directory / f"holder-{kind}"
    home.mkdir()
    size = len(storage.content(name))
    machine = Server(directory / f"new-{kind}").start()
    try:
        load, began = os.getloadavg()[0], time.monotonic()
        done = run_line(machine, name, signer, home, storage)
        took = time.monotonic() - began
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        machine.stop()
        began = time.monotonic()
        machine.start()
        ready = time.monotonic() - began
        there = len(machine.login().get(users.PATH).json()["items"])
        if there != ACCOUNTS:
            raise RuntimeError(f"{there} accounts came back")
    finally:
        machine.stop()
    return {"from": kind, "archive kB": size // 1000, "seconds": took, "next start s": ready, "load": load}


if __name__ == "__main__":
    tempfile.tempdir = os.environ.get("TMPDIR") or None
    print(json.dumps(_measured(int(sys.argv[1]))))
