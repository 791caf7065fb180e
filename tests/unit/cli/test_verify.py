"""`doorward verify`: one sentence for each thing that is wrong, and nothing changed by looking."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from doorward.cli.main import app
from doorward.host import build
from doorward.host.kinds.job import JobKind
from doorward.host.kinds.listener import ListenerKind
from doorward.host.resources import Job, Listener
from doorward.host.sandbox import sandbox
from doorward.store.anchor import HistoryKey
from doorward.store.port import CommitRecord, Edit, Intent, Revision
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.tree.jsontext import encode
from doorward.tree.places import Place
from tests.support.fake_host import FakeListeners, FakeTable
from tests.support.runner import CliRunner
from tests.unit.transaction.rig import SERVERS, Rig, ip, place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory whose sandbox was brought to its running revision, by a server that could start no daemon."""
    directory = tmp_path / "state"
    directory.mkdir()
    rig = Rig(directory)
    with monkeypatch.context() as patched:
        patched.setattr(build, "find_program", lambda _: None)
        rig.pipeline.host = sandbox(directory)
        rig.pipeline.host.handle(Listener, ListenerKind(FakeListeners()))
        rig.pipeline.host.handle(Job, JobKind({"core_files": FakeTable()}))
        rig.pipeline.host.start()
        rig.pipeline.recover()
        rig.committed((SERVERS, [ip("192.0.2.123")]))
        rig.pipeline.host.stop()
    rig.close()
    return directory


def verify(directory: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify", "--state", str(directory), *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def statement(directory: Path, sql: str) -> None:
    connection = sqlite3.connect(directory / "doorward.db")
    connection.execute(sql)
    connection.commit()
    connection.close()


def content(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal"))
    }


def test_a_whole_state_is_said_to_be_whole_and_left_as_it_is(state: Path) -> None:
    before = content(state)
    assert verify(state) == (0, "The history is whole and the host is as the running revision says.\n")
    assert content(state) == before


def test_a_daemon_that_is_not_installed_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "find_program", lambda _: None)
    code, output = verify(state)
    assert code == 1
    assert "chronyd is not installed on this machine" in output


def test_a_directory_without_state_is_said_to_be_none(tmp_path: Path) -> None:
    code, output = verify(tmp_path / "nothing")
    assert (code, output) == (1, f"{tmp_path / 'nothing'} holds no state of Doorward.\n")
    assert not (tmp_path / "nothing").exists()


def test_an_altered_history_is_named(state: Path) -> None:
    statement(state, "UPDATE revisions SET author = 'somebody' WHERE number = 2")
    assert verify(state) == (1, "Revision 2 was altered.\n")


def test_several_findings_come_line_by_line(state: Path) -> None:
    statement(state, "UPDATE revisions SET author = 'somebody'")
    code, output = verify(state)
    assert code == 1
    assert output.splitlines() == ["Revision 1 was altered.", "Revision 2 was altered."]


def test_a_host_that_differs_is_named(state: Path) -> None:
    (state / "root/etc/chrony/sources.d/doorward.sources").write_text("server 192.0.2.9 iburst\n")
    (state / "root/etc/timezone").unlink()
    code, output = verify(state)
    assert code == 1
    assert output.splitlines() == [
        "/etc/chrony/sources.d/doorward.sources was changed by someone else",
        "/etc/timezone is missing",
    ]


def test_an_unfinished_commit_is_named(state: Path) -> None:
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    store.begin(Intent("t1", ()), CommitRecord("t1", "admin", "2026-11-21T10:00:00Z"))
    store.close()
    code, output = verify(state)
    assert code == 1
    assert "A commit is unfinished; the next start undoes it." in output.splitlines()


def test_a_missing_data_key_is_named(state: Path) -> None:
    (state / "data.key").unlink()
    code, output = verify(state)
    assert code == 1
    assert output == f"The data key {state / 'data.key'} is missing; without it the secrets can't be opened.\n"
    assert not (state / "data.key").exists()


