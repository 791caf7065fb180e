"""A node with a long history and a backup policy for every place; what its backups cost in processor time and memory."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.backup_places import Place
from doorward.store.port import Revision
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.support import openpgp
from tests.support.server import Client, Server

_REVISIONS, _BYTES = 58, 1 << 20
"""History of an old appliance: so many revisions with so many random bytes each, which don't compress."""
_LOOK_SECONDS = 0.1
"""Rarely: every look costs the server, which has one core here, two milliseconds."""
_RUN_SECONDS = 120
_ROOT = "/api/configuration"
_NTP = f"{_ROOT}/datetime/ntp_servers"
_SECRETS = {"passwords": "plain", "private_keys": "private_key"}


def filled(state: Path, core: int) -> Server:
    """Start a server on a core, with a long history."""
    server = Server(state).start()
    server.stop()
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    try:
        head = store.head()
        number = head.number if head else 0
        for extra in range(1, _REVISIONS + 1):
            words = base64.b64encode(os.urandom(_BYTES)).decode()
            store.publish(Revision(number + extra, "bench", "", "2026-11-21T10:00:00Z", words, 0), [])
    finally:
        store.close()
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        return server.start()
    finally:
        os.sched_setaffinity(0, usable)


@dataclass
class Node:
    """A server as its administrator sees it, with a policy by kind of place. ``grown``: bytes above the idle server, as seen."""

    server: Server
    admin: Client
    policies: dict[str, str] = field(default_factory=dict)
    grown: list[int] = field(default_factory=list)

    def set_up(self, places: list[Place]) -> None:
        """Make the policies; switch encryption on."""
        self.admin.post("/api/transaction")
        for place in places:
            text = json.dumps(place.target)
            if place.secret is not None:
                store, name, secret = place.secret
                key = self._write("POST", f"{_ROOT}/{store}", {_SECRETS[store]: secret})["key"]
                text = text.replace(json.dumps(name), json.dumps(key))
            body = {"name": place.kind, "target": json.loads(text)}
            self.policies[place.kind] = self._write("POST", f"{_ROOT}/policies/backup_policies", body)["key"]
        gpg = {"public_key": openpgp.public_key("good")}
        path = f"{_ROOT}/management/exported_configuration_encryption"
        self._write("PUT", path, {"encryption": {"enabled": True, "gpg_public_key": gpg}})
        self._commit()

    def select(self, place: Place) -> None:
        """Back up to a place from now on."""
        self.admin.post("/api/transaction")
        self._write("PUT", f"{_ROOT}/management/system_backup", {"backup_policy": self.policies[place.kind]})
        self._commit()

    def change(self, number: int) -> float:
        """Commit a small change; return the seconds of the commit alone."""
        self.admin.post("/api/transaction")
        self._write("PUT", _NTP, [{"selection": "ip", "value": f"192.0.2.{1 + number % 200}"}])
        began = time.monotonic()
        self._commit()
        return time.monotonic() - began

    def begin(self) -> str:
        """Ask for a backup; return the path of the run."""
        return str(self.admin.post("/api/backup/runs").headers["location"])

    def over(self, path: str) -> bool:
        """Whether a run is."""
        return self.admin.body(path)["ended"] is not None

    def until(self, path: str, *states: str) -> dict[str, Any]:
        """Wait until a run is in one of some states, or over; return it. Raises RuntimeError for one that failed."""
        end = time.monotonic() + _RUN_SECONDS
        while (run := self.admin.body(path))["status"] not in {*states, "finished"}:
            if time.monotonic() > end:
                raise RuntimeError(f"not over in {_RUN_SECONDS} s: {run}")
            time.sleep(_LOOK_SECONDS)
        if run["result"] not in {None, "succeeded"}:
            raise RuntimeError(run["message"])
        return dict(run)

    def processor(self) -> float:
        """Return the seconds of processor time that the server and all that it started took so far."""
        seconds = 0.0
        for one in self._processes():
            with suppress(psutil.NoSuchProcess):
                seconds += sum(one.cpu_times()[:4])
        return seconds

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at the memory of the server, of its programs and of its memory files while a block runs."""
        over, idle = threading.Event(), self._held()

        def watch() -> None:
            while not over.wait(_LOOK_SECONDS):
                self.grown.append(self._held() - idle)

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()

    def _processes(self) -> list[psutil.Process]:
        """The server first, then its programs."""
        assert self.server.process  # noqa: S101 - it runs
        first = psutil.Process(self.server.process.pid)
        return [first, *first.children(recursive=True)]

    def _held(self) -> int:
        held = 0
        for one in self._processes():
            with suppress(psutil.NoSuchProcess):
                held += one.memory_full_info().pss  # a program that is about to begin shares all of the server's
        for link in Path(f"/proc/{self._processes()[0].pid}/fd").iterdir():
            with suppress(OSError):
                held += link.stat().st_blocks * 512 if str(link.readlink()).startswith("/memfd:") else 0
        return held

    def _write(self, method: str, path: str, value: Any) -> Any:
        answer = self.admin.send(method, path, value)
        if answer.status_code not in {200, 201}:
            raise RuntimeError(answer.text)
        return answer.json()

    def _commit(self) -> None:
        answer = self.admin.commit()
        if answer.status_code != 200:  # noqa: PLR2004 - OK
            raise RuntimeError(answer.text)
