"""Commits that are recorded with what was known of them, and what may be there of them after a loss of power."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from doorward.configuration.management import webinterface
from doorward.host.drivers.networkd import network_path
from doorward.host.machine import Machine
from doorward.store.anchor import HistoryKey
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.startup import read_running, whole_tree
from tests.faults.checks import (
    NAMING,
    NIC1,
    WEB,
    Seen,
    accepted,
    check,
    look,
    write_everything,
    write_network,
    write_previous,
    write_web,
)  # fmt: skip
from tests.faults.victim import COMMIT
from tests.proof.disk_log import mark
from tests.proof.effort import SOAK
from tests.proof.recording import Recording
from tests.proof.shim import Shim
from tests.support.server import Client, Server, until

_TREE = whole_tree()


def look_at(client: Client, state: Path) -> dict[str, Any]:
    """What runs, whether it awaits its confirmation, and what lies on the host."""
    awaits = "confirm_remaining_seconds" in client.get("/api/transaction").json()["meta"]
    return {"seen": look(client), "awaits": awaits, "files": files_of(state)}


def files_of(state: Path) -> dict[str, str]:
    """Return what the host has below ``/etc``: contents of files, and where links lead."""
    root = state / "root"
    found = (path for path in (root / "etc").rglob("*") if path.is_symlink() or path.is_file())
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text(errors="replace")
        for path in found
        if not path.name.startswith(".doorward-")
    }


def record_commits(server: Server, shim: Shim) -> None:
    client = server.login()
    mark(shim.log, ready=look_at(client, server.state))
    orders: list[tuple[Callable[[Client, int], object] | None, dict[str, Any]]] = [
        (write_web, COMMIT), (write_everything, COMMIT), (write_web, {**COMMIT, "confirm_seconds": 600}),
        (None, {"status": "confirm"}), (write_network, COMMIT), (write_everything, COMMIT),
        (write_previous, COMMIT), (write_web, COMMIT),
    ]  # fmt: skip
    if SOAK:  # it goes back by itself
        orders.append((write_everything, {**COMMIT, "confirm_seconds": 10}))
    for number, (write, order) in enumerate(orders):
        if write:
            write(client, number + 20)
        mark(shim.log, asked=number)
        accepted(client.put("/api/transaction", order))
        mark(shim.log, done=look_at(client, server.state))
    if SOAK:
        mark(shim.log, asked=len(orders))
        until(lambda: not look_at(client, server.state)["awaits"])
        mark(shim.log, done=look_at(client, server.state))


def allowed(marks: Iterator[dict[str, Any]], recording: Recording, at: int) -> list[dict[str, Any]]:
    """What may run after a cut: what was last known to, and what was asked for since. Empty: not even a first start was whole."""
    found: list[dict[str, Any]] = []
    asked = False
    for said in marks:
        if "asked" in said:
            asked = True
        else:
            found, asked = [said.get("ready") or said["done"]], False
    if asked:  # what came of it is said by the next mark
        found += [next(said["done"] for number, said in recording.said if number >= at)]
    return found


def check_store(state: Path, wanted: list[dict[str, Any]], where: str) -> None:
    vault = Vault.at(state / "data.key", create=False)
    store = SqliteStore(state / "doorward.db", vault, key=HistoryKey.read(state))
    try:
        assert store.check() == [], where
        assert store.check_records() == [], where
        for secret in store.secrets():
            vault.open(secret.name, secret.sealed)
        snapshot = read_running(_TREE, Machine("sandbox"), store)[0].snapshot
        runs = (snapshot.read(webinterface.NODE).timeout, store.confirmation() is not None)
        running = [one for one in wanted if runs == (one["seen"][WEB]["timeout"], one["awaits"])]
        assert running, where
        check_files(state, store, wanted, running, where)
    finally:
        store.close()


def check_files(state: Path, store: SqliteStore, wanted: list[dict[str, Any]], running: list[dict[str, Any]], where: str) -> None:
    """What lies on the host is whole, and it is what runs; or the journal says what else it may be."""
    found, allowed = files_of(state), [one["files"] for one in wanted]
    for path in {*found, *(path for files in allowed for path in files)}:
        assert found.get(path) in [files.get(path) for files in allowed], f"{where}: {path}"
    assert found in [one["files"] for one in running] or store.intent() is not None, f"{where}: no journal tells of that"
    managed = json.loads((state / "managed.json").read_text()) if (state / "managed.json").exists() else []
    for path, origin in ((network_path("sandbox0"), NIC1), ("/etc/hostname", NAMING)):
        assert path.lstrip("/") not in found or origin in managed, f"{where}: {path}"


def check_server(state: Path, wanted: list[Seen], where: str) -> None:
    server = Server(state).start()
    try:
        client = server.login()
        check(client, state, wanted or [look(client)], where)  # before a first start was over anything whole will do
    finally:
        server.stop()
