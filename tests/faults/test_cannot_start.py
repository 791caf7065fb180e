"""A server that can't start says plainly why, with exit code 1, and leaves what is there alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.server import Server, running

MAY_NOT = "-dac_override,-dac_read_search"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in order."""
    server = Server(tmp_path_factory.mktemp("whole") / "state").start()
    assert server.stop() == 0
    return server.state


def refusal(state: Path, *words: str) -> str:
    """What a server says that can't start."""
    server = Server(state)
    server.start(wait=False)
    assert server.process
    try:
        assert server.process.wait(30) == 1
    finally:
        server.stop()
    said = "".join(server.errors)
    assert "Traceback" not in said
    assert "".join(server.output) == ""
    assert said.startswith("doorward can't start: "), said
    assert said.count("\n") == 1, said
    for word in words:
        assert word in said
    return said


def overwritten(path: Path, at: int, data: bytes) -> None:
    """Write over a part of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def garbage_header(state: Path) -> None:
    overwritten(state / "doorward.db", 0, b"no database at all, just text" * 8)


def garbage_inside(state: Path) -> None:
    overwritten(state / "doorward.db", 4096, os.urandom((state / "doorward.db").stat().st_size - 4096))


def cut_off(state: Path) -> None:
    os.truncate(state / "doorward.db", 4096 * 2)


def other_database(state: Path) -> None:
    (state / "doorward.db").unlink()
    with closing(sqlite3.connect(state / "doorward.db")) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def later_format(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE name = 'format'")


def no_documents(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE documents")


def garbage_document(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        connection.execute("UPDATE documents SET body = '{\"timeout\":' WHERE path LIKE '%/webinterface'")


def wrong_document(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        connection.execute("UPDATE documents SET body = '\"soon\"' WHERE path LIKE '%/webinterface'")


@pytest.mark.parametrize("damage", [garbage_header, garbage_inside, cut_off, other_database, later_format, no_documents])
def test_a_damaged_database_is_named(whole: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    damage(state)
    refusal(state, str(state / "doorward.db"))


@pytest.mark.parametrize("damage", [garbage_document, wrong_document])
def test_a_damaged_part_of_the_configuration_is_named(whole: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    damage(state)
    refusal(state, "/api/configuration/management/webinterface")


def test_a_clean_end_leaves_everything_in_one_file(whole: Path) -> None:
    assert sorted(path.name for path in whole.glob("doorward.db*")) == ["doorward.db"]


def test_a_missing_data_key_is_named_and_not_made_anew(whole: Path, tmp_path: Path) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    (state / "data.key").unlink()
    refusal(state, str(state / "data.key"), "missing")
    assert not (state / "data.key").exists()


@pytest.mark.parametrize("key", [b"", b"short", bytes(64)])
def test_a_data_key_that_is_none_is_named(whole: Path, tmp_path: Path, key: bytes) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    (state / "data.key").write_bytes(key)
    refusal(state, "data key", "32")


def test_the_data_key_of_another_appliance_is_named(whole: Path, tmp_path: Path) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    (state / "data.key").write_bytes(os.urandom(32))
    refusal(state, "data key")


def test_what_clients_trust_is_written_anew(whole: Path, tmp_path: Path) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    (state / "tls" / "ca.pem").write_bytes(b"-----BEGIN NOTHING-----\n\xff")
    with running(state) as server:
        assert server.client().get("/api/setup").json()["status"] == "completed"


def test_a_state_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("")
    refusal(state, str(state))


@pytest.mark.parametrize("name", ["", "data.key", "doorward.db", "lock", "tls", "root"])
def test_what_may_not_be_read_is_named(whole: Path, tmp_path: Path, name: str) -> None:
    """Root may read everything, unless the capability for it is taken away."""
    state = shutil.copytree(whole, tmp_path / "state")
    shutil.rmtree(state / "run", ignore_errors=True)
    (state / name).chmod(0)
    lowered = ("setpriv", f"--bounding-set={MAY_NOT}", f"--inh-caps={MAY_NOT}", "--") if os.geteuid() == 0 else ()
    command = [*lowered, sys.executable, "-m", "doorward", "serve", "--state", str(state), "--listen", "127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("doorward can't start: "), done.stderr
    assert str(state) in done.stderr
