"""The list of restores stays of one length, however long the server runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorward.backup.restore import records
from doorward.backup.restore.records import Restore, Restores
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault


def test_the_oldest_restores_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "KEPT", 3)
    store = SqliteStore(tmp_path / "doorward.db", Vault(bytes(32)))
    kept = Restores(store)
    for number in range(5):
        restore = kept.save(Restore({"upload": "u"}, "configuration", "keep", dry_run=True, author="admin", id=str(number)))
        kept.save(restore.finished("succeeded"))
    assert [restore.id for restore in kept.find()] == ["4", "3", "2"]
    store.close()
