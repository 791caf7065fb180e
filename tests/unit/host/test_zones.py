"""Time zone names of the node."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

import pytest

from doorward.host import zones
from doorward.host.kinds.zone import ZoneKind
from doorward.host.plan import Change
from doorward.host.resources import Zone
from doorward.host.zones import host_zone, is_zone

if TYPE_CHECKING:
    from pathlib import Path


def test_every_name_that_python_knows_and_the_node_has_is_a_zone() -> None:
    for name in zoneinfo.available_timezones():
        assert is_zone(name) == ((zones.DATABASE / name).is_file() and name not in {"Factory", "localtime"}), name


@pytest.mark.parametrize(
    "name",
    ["", "/", ".", "..", "Factory", "localtime", "posixrules", "tzdata.zi", "zone.tab", "Europe", "Europe/", "Europe//Vienna",
     "europe/vienna", "posix/UTC", "right/UTC", "/UTC", "/usr/share/zoneinfo/UTC", "./UTC", "Europe/../UTC", "../zoneinfo/UTC",
     "../../../etc/passwd", "UTC\0", "\ud800", "Nowhere/Land"],
)  # fmt: skip
def test_other_names_are_no_zones(name: str) -> None:
    assert not is_zone(name)


def test_only_what_the_node_has_is_a_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Etc").mkdir()
    (tmp_path / "Etc/UTC").write_bytes(b"TZif2")
    (tmp_path / "Etc/GMT").write_bytes(b"# TZif")
    monkeypatch.setattr(zones, "DATABASE", tmp_path)
    assert is_zone("Etc/UTC")
    assert not is_zone("Etc/GMT")
    assert not is_zone("Europe/Vienna")


def test_a_node_without_database_has_the_zones_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zones, "DATABASE", tmp_path / "none")
    assert is_zone("Europe/Vienna")
    assert not is_zone("Factory")
    assert not is_zone("Nowhere/Land")


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
    assert is_zone(host_zone())


@pytest.mark.parametrize(("is_sandbox", "said"), [(False, "Other running programs keep"), (True, "In the sandbox ")])
def test_a_link_that_moves_is_told_by_what_kind_of_host_it_is(is_sandbox: bool, said: str) -> None:
    kind = ZoneKind(lambda _link: zoneinfo.ZoneInfo("UTC"), sandbox=is_sandbox)
    zone = Zone("Asia/Tokyo", origin="/api/configuration/datetime/timezone")
    action, [warning] = kind.plan(Change(zone, None), {zone.link})
    assert (action, warning.code, warning.origin) == (None, "other_processes", zone.origin)
    assert warning.message.startswith(said)
    assert kind.plan(Change(zone, zone), {"/etc/timezone"}) == (None, [])
    assert kind.plan(Change(None, zone), {zone.link}) == (None, [])
