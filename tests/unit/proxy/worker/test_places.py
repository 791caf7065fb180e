"""The directories of workers, in a state directory whose server may have been taken over."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from doorward.proxy.worker.places import Places, main

OTHER = 65_533


def facts(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


def test_they_are_made_and_given_with_what_is_in_them(tmp_path: Path) -> None:
    places = Places.of(tmp_path)
    places.prepare()
    assert [facts(path)[2] for path in (places.sockets, places.trails)] == [0o700, 0o700]
    (places.trails / "left.dwr").touch()
    places.prepare(OTHER, OTHER)
    assert [facts(path) for path in (places.sockets, places.trails)] == [(OTHER, OTHER, 0o2770)] * 2
    assert facts(places.trails / "left.dwr")[:2] == (OTHER, OTHER)


@pytest.mark.parametrize("name", ["workers", "trails"])
def test_root_is_led_to_no_other_directory(tmp_path: Path, name: str) -> None:
    other = tmp_path / "etc"
    other.mkdir()
    (other / "shadow").touch(0o640)
    before = facts(other), facts(other / "shadow")
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / name).symlink_to(other)
    with pytest.raises(NotADirectoryError):
        Places.of(tmp_path / "state").prepare(OTHER, OTHER)
    assert (facts(other), facts(other / "shadow")) == before


def test_nor_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "shadow"
    file.touch(0o640)
    before = facts(file)
    places = Places.of(tmp_path / "state")
    places.prepare()
    os.link(file, places.sockets / "one")
    (places.sockets / "other").symlink_to(file)
    places.prepare(OTHER, OTHER)
    assert facts(file) == before
    assert facts(places.sockets) == (OTHER, OTHER, 0o2770)


def test_an_installation_makes_them_or_says_why_it_can_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "nobody", "daemon"]) == 0
    assert facts(tmp_path / "trails") == (pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("daemon").pw_gid, 0o2770)
    (tmp_path / "trails").rename(tmp_path / "aside")
    (tmp_path / "trails").symlink_to("/etc")
    assert main([str(tmp_path), "nobody", "daemon"]) == 1
    assert "can't be used: [Errno 20] Not a directory" in capsys.readouterr().err
