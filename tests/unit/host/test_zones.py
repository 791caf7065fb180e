"""Time zone names of the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from doorward.host import zones
from doorward.host.zones import host_zone, known_zones

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_known_zones_are_names_only() -> None:
    names = known_zones()
    assert {"Etc/UTC", "Europe/Vienna", "America/New_York"} <= names
    assert not {"Factory", "localtime", "posixrules", "tzdata.zi", "zone.tab"} & names
    assert not [name for name in names if name.startswith(("right/", "posix/"))]


def test_only_what_the_node_has_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Etc").mkdir()
    (tmp_path / "Etc/UTC").write_bytes(b"")
    monkeypatch.setattr(zones, "DATABASE", tmp_path)
    assert known_zones.__wrapped__() == {"Etc/UTC"}


def test_the_zone_of_the_host(tmp_path: Path) -> None:
    assert host_zone(tmp_path) == "Etc/UTC"
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Asia/Tokyo")
    assert host_zone(tmp_path) == "Asia/Tokyo"
    (etc / "timezone").write_text("Europe/Vienna\n")
    assert host_zone(tmp_path) == "Europe/Vienna"
    (etc / "timezone").write_text("Nowhere/Land\n")
    assert host_zone(tmp_path) == "Asia/Tokyo"
    (etc / "localtime").unlink()
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Nowhere")
    assert host_zone(tmp_path) == "Etc/UTC"
    assert host_zone() in known_zones()
