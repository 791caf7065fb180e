"""A new release on the state of old ones, and an old release on the state of a new one."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from doorward.sessions.catalogue.sqlite.tables import FILE
from tests.support import earlier
from tests.support.server import Server, running


@pytest.fixture(params=["1-records", "1-approvals"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return earlier.unpack(request.param, tmp_path / "state")


def contents(state: Path) -> dict[str, bytes]:
    """All files but the lock, which says who looked last, and what SQLite makes to look into a log."""
    return {
        str(path): path.read_bytes()
        for path in state.rglob("*")
        if path.is_file() and path.name != "lock" and not path.name.endswith("-shm")
    }


def test_a_server_serves_what_the_first_and_the_last_of_a_format_left(state: Path) -> None:
    said = verified(state)
    assert "the next start of the server brings it up" in said
    with running(state) as server:
        client = server.login(password=earlier.PASSWORD)
        assert client.body("/api/configuration/datetime/timezone") == "Europe/Budapest"
        names = [user["body"]["name"] for user in client.get("/api/configuration/aaa/local_database/users").json()["items"]]
        assert "jane" in names, names
        client.post("/api/transaction")
        client.put("/api/configuration/datetime/timezone", "Etc/UTC")
        assert client.commit().status_code == 200
    assert verified(state, code=0) == ""


def verified(state: Path, code: int = 1) -> str:
    done = doorward("verify", "--state", str(state))
    assert done.returncode == code, done
    return done.stdout if code else done.stderr


def doorward(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doorward", *arguments]
    return subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["doorward.db", FILE])
def test_a_newer_state_is_refused_by_name(tmp_path: Path, name: str) -> None:
    state = earlier.unpack("1-approvals", tmp_path / "state")
    with closing(sqlite3.connect(state / name)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")
        connection.execute("CREATE TABLE migrations (format INTEGER PRIMARY KEY, release TEXT NOT NULL, time TEXT NOT NULL)")
        connection.execute("INSERT INTO migrations VALUES (99, '3.2.1', 'then')")
        connection.commit()
    before = contents(state)
    server = Server(state, plain=True).start(wait=False)
    assert server.process is not None
    assert server.process.wait() == 78
    server.stop()
    said = "".join(server.errors)
    assert said.startswith(f"doorward can't start: {state / name} was written by release 3.2.1 (format 99); this is release ")
    assert contents(state) == before
