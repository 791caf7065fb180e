"""Exports whose author lost the right before they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from doorward.api.backup.exports import Exports
from doorward.api.errors import ApiError
from doorward.api.request import Request
from doorward.backup.temporary_files import TemporaryFiles
from tests.unit.backup.parts import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "node")
    yield made
    made.rig.close()


def test_an_export_whose_author_lost_the_right_is_not_kept(site: Site) -> None:
    shelf = TemporaryFiles(site.directory / "exports", site.rig.store, "export")
    request = Request("POST", ("api", "backup", "exports"), {}, _nothing, "1", is_allowed=lambda: False)
    with pytest.raises(ApiError) as refused:
        Exports(site.node, shelf)._made(request, "none", "")
    assert (refused.value.status, refused.value.details["code"]) == (403, "cancelled")
    assert shelf.all() == []
    assert list((site.directory / "exports").iterdir()) == []


async def _nothing() -> Any:
    """Receive nothing."""
