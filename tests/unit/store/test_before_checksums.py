"""A state from before records had checksums opens, and everything in it is what it was."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from doorward.backup.records import Drill, Log, Run
from doorward.backup.restore.records import Restores
from doorward.backup.schedule import JobMemory
from doorward.backup.temporary_files import KeptFile
from doorward.cluster import following, ledger, statuses
from doorward.cluster.pairing import PskLife
from doorward.cluster.peers import Peers, psk_life
from doorward.events.mail import Mail
from doorward.store.port import SEALED_FILE
from doorward.store.records import Records
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.startup import node_id
from tests.unit.store.samples import commit_record

VAULT = Vault(bytes(32))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "doorward.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / "before_checksums.sql").read_text(encoding="utf-8"))
    return path


def test_every_record_is_what_it_was(database: Path) -> None:
    for _ in range(2):
        with closing(SqliteStore(database, VAULT)) as store:
            assert (store.check(), store.check_records()) == ([], [])
            assert node_id(store) == "fb821932-0000-4000-8000-000000000001"
            assert [one.id for one in store.commit_records()] == ["failed", "t4", "t3", "t2", "t1"]
            assert store.commit_record("k2", "-1") == commit_record(
                "t2", state="done", finished="2026-11-21T10:00:09Z", revision=2, warnings=[{"code": "x", "message": "é"}],
                idempotency_key="k2", request="r", results=[{"status": 200}],
            )  # fmt: skip
            [sealed] = store.records(SEALED_FILE)
            assert VAULT.open(sealed.id, base64.b64decode(sealed.body["sealed"])) == "a key"
            run = Log(store, Run).get("r1")
            assert run is not None
            assert (run.result, run.files) == ("succeeded", [{"name": "n", "sha256": "s", "size": 1}])
            [drill], [restore] = Log(store, Drill).find(), Restores(store).find()
            assert (drill.result, drill.levels["stored"]["passed"]) == ("passed", None)
            assert (restore.scope, restore.dry_run, restore.commit_id) == ("system", True, "t1")
            assert Records(store, "backup", JobMemory).find() == [
                JobMemory("p", {"02:30": datetime(2026, 11, 21, tzinfo=UTC)}, ("2026-11-21 02:30",))
            ]
            assert Peers(store).all()["46f9"].certificate == b"a certificate"
            assert psk_life(store, "psk1", 1002.0) == PskLife(87400.0, b"\x01\x02", 1001.0)
            assert Records(store, "mail", Mail).find() == [Mail("m1", "a@example.com", "S", "T\n", 1.5, 2.0)]
            [upload] = Records(store, "backup_upload", KeptFile).find()
            assert upload.body == {
                "created": "2026-11-21T10:00:00Z", "expires": "2026-11-22T10:00:00Z", "sha256": "s", "size": 3
            }  # fmt: skip
            assert [one.header.at for one in Records(store, ledger.KIND, ledger._Noted).find()] == [(1, 1)]
            [seen] = Records(store, "cluster_status", statuses.Seen).find()
            assert (seen.id, seen.at, seen.report.fqdn) == ("46f9", 1000.5, "n")
            assert [one.at for one in Records(store, "cluster_removal", following._Removal).find()] == ["2026-11-21T10:00:00Z"]
            assert store.records(following.KIND) == []


@pytest.mark.parametrize("column", ["body", "kind", "id"])
def test_damage_that_was_there_before_does_not_keep_it_from_opening(database: Path, column: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"UPDATE records SET {column} = CAST(x'7bff' AS TEXT) WHERE number = 2")  # noqa: S608
        connection.execute("UPDATE commits SET warnings = '{' WHERE id = 't3'")
        connection.commit()
    with closing(SqliteStore(database, VAULT)) as store:
        assert len(found := store.check_records()) == 2
        assert "The commit record t3 is damaged and left out." in found
        assert store.records(SEALED_FILE) == []
        assert node_id(store) == "fb821932-0000-4000-8000-000000000001"
