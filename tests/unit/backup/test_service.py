"""Work that fails on this very node: said as what it is, and in nobody's way afterwards."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from doorward.backup.checking import Checks
from doorward.backup.failure import BackupError
from doorward.backup.records import Drill
from doorward.backup.schedule import DueJobs
from doorward.backup.service import Backups
from doorward.events.notifications import Notifications
from doorward.store.port import StoreDamagedError
from tests.support.server import until
from tests.unit.backup.parts import Site
from tests.unit.configuration.policies.samples import BACKUP_NFS


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    """The backups of a node on which no file can be made for them."""
    site = Site(tmp_path / "node")
    notifications = Notifications(site.rig.pipeline, site.directory)
    made = Backups(site.node, DueJobs(site.rig.store), notifications, Checks(site.node), lambda _key: tmp_path / "upload")
    made._drilling.start()
    yield made
    made._drilling.stop()
    site.rig.close()


@pytest.fixture(autouse=True)
def no_room(backups: Backups) -> None:
    (backups.node.state / "backup" / "spool").write_text("in the way")


def test_a_drill_whose_record_can_not_be_kept_is_in_the_log_and_over(backups: Backups, monkeypatch: pytest.MonkeyPatch) -> None:
    save = backups.drills.save

    def broken(drill: Drill) -> Drill:
        if drill.finished:
            raise StoreDamagedError("The disk does not answer.")
        return save(drill)

    monkeypatch.setattr(backups.drills, "save", broken)
    with capture_logs() as records:
        for _ in range(2):  # the first one does not stand in the way of the second
            drill = backups.drill_upload("any", None, "alice")
            assert drill is not None
            until(lambda drill=drill: {"drill": drill.id, "event": KEPT} in [_named(record) for record in records])  # type: ignore[misc]
            until(lambda: backups._drill is None)


KEPT = "the record of a restore drill could not be kept"


def _named(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record.get(name) for name in ("drill", "event")}


def test_what_is_on_the_target_can_not_be_looked_at(backups: Backups) -> None:
    with pytest.raises(BackupError) as failed:
        backups.files(BACKUP_NFS, 10, 0)
    assert (failed.value.code, failed.value.message) == ("store_error", "On this node: Not a directory.")


def test_a_target_can_not_be_tried(backups: Backups) -> None:
    assert backups.try_target(BACKUP_NFS["target"], per_node=False)["code"] == "store_error"


def test_host_keys_can_not_be_read(backups: Backups) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert backups.host_keys("127.0.0.1", listening.getsockname()[1])["code"] == "store_error"