def test_a_text_of_the_database_that_can_not_be_read_is_named(state: Path) -> None:
    statement(state, "UPDATE changes SET path = CAST(X'2fe4' AS TEXT) WHERE ordinal = 1 AND revision = 1")
    code, output = verify(state)
    assert code == 1
    assert "can't be read: Could not decode to UTF-8 column" in output


def test_an_index_that_does_not_fit_its_table_is_named(state: Path) -> None:
    connection = sqlite3.connect(state / "doorward.db")
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_secrets_1'").fetchone()[0]
    connection.close()
    with (state / "doorward.db").open("r+b") as file:
        file.seek(page * 4096 - 10)  # within the first cell of the page
        file.write(b"x")
    code, output = verify(state)
    assert code == 1
    assert f"{state / 'doorward.db'} is damaged: " in output


def test_a_secret_that_can_not_be_opened_is_named(state: Path) -> None:
    statement(state, "INSERT INTO secrets VALUES ('k1', 'hash', X'00112233445566778899aabbccddeeff00112233445566778899aabbcc')")
    code, output = verify(state)
    assert code == 1
    assert output == "The secret k1:hash was altered, or the data key is not the one it was sealed with.\n"


@pytest.mark.parametrize("name", ["backup/signing-key.pem", "cluster/node-key.pem", "history-key.pem"])
def test_a_key_that_is_none_is_named(state: Path, name: str) -> None:
    (state / name).parent.mkdir(exist_ok=True)
    (state / name).write_text("-----BEGIN NOTHING-----\n")
    code, output = verify(state)
    assert code == 1
    assert name in output
    assert len(output.splitlines()) == 1


def test_a_file_that_is_no_database_is_named(state: Path) -> None:
    (state / "doorward.db").write_bytes(b"something else" * 1000)
    code, output = verify(state)
    assert code == 1
    assert "can't be opened: file is not a database" in output


def test_a_database_with_damaged_pages_is_named(state: Path) -> None:
    path = state / "doorward.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    code, output = verify(state)
    assert code == 1
    assert "malformed" in output
    assert "Traceback" not in output


def test_a_state_of_another_release_is_not_brought_up_to_date_by_looking(state: Path) -> None:
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    gone = Edit(Place("/api/configuration/gone"), None, encode(1))
    missing = Edit(place("management/webinterface"), encode({"timeout": 10}), None)
    store.publish(Revision(3, "admin", "", "2026-11-21T10:00:00Z", None, 2), [gone, missing])
    store.close()
    verify(state)
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False))
    head = store.head()
    store.close()
    assert head is not None
    assert head.number == 3


def test_an_anchor_shows_that_the_end_of_the_history_is_missing(state: Path, tmp_path: Path) -> None:
    HistoryKey.at(state)
    store = SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), key=HistoryKey.at(state))
    anchor, newest = store.anchor(), store.head()
    store.close()
    assert anchor is not None
    assert newest is not None
    kept = tmp_path / "anchors.log"
    kept.write_text(f"<30>1 - - doorward history head head={encode(anchor.as_json()).decode()}\n")
    whole = "The history is whole and the host is as the running revision says.\n"
    assert verify(state, "--anchor", str(kept)) == (0, whole)
    kept.write_text(encode(replace(anchor, number=anchor.number + 1).as_json()).decode())
    code, output = verify(state, "--anchor", str(kept))
    assert (code, "was altered" in output) == (1, True)
    key = HistoryKey.read(state)
    assert key is not None
    later = replace(newest, number=newest.number + 1)
    cut_off = replace(anchor, number=later.number, signature=key.sign(later.number, later.hash, later.time))
    kept.write_text(encode(cut_off.as_json()).decode())
    code, output = verify(state, "--anchor", str(kept))
    assert (code, output) == (
        1, f"The history was cut off: the anchor names revision {later.number}, and the newest one is revision {newest.number}.\n"
    )  # fmt: skip


def test_a_file_without_anchors_proves_nothing(state: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    assert verify(state, "--anchor", str(empty)) == (1, f"{empty} can't be read: No such file or directory.\n")
    empty.write_text("{}")
    assert verify(state, "--anchor", str(empty)) == (1, f"{empty} holds no anchor: no signed head of a history.\n")
