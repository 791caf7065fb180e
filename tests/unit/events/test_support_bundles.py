"""Support bundles: one at a time, and none that nobody asked for."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.access.rights import Rights
from doorward.events.support_bundles import BundleRunningError, Bundles
from doorward.store.port import StoreDamagedError
from tests.unit.transaction.rig import Rig

PIPELINE: Any = object()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    (tmp_path / "rig").mkdir()
    made = Rig(tmp_path / "rig").started()
    yield made
    made.close()


def never_asked() -> dict[str, Any]:
    raise AssertionError("the bundle is not made in these tests")


def test_a_second_bundle_waits_for_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        bundles = Bundles(tmp_path / "bundles", PIPELINE, never_asked)
        first = await bundles.begin(Rights(everything=True))
        with pytest.raises(BundleRunningError) as refused:
            await bundles.begin(Rights(everything=True))
        assert refused.value.key == first.key
        bundles.remove(first)
        second = await bundles.begin(Rights(everything=True))
        assert [bundle.key for bundle in bundles.all()] == [second.key]

    asyncio.run(scenario())


def test_a_bundle_that_can_not_be_made_has_failed(tmp_path: Path) -> None:
    async def scenario() -> str:
        bundles = Bundles(tmp_path / "bundles", PIPELINE, never_asked)
        bundle = await bundles.begin(Rights(everything=True))
        assert bundles._running is not None
        await bundles._running
        await bundles.begin(Rights(everything=True))  # a failed one is in nobody's way
        return bundle.status

    assert asyncio.run(scenario()) == "failed"


def test_bundles_do_not_fill_the_disk(rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        bundles = Bundles(tmp_path / "bundles", rig.pipeline, dict)
        monkeypatch.setattr(Bundles, "_contents", lambda _self, _rights: {"small": b""})
        made = []
        for _ in range(25):
            made.append(await bundles.begin(Rights(everything=True)))
            assert bundles._running is not None
            await bundles._running
        assert bundles.all() == made[-20:]
        assert len(list((tmp_path / "bundles").iterdir())) == 20
        monkeypatch.setattr("doorward.events.support_bundles._KEEP_SECONDS", -1)  # their day is over
        await bundles.begin(Rights(everything=True))
        assert bundles._running is not None
        await bundles._running
        await asyncio.sleep(0)  # what was to be done by now is done first
        assert list((tmp_path / "bundles").iterdir()) == []

    asyncio.run(scenario())


def test_a_bundle_is_cancelled_when_its_maker_lost_the_right(rig: Rig, tmp_path: Path) -> None:
    async def scenario() -> None:
        bundles = Bundles(tmp_path / "bundles", rig.pipeline, dict)
        bundle = await bundles.begin(Rights(everything=True), lambda: False)
        assert bundles._running is not None
        await bundles._running
        assert bundle.status == "cancelled"
        assert not bundle.path.exists()

    asyncio.run(scenario())


def test_bundles_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    left = tmp_path / "bundles" / "left.tar.gz"
    left.parent.mkdir()
    left.write_bytes(b"")
    Bundles(left.parent, PIPELINE, never_asked)
    assert not left.exists()


def test_a_bundle_of_a_broken_node_says_what_it_can(rig: Rig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def damaged(_limit: int) -> list[Any]:
        raise StoreDamagedError("doorward.db can't be read: disk I/O error.")

    def unhealthy() -> dict[str, Any]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(rig.store, "commit_records", damaged)

    async def scenario() -> Path:
        bundles = Bundles(tmp_path / "bundles", rig.pipeline, unhealthy)
        bundle = await bundles.begin(Rights(everything=True))
        assert bundles._running is not None
        await bundles._running
        assert bundle.status == "finished"
        return bundle.path

    with tarfile.open(asyncio.run(scenario())) as archive:
        told = {member.name: json.loads(archive.extractfile(member).read()) for member in archive}  # type: ignore[union-attr]
    assert told["support-bundle/commits.json"] == {"error": "StoreDamagedError: doorward.db can't be read: disk I/O error."}
    assert told["support-bundle/health_status.json"] == {"error": "PermissionError: [Errno 13] Permission denied"}
    assert told["support-bundle/revisions.json"]
    assert told["support-bundle/configuration.json"]
