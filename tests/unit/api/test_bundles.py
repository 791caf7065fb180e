"""Support bundles: one at a time, and none that nobody asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from doorward.api.bundles import Bundles
from doorward.api.errors import Refusal

PIPELINE: Any = object()


def never_asked() -> dict[str, Any]:
    raise AssertionError("the bundle is not made in these tests")


def test_a_second_bundle_waits_for_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        bundles = Bundles(tmp_path / "bundles", PIPELINE, never_asked)
        first = bundles.begin()
        with pytest.raises(Refusal) as refused:
            bundles.begin()
        assert (refused.value.status, refused.value.type) == (409, "Conflict")
        assert first.key in refused.value.details["resource"]
        bundles.remove(first)
        second = bundles.begin()
        assert [bundle.key for bundle in bundles.all()] == [second.key]

    asyncio.run(scenario())


def test_a_bundle_that_can_not_be_made_has_failed(tmp_path: Path) -> None:
    async def scenario() -> str:
        bundles = Bundles(tmp_path / "bundles", PIPELINE, never_asked)
        bundle = bundles.begin()
        assert bundles._running is not None
        await bundles._running
        bundles.begin()  # a failed one is in nobody's way
        return bundle.status

    assert asyncio.run(scenario()) == "failed"


def test_bundles_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    left = tmp_path / "bundles" / "left.tar.gz"
    left.parent.mkdir()
    left.write_bytes(b"")
    Bundles(left.parent, PIPELINE, never_asked)
    assert not left.exists()
