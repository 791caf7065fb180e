"""Doorward as a party of the measurements: started, logged in, filled with accounts."""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

import doorward.configuration
from benchmarks.measure import Connection, Reply
from benchmarks.process import START_SECONDS, Program, free_port
from doorward.access.passwords import LocalPasswords
from doorward.configuration.aaa.local_database import users
from doorward.host.machine import Machine
from doorward.store.port import Edit, Revision
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.startup import first_revision
from doorward.tree.places import Place
from doorward.tree.registry import discover

PASSWORD = "Benchmarks-only-9134"
TRANSACTION = "/api/transaction"
_LAUNCHER = Path(__file__).with_name("launcher.py")
_READY = re.compile(r"ready at (https?)://\S+:(\d+)")


class Doorward:
    """A server on a state directory; plain HTTP through the launcher, else as the command line starts it."""

    def __init__(self, state: Path, core: int, *, plain: bool = True) -> None:
        environment = {"DOORWARD_ADMIN_PASSWORD": PASSWORD}
        arguments = ["-P", str(_LAUNCHER), str(state)]
        if not plain:
            arguments = ["-m", "doorward", "serve", "--state", str(state), "--listen", "127.0.0.1:0"]
        began = time.perf_counter()
        self._program = Program([sys.executable, *arguments], core, state.with_suffix(".log"), environment, piped=True)
        self.port = self._wait_until_ready()
        self.seconds_to_start = time.perf_counter() - began
        """From the start of the process to the line that says that it accepts requests."""
        self._certificate = None if plain else state / "tls" / "ca.pem"
        self.url = f"{'http' if plain else 'https'}://127.0.0.1:{self.port}"

    def _wait_until_ready(self) -> int:
        process = self._program.process
        assert process.stdout is not None  # noqa: S101 - it is piped
        too_late = threading.Timer(START_SECONDS, process.kill)
        too_late.start()
        try:
            for line in process.stdout:
                if found := _READY.search(line):
                    return int(found[2])
        finally:
            too_late.cancel()
        raise self._program.failure("did not start")

    @property
    def process(self) -> int:
        """The number of the server process."""
        return self._program.process.pid

    @property
    def megabytes(self) -> float:
        """Resident memory of the server process, without its children, in MB."""
        return float(psutil.Process(self._program.process.pid).memory_info().rss) / 1e6

    def log_in(self) -> dict[str, str]:
        """Return the header fields of a login session of ``admin``."""
        credentials = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
        connection = Connection(self.port, {"Authorization": f"Basic {credentials}"}, self._certificate)
        cookie = connection.request("GET", "/api/authentication").headers["set-cookie"]
        connection.close()
        return {"Cookie": cookie.partition(";")[0]}

    def connection(self) -> Connection:
        """Return a connection on which every request is logged in."""
        return Connection(self.port, self.log_in(), self._certificate)

    def stop(self) -> None:
        """End the server."""
        self._program.stop()


def commit(connection: Connection) -> Reply:
    """Commit the open transaction."""
    return connection.request("PUT", TRANSACTION, {"status": "commit"})


def commit_changes(connection: Connection, changes: Sequence[object]) -> Reply:
    """Make and commit changes in one request."""
    return connection.request("POST", "/api/commits", {"changes": changes})


def prepare(state: Path, accounts: int) -> list[str]:
    """Make a state directory with so many accounts, ``admin`` included; returns the keys of the others."""
    state.mkdir(mode=0o700, parents=True)
    mask = os.umask(0o077)
    try:
        vault = Vault.at(state / "data.key", create=True)
        store = SqliteStore(state / "doorward.db", vault)
    finally:
        os.umask(mask)
    tree = discover(doorward.configuration)
    first_revision(tree, Machine(port=free_port()), store, vault, LocalPasswords(), password=PASSWORD, admin=users.ADMIN)
    keys = [secrets.token_hex(11) for _ in range(accounts - 1)]
    edits = []
    for number, key in enumerate(keys, 1):
        place = Place(users.PATH, key)
        edits.append(Edit(place, None, tree.load(place, account(number)).stored, number))
    head = store.head()
    assert head is not None  # noqa: S101 - it was just written
    if edits:
        store.publish(Revision(2, "benchmarks", "", head.time, None, len(edits)), edits)
    store.close()
    return keys


def account(number: int, prefix: str = "operator") -> dict[str, object]:
    """Return the body of an account that cannot log in."""
    return {"name": f"{prefix}{number}", "password": None}
