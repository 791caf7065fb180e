"""Files that are kept for a day."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from doorward.backup.temporary_files import TemporaryFiles, TemporaryFilesFullError

if TYPE_CHECKING:
    from tests.unit.backup.parts import Site


def shelf(site: Site) -> TemporaryFiles:
    return TemporaryFiles(site.directory / "shelf", site.rig.store, "test_shelf")


def put(kept: TemporaryFiles, content: bytes) -> str:
    with kept.room() as (name, path):
        path.write_bytes(content)
        return kept.keep(name, size=len(content)).id


def test_files_are_kept_through_a_restart_and_strays_go(site: Site) -> None:
    first = put(shelf(site), b"one")
    (site.directory / "shelf" / "stray").write_bytes(b"of a killed process")
    again = shelf(site)
    second = put(again, b"two")
    assert [kept.id for kept in again.all()] == [second, first]
    assert [path.name for path in sorted((site.directory / "shelf").iterdir())] == sorted([first, second])
    found = again.get(first)
    assert found is not None
    assert (again.place(found).read_bytes(), found.body["size"]) == (b"one", 3)


def test_after_a_day_they_are_gone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = shelf(site)
    name = put(kept, b"one")
    now = time.time()
    monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now + 23 * 3600)
    assert kept.get(name) is not None
    monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now + 25 * 3600)
    assert kept.path(name) is None
    assert list((site.directory / "shelf").iterdir()) == []
    assert site.rig.store.records("test_shelf") == []


def test_a_clock_that_is_set_back_keeps_them_no_longer_than_a_day(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, now = shelf(site), time.time()
    name = put(kept, b"every secret")
    year = 365 * 24 * 3600
    monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now - year)
    assert kept.path(name) is not None
    monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now - year + 25 * 3600)
    assert kept.path(name) is None


def test_what_nobody_asks_for_goes_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, now = shelf(site), time.time()
    put(kept, b"every secret")
    monkeypatch.setattr("doorward.backup.temporary_files.time.time", lambda: now + 25 * 3600)
    shelf(site)
    assert list((site.directory / "shelf").iterdir()) == []


def test_only_what_is_on_the_shelf_is_removed(site: Site) -> None:
    kept = shelf(site)
    name = put(kept, b"one")
    (site.directory / "data").write_bytes(b"not yours")
    kept.remove("../data")
    assert (site.directory / "data").exists()
    assert kept.path("../data") is None
    kept.remove(name)
    assert kept.all() == []


def test_there_is_an_end_to_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.backup.temporary_files.MAX_FILES", 2)
    kept = shelf(site)
    names = [put(kept, b"x") for _ in range(2)]
    with pytest.raises(TemporaryFilesFullError):
        put(kept, b"x")
    kept.remove(names[0])
    put(kept, b"y")


def test_what_is_still_being_written_counts_and_goes_when_it_breaks_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.backup.temporary_files.MAX_FILES", 2)
    kept = shelf(site)
    with kept.room() as (_, path):
        path.write_bytes(b"half of it")
        put(kept, b"x")
        with pytest.raises(TemporaryFilesFullError):
            put(kept, b"y")
    assert not path.exists(), "nobody said that it was whole"
    put(kept, b"z")
    assert len(kept.all()) == 2
