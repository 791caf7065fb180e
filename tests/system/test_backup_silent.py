"""Servers that take a connection and say nothing: who waits for one keeps nobody else waiting, and no server from its end."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2

from tests.support.server import Client, Server, until
from tests.system.backup_support import address
from tests.unit.configuration.policies.samples import BACKUP_SMB

CLIENTS = 40
"""More than there are threads for anything."""
PATIENCE = 40
"""Seconds: twice those that a server gives requests that run; on a target it may work for twenty minutes."""


def asked(work: Callable[[], object]) -> threading.Thread:
    """Ask for something that never comes, in a thread; the end of the server ends it."""

    def run() -> None:
        try:
            work()
        except httpx2.HTTPError:
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def end(server: Server, waiting: list[threading.Thread]) -> None:
    """End a server; those that wait for an answer learn of it."""
    assert server.process
    server.process.send_signal(signal.SIGTERM)
    until(lambda: server.process is not None and server.process.poll() is not None, PATIENCE, "the end of the server")
    for thread in waiting:
        thread.join()
    assert server.stop() == 0


def selected(client: Client, port: int) -> None:
    """Select a policy whose target is a port of this machine."""
    target = {
        "authentication": {"selection": "anonymous"}, "encryption": False, "path": "", "port": port, "protocol_version": "auto",
        "server": address("127.0.0.1"), "share": "backup", "type": "smb",
    }  # fmt: skip
    answer = client.post("/api/configuration/policies/backup_policies", {**BACKUP_SMB, "target": target})
    assert answer.status_code == 201, answer.text
    client.put("/api/configuration/management/system_backup", {"backup_policy": answer.json()["key"]})
    answer = client.commit()
    assert answer.status_code == 200, answer.text


def test_whoever_waits_for_a_silent_server_waits_alone(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with socket.create_server(("127.0.0.1", 0), backlog=2 * CLIENTS) as silent:
        keys = {"port": silent.getsockname()[1], "server": address("127.0.0.1")}
        one, other = server.login(), server.login()
        waiting = [asked(lambda: one.post("/api/backup/host_keys", keys)) for _ in range(CLIENTS)]
        silent.accept()[0].close()
        assert other.get("/api/health_status").status_code == 200
        assert other.get("/api/revisions").status_code == 200
        assert all(thread.is_alive() for thread in waiting), "it took as long as the silent server lets everybody wait"
        end(server, waiting)


def test_a_restore_from_a_silent_server_does_not_keep_a_server_from_its_end(tmp_path: Path) -> None:
    server = Server(tmp_path / "state").start()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        admin = server.login()
        selected(admin, silent.getsockname()[1])
        source = {"selection": "target", "value": "doorward-20261121T230002Z-46f97a58.config"}
        answer = admin.post("/api/backup/restores", {"source": source})
        assert answer.status_code == 202, answer.text
        silent.accept()[0].close()  # to see whether it is there
        talking = silent.accept()[0]
        end(server, [])
        talking.close()
