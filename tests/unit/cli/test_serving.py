"""Real processes: the first start, the lock, and plain words where a start is impossible."""

from __future__ import annotations

import hashlib
import re
import socket
import sqlite3
import ssl
import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Server, running, until
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a password in its environment."""
    with running(tmp_path_factory.mktemp("serving") / "state", environment={"DOORWARD_ADMIN_PASSWORD": ""}, plain=True) as made:
        yield made


def ended(server: Server) -> tuple[int, str]:
    """Exit code and error output of a server that could not start."""
    server.start(wait=False)
    process = server.process
    assert process is not None
    code = process.wait(PATIENCE)
    assert until(lambda: server.errors, what="the reason")
    return code, "".join(server.errors)


def test_the_first_start_makes_a_password_that_only_its_owner_can_read(server: Server) -> None:
    kept = server.state / "initial-admin-password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    password = kept.read_text().strip()
    assert len(password) >= 16
    [line] = [line for line in server.output if "First start" in line]
    assert password in line
    assert str(kept) in line
    assert password not in "".join(server.errors)
    assert server.login(password=password).get("/api/user/info").json()["body"]["name"] == "admin"


def test_the_line_of_a_ready_server_names_address_host_and_state(server: Server) -> None:
    [line] = [line for line in server.output if "ready" in line]
    assert re.fullmatch(
        rf"Doorward is ready at https://127\.0\.0\.1:\d+ \(sandbox host, state in {re.escape(str(server.state))}\)\.\n", line
    )


def test_the_first_start_tells_the_fingerprint_of_its_certificate(server: Server) -> None:
    [line] = [line for line in server.output if "fingerprint" in line]
    shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", server.port)))
    assert hashlib.sha256(shown).digest().hex(":").upper() in line


def test_everything_that_is_kept_is_readable_by_its_owner_only(server: Server) -> None:
    assert stat.S_IMODE(server.state.stat().st_mode) == 0o700
    for name in ("data.key", "doorward.db", "lock", "tls/ca.pem"):
        assert stat.S_IMODE((server.state / name).stat().st_mode) == 0o600, name


def test_a_second_server_on_the_same_state_says_who_has_it(server: Server) -> None:
    assert server.process is not None
    code, said = ended(Server(server.state, plain=True))
    assert code == 1
    reason = f"Another server (process {server.process.pid}) uses the state directory {server.state}."
    assert said == f"doorward can't start: {reason}\n"
    assert server.client().get("/api/setup").json()["status"] == "completed"


def test_a_port_in_use_is_said_plainly(server: Server, tmp_path: Path) -> None:
    other = Server(tmp_path / "state")
    other.options = ("--listen", f"127.0.0.1:{server.port}")
    code, said = ended(other)
    assert code == 1
    assert f"doorward can't start: Can't listen on 127.0.0.1:{server.port}: Address already in use." in said
    assert "Traceback" not in said


def test_a_configured_port_in_use_is_said_plainly(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        where = f"127.0.0.1:{server.port}"
    with socket.create_server(("127.0.0.1", server.port)):
        code, said = ended(Server(tmp_path / "state"))
    assert code == 1
    assert said.endswith(f"doorward can't start: Listening on {where} failed: Address already in use.\n")
    assert "Traceback" not in said


def test_a_password_of_the_environment_is_not_written_down(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        assert not (server.state / "initial-admin-password").exists()
        assert PASSWORD not in "".join(server.output + server.errors)
        assert server.login().get("/api/user/info").status_code == 200
    assert b"Another" not in (tmp_path / "state" / "lock").read_bytes()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("key", r"The data key .*data\.key is missing"),
        ("database", r"doorward\.db can't be opened: file is not a database"),
        ("format", r"doorward\.db has format 0; this release reads format"),
    ],
)
def test_a_damaged_state_is_said_plainly_and_left_alone(tmp_path: Path, damage: str, reason: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    database = state / "doorward.db"
    if damage == "key":
        sqlite3.connect(database).execute("CREATE TABLE t (x)").connection.close()
    elif damage == "database":
        database.write_bytes(b"something else" * 1000)
        (state / "data.key").write_bytes(bytes(32))
    else:
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE meta (name TEXT, value TEXT)")
        connection.execute("INSERT INTO meta VALUES ('format', '0')")
        connection.commit()
        connection.close()
        (state / "data.key").write_bytes(bytes(32))
    before = database.read_bytes()
    code, said = ended(Server(state))
    assert code == 1
    assert re.search(f"doorward can't start: .*{reason}", said), said
    assert "Traceback" not in said
    assert database.read_bytes() == before


def test_a_state_directory_that_cannot_be_made_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, said = ended(Server(tmp_path / "file" / "state"))
    assert code == 1
    assert re.search(r"doorward can't start: The state directory .* can't be used: Not a directory\.", said), said
