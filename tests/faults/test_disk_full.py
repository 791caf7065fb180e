"""No space left: a commit is refused, everything stays as it was and goes on, and works when there is space again."""

from __future__ import annotations

import base64
import gc
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx2
import pytest

from doorward.host.errors import HostError
from doorward.store.anchor import HistoryKey
from doorward.store.port import StoreDamagedError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.faults.checks import (
    NTP,
    USERS,
    Seen,
    accepted,
    check,
    issues,
    look,
    refused,
    servers,
    write_everything,
    write_servers,
    write_web,
)
from tests.faults.full_disk import Disk, ShortFiles, small_disk
from tests.support import earlier
from tests.support.server import QUICK, Client, Server, until
from tests.support.waiting import PATIENCE

COMMIT = {"commit_message": "x" * 4000, "status": "commit"}
"""A long message makes the record of the revision need space."""


WITHOUT_ROOM = "doorward.store.log.BYTES=0"
"""The log of the store has no space of its own, which would let commits through for a while."""


@pytest.fixture(params=["a full disk", "a limit on files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "a limit on files":
        yield ShortFiles()
        return
    with small_disk(tmp_path / "disk") as made:
        yield made


@pytest.fixture
def server(disk: Disk, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "disk").mkdir(exist_ok=True)
    made = Server(tmp_path / "disk" / "state", QUICK, {"HASTY": WITHOUT_ROOM}).start()
    yield made
    made.stop()


def commit(client: Client) -> httpx2.Response:
    """A commit with a long message."""
    return client.put("/api/transaction", COMMIT)


@pytest.mark.parametrize("write", [write_web, write_servers, write_everything])
def test_a_commit_without_space_is_refused_and_works_later(server: Server, disk: Disk, write: object) -> None:
    assert callable(write)
    client, other = server.login(), server.login()
    write_servers(client, 1)
    accepted(commit(client))
    before = look(other)
    write(client, 2)
    after = look(client)
    disk.fill(server)
    assert refused(commit(client))
    assert refused(commit(client))
    # It goes on: reads, the candidate, a login.
    assert look(other) == before
    assert look(client) == after
    assert accepted(client.get("/api/transaction")).json()["body"]["status"] == "open"
    assert accepted(client.get("/api/transaction/changes")).json()["changes"]
    assert look(server.login()) == before
    assert issues(other) == {"errors": [], "warnings": []}
    disk.free(server)
    accepted(commit(client))
    check(other, server.state, [after], "after a full disk")
    server.kill()
    server.start()
    check(server.login(), server.state, [after], "after a full disk and a kill")


def test_a_commit_that_has_its_room_in_the_log_outlives_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        server = Server(tmp_path / "disk" / "state").start()
        try:
            client = server.login()
            write_web(client, 2)
            after = look(client)
            disk.fill(server)
            accepted(commit(client))
            server.kill()
            disk.free(server)
            server.start()
            check(server.login(), server.state, [after], "after a full disk and a kill")
        finally:
            server.stop()


def test_what_needs_space_besides_commits_is_refused_as_long_as_there_is_none(server: Server, disk: Disk) -> None:
    if isinstance(disk, ShortFiles):  # another error, which is none of space
        return
    client = server.login()
    key = {"public_key": base64.b64encode(bytes(range(32))).decode()}
    disk.fill(server)
    for answer in (
        client.post("/api/upload/backup", content=bytes(1 << 20), headers={"Content-Type": "application/octet-stream"}),
        client.post("/api/backup/exports", {"encryption": {"selection": "none"}}),
        client.post("/api/backup/signing_keys", key),
        client.post("/api/troubleshooting/support-bundle"),
    ):
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
        assert (error["type"], error["details"]["code"]) == ("ServiceUnavailable", "no_local_space")
    assert list(server.state.rglob("*.part")) == []
    assert client.get("/api/troubleshooting/support-bundle").json()["items"] == []
    assert not any("Traceback" in line for line in server.errors)
    disk.free(server)
    accepted(client.post("/api/backup/signing_keys", key))
    bundle = accepted(client.post("/api/troubleshooting/support-bundle")).headers["Location"]
    until(lambda: client.body(bundle)["status"] == "finished")


def test_a_first_start_without_space_says_so_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if isinstance(disk, ShortFiles):  # there is no process yet whose files could be short
            return
        server = Server(tmp_path / "disk" / "state")
        disk.fill(server)
        server.start(wait=False)
        assert server.process
        assert server.process.wait(PATIENCE) == 1
        server.stop()
        said = "".join(server.errors)
        assert said.startswith("doorward can't start: "), said
        assert said.endswith("No space left on device.\n"), said
        disk.free(server)
        server.start()
        assert server.login().body("/api/configuration/management/webinterface")
        assert server.stop() == 0


def test_a_start_without_space_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if isinstance(disk, ShortFiles):  # as above
            return
        server = Server(tmp_path / "disk" / "state").start()
        assert server.stop() == 0
        disk.fill(server)
        server.start(wait=False)
        assert server.process
        assert server.process.wait(PATIENCE) == 1
        server.stop()
        database = server.state / "doorward.db"
        assert "".join(server.errors) == f"doorward can't start: {database} can't be opened: No space left on device.\n"
        disk.free(server)
        server.start()
        assert server.stop() == 0


def test_wherever_the_space_ends_a_migration_is_whole_or_not_at_all(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        if isinstance(disk, ShortFiles):  # as above
            return
        left: list[bool] = []
        is_done = False
        while not is_done:
            state = earlier.unpack("1-records", tmp_path / "disk" / f"state{len(left)}")
            server = Server(state)
            disk.fill(server, leave=len(left) * 8192)
            with suppress(HostError, StoreDamagedError, sqlite3.Error):  # each of them ends a start with a sentence
                opened(state).close()
                is_done = True
            gc.collect()  # what was opened before it failed
            disk.free(server)  # even looking takes some
            left.append(is_brought_up(state))
            store = opened(state)
            assert (store.check(), store.check_records()) == ([], [])
            store.close()
            assert is_brought_up(state)
            shutil.rmtree(state)
    assert left[0] is False, "the old format"
    assert left[-1] is True, "the new one"
    assert left == sorted(left)


def opened(state: Path) -> SqliteStore:
    return SqliteStore(state / "doorward.db", Vault.at(state / "data.key", create=False), key=HistoryKey.at(state))


def is_brought_up(state: Path) -> bool:
    with closing(sqlite3.connect(state / "doorward.db")) as connection:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(revisions)")}
        [[count]] = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'migrations'")
    assert ("approvers" in columns) == bool(count), "half of it"
    return bool(count)


def test_wherever_the_space_ends_the_commit_is_whole_or_not_at_all(server: Server, disk: Disk) -> None:
    client = server.login()
    write_servers(client, 1)
    accepted(commit(client))
    seen: list[Seen] = [look(client)]
    refusals = unknown = 0
    for number in range(2, 26):
        write_everything(client, number)
        wanted = look(client)
        disk.fill(server, leave=(number - 2) * 4096)
        answer = commit(client)
        disk.free(server)
        if answer.is_success:
            seen.append(wanted)
        else:
            restored = refused(answer)
            refusals += 1
            unknown += not restored
            accepted(client.delete("/api/transaction"))
            record = client.body(answer.json()["error"]["details"]["commit"])
            assert (record["state"], record["revision"]) == ("reverted" if restored else "unknown", None)
            assert bool(issues(client)["errors"]) != restored
        assert look(client) == seen[-1]
        write_web(client, number)
        seen.append(look(client))
        accepted(commit(client))
        check(client, server.state, seen[-1:], f"with {number - 2} pages left", unknown=unknown)
    assert refusals
    server.kill()
    server.start()
    check(server.login(), server.state, seen[-1:], "at the end", unknown=unknown)


def test_a_conflict_is_told_without_space(server: Server, disk: Disk) -> None:
    client, other = server.login(), server.login()
    write_servers(client, 1)
    write_servers(other, 2)
    accepted(commit(other))
    disk.fill(server)
    answer = commit(client)
    assert answer.status_code == 409, answer.text
    assert answer.json()["error"]["details"]["paths"] == [NTP]
    accepted(client.delete("/api/transaction"))
    accepted(client.post(USERS, {"name": "ADMIN"}))
    answer = commit(client)
    assert answer.status_code == 400, answer.text
    assert [error["code"] for error in answer.json()["error"]["details"]["errors"]] == ["duplicate"]
    assert client.body(NTP) == servers(2)
    disk.free(server)
