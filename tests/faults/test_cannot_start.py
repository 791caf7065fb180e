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

from doorward.cluster.keys import NodeKey, NodeKeyError
from tests.support.server import Server, running
from tests.support.waiting import PATIENCE

MAY_NOT = "-dac_override,-dac_read_search"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory in order."""
    server = Server(tmp_path_factory.mktemp("whole") / "state").start()
    assert server.stop() == 0
    return server.state


def refusal(state: Path, *words: str, options: tuple[str, ...] = (), code: int = 1) -> str:
    """What a server says that can't start."""
    server = Server(state, options=options)
    server.start(wait=False)
    assert server.process
    try:
        assert server.process.wait(PATIENCE) == code
    finally:
        server.stop()
    # The state has its password, so that the one of the environment is ignored with a notice.
    # Under another data key the rows do not fit their tally, and the log says that before.
    others = ("DOORWARD_ADMIN_PASSWORD is ignored", "the tally of the rows was altered")
    said = "".join(line for line in server.errors if not any(other in line for other in others))
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


def unreadable_schema(state: Path) -> None:
    """SQLite shows the broken text in its message, which is then no UTF-8 either."""
    data = (state / "doorward.db").read_bytes()
    overwritten(state / "doorward.db", data.index(b"tabledocuments") - 4, b"\xff\xff")


def later_release(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        assert connection.execute("UPDATE meta SET value = '0.99.7' WHERE name = 'release'").rowcount == 1


@pytest.mark.parametrize(
    "damage",
    [unreadable_schema, garbage_header, garbage_inside, cut_off, other_database, no_documents],
)
def test_a_damaged_database_is_named(whole: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    damage(state)
    refusal(state, str(state / "doorward.db"))


@pytest.mark.parametrize("newer", [later_release, later_format])
def test_a_database_of_a_newer_release_is_named(whole: Path, tmp_path: Path, newer: Callable[[Path], None]) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    newer(state)
    refusal(state, str(state / "doorward.db"), "Nothing was changed", code=78)


def valid_but_other(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        sql = "UPDATE documents SET body = replace(body, '\"timeout\":10', '\"timeout\":11') WHERE path LIKE '%/webinterface'"
        connection.execute(sql)


def gone_document(state: Path) -> None:
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        connection.execute("DELETE FROM documents WHERE path LIKE '%/webinterface'")


@pytest.mark.parametrize("damage", [garbage_document, wrong_document, valid_but_other, gone_document])
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


def test_the_key_of_the_web_server_that_was_altered_is_named(whole: Path, tmp_path: Path) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    with closing(sqlite3.connect(state / "doorward.db", isolation_level=None)) as connection:
        sealed = "UPDATE secrets SET sealed = zeroblob(length(sealed)) WHERE form = 'sealed'"
        assert connection.execute(sealed).rowcount
    refusal(state, "secret", "altered")


@pytest.mark.parametrize("name", ["backup/signing-key.pem", "cluster/node-key.pem", "history-key.pem"])
@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none_is_named(whole: Path, tmp_path: Path, name: str, content: bytes) -> None:
    state = shutil.copytree(whole, tmp_path / "state")
    (state / name).write_bytes(content)
    refusal(state, name)


def test_every_byte_of_the_key_of_a_node_counts(whole: Path, tmp_path: Path) -> None:
    data = (whole / "cluster" / "node-key.pem").read_bytes()
    inside = [at for at in range(0, len(data), 7) if chr(data[at]).isalnum() and b"-----" not in data[at - 30 : at + 30]]
    (tmp_path / "cluster").mkdir()
    for at in inside:
        altered = bytearray(data)
        altered[at] = ord("B") if data[at] == ord("A") else ord("A")
        (tmp_path / "cluster" / "node-key.pem").write_bytes(altered)
        with pytest.raises(NodeKeyError):
            NodeKey.at(tmp_path, "")


def test_commits_behind_a_damaged_place_of_the_log_are_not_dropped(tmp_path: Path) -> None:
    """SQLite alone would start with the revision ahead of the damage, as if the later ones had never been."""
    server = Server(tmp_path / "state").start()
    client = server.login()
    web = "/api/configuration/management/webinterface"
    body = client.body(web)
    for timeout in (31, 32, 33):
        client.post("/api/transaction")
        assert client.put(web, body | {"timeout": timeout}).is_success
        assert client.commit().is_success
    server.kill()
    log = server.state / "doorward.db-wal"
    overwritten(log, log.read_bytes().index(b'"timeout":31'), b'"timeout":41')
    damaged = log.read_bytes()
    refusal(server.state, str(log), "damaged")
    assert log.read_bytes() == damaged


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
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("doorward can't start: "), done.stderr
    assert str(state) in done.stderr


def test_another_port_of_the_cluster_does_not_make_a_commit_definite_that_nobody_confirmed(tmp_path: Path) -> None:
    with running(tmp_path / "state") as server:
        client = server.login()
        assert client.put("/api/configuration/management/webinterface", {"timeout": 33}).status_code == 200
        assert client.put("/api/transaction", {"status": "commit", "confirm_seconds": 3600}).status_code == 200
        server.stop()
        refusal(server.state, "--cluster-port 7555", "awaits its confirmation", options=("--cluster-port", "7555"))
        server.start()
        assert "confirm_remaining_seconds" in server.login().get("/api/transaction").json()["meta"]
