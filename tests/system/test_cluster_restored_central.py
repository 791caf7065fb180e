"""Central Management is lost with its machine and comes back on another one, from a backup that is older than its last change."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.members import NODES, STATUS, ZONE, Member, members
from tests.support.server import until
from tests.system.backup_site import BACKUP, Site, storage


class Impatient(Member):
    """A node that never waits long before it looks for its Central Management again."""

    def __init__(self, state: Path, address: str) -> None:
        super().__init__(state, address)
        self.server.environment["HASTY"] += " doorward.cluster.follower._MAX_BACKOFF=1"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[Member, Member, Path]]:
    """A Central Management, a managed host, and the backup of all of it."""
    with ExitStack() as stack:
        (tmp_path / "storage").mkdir()
        kept = stack.enter_context(storage(tmp_path / "storage"))
        central, node = stack.enter_context(members(tmp_path, 2, Impatient))
        site = Site(central.server, kept)
        site.set_up(encrypted=False)
        central.login()
        node.join(central, "managed-host", "search-local")
        central.write(ZONE, "Europe/Vienna")
        central.settled(node)
        run = site.back_up()
        assert run["result"] == "succeeded", run
        yield central, node, kept.config / run["files"][0]["name"]


def restored(machine: Member, archive: Path, signer: str, url: str) -> Any:
    """Make a machine what an archive holds; the outcome. With its network it moves to another URL, with other accounts."""
    data = {"Content-Type": "application/octet-stream"}
    upload = machine.client.post("/api/upload/backup", content=archive.read_bytes(), headers=data)
    assert upload.status_code == 201, upload.text
    order = {
        "source": {"selection": "upload", "value": upload.json()["key"]}, "accept_signer": signer, "network": "restore",
        "scope": "system", "take_over": True,
    }  # fmt: skip
    begun = machine.client.post(f"{BACKUP}/restores", order)
    assert begun.status_code == 202, begun.text
    seen: dict[str, Any] = {}

    def over() -> bool:
        try:
            answer = machine.client.get(begun.headers["location"])
            if answer.status_code == 401:
                machine.login()
                return False
        except httpx2.TransportError:
            machine.server.url = url
            with contextlib.suppress(httpx2.TransportError):
                machine.login()
            return False
        assert answer.status_code == 200, answer.text
        seen.update(answer.json()["body"])
        return seen.get("result") is not None

    until(over, 60, "the restore")
    return seen


def test_nodes_follow_a_central_that_comes_back_elsewhere(cluster: tuple[Member, Member, Path], tmp_path: Path) -> None:
    central, node, archive = cluster
    signer = next(item["body"]["fingerprint"] for item in central.client.get(f"{BACKUP}/signing_keys").json()["items"])
    central.write(ZONE, "Europe/Rome")
    central.settled(node)
    before = central.says(node)["configuration_sync"]["applied"]
    central.server.stop()  # its machine is gone for good

    another = Member(tmp_path / "another", central.address)
    another.start()
    try:
        assert restored(another, archive, signer, central.server.url)["result"] == "succeeded"
        another.server.stop()
        another.start()  # with its new identity
        another.id = another.client.get(STATUS).json()["meta"]["self"].rpartition("/")[2]
        assert another.id == central.id
        until(lambda: another.says(node)["sync_status"] == "up-to-date", 60, "the node to follow")
        node.login()
        assert node.body(ZONE) == another.body(ZONE) == "Europe/Vienna"
        applied = another.says(node)["configuration_sync"]["applied"]
        assert applied["epoch"] > before["epoch"]
        another.write(ZONE, "Europe/Lisbon")
        until(lambda: node.body(ZONE) == "Europe/Lisbon")
        assert {item["key"] for item in another.client.get(NODES).json()["items"]} == {central.id, node.id}
    finally:
        another.server.stop()
