"""Looking at a target while this very node has no room: said as what it is, not as an internal error."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from doorward.backup.checking import Checks
from doorward.backup.failure import BackupFailure
from doorward.backup.service import Backups
from doorward.backup.table import Table
from doorward.events.senders import Senders
from tests.unit.backup.parts import Site
from tests.unit.configuration.policies.samples import BACKUP_NFS


@pytest.fixture
def backups(tmp_path: Path) -> Iterator[Backups]:
    """The backups of a node on which no file can be made for them."""
    site = Site(tmp_path / "node")
    senders = Senders(site.rig.pipeline, site.directory)
    yield Backups(site.node, Table(site.rig.store), senders, Checks(site.node), lambda _key: None)
    site.rig.close()


@pytest.fixture(autouse=True)
def no_room(backups: Backups) -> None:
    (backups.node.state / "backup" / "spool").write_text("in the way")


def test_what_is_on_the_target_can_not_be_looked_at(backups: Backups) -> None:
    with pytest.raises(BackupFailure) as failed:
        backups.files(BACKUP_NFS, 10, 0)
    assert (failed.value.code, failed.value.message) == ("store_error", "On this node: Not a directory.")


def test_a_target_can_not_be_tried(backups: Backups) -> None:
    assert backups.try_target(BACKUP_NFS["target"], per_node=False)["code"] == "store_error"


def test_host_keys_can_not_be_read(backups: Backups) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        assert backups.host_keys("127.0.0.1", listening.getsockname()[1])["code"] == "store_error"
