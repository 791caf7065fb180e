"""Files on disk: atomic, exact, and never outside the root."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from doorward.host.errors import HostError, PathRefused
from doorward.host.files import DiskFiles, FileEntry


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def names(directory: Path) -> list[str]:
    return sorted(place.name for place in directory.iterdir())


def test_written_exactly_with_directories(root: Path) -> None:
    disk = DiskFiles(root)
    old_mask = os.umask(0o077)
    try:
        disk.write("/etc/a/b.conf", FileEntry(b"x\0y", 0o640))
    finally:
        os.umask(old_mask)
    assert (root / "etc/a/b.conf").read_bytes() == b"x\0y"
    assert (root / "etc/a/b.conf").stat().st_mode & 0o7777 == 0o640
    assert (root / "etc/a").stat().st_mode & 0o7777 == 0o755
    assert disk.read("/etc/a/b.conf") == FileEntry(b"x\0y", 0o640)
    assert disk.names("/etc/a") == ["b.conf"]


def test_links_are_read_and_replaced_as_links(root: Path) -> None:
    disk = DiskFiles(root)
    disk.write("/etc/localtime", FileEntry(target="/usr/share/zoneinfo/Etc/UTC"))
    assert str((root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Etc/UTC"
    disk.write("/etc/localtime", FileEntry(b"file now"))
    assert not (root / "etc/localtime").is_symlink()
    assert disk.read("/etc/nothing") is None
    disk.remove("/etc/localtime")
    disk.remove("/etc/localtime")
    assert disk.read("/etc/localtime") is None
    assert disk.names("/etc/none") == []


@pytest.mark.parametrize("path", ["etc/a", "/etc/../a", "/etc/./a", "/etc/", "/a\0b", ""])
def test_paths_that_are_not_plain(root: Path, path: str) -> None:
    for act in (DiskFiles(root).read, DiskFiles(root).remove, DiskFiles(root).locate):
        with pytest.raises(PathRefused):
            act(path)


@pytest.mark.parametrize("target", ["{outside}", "../outside", "loop/../../outside"])
def test_a_link_out_of_the_root_is_not_followed(root: Path, tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    root.mkdir()
    (root / "loop").mkdir()
    (root / "way").symlink_to(target.format(outside=tmp_path / "outside"))
    with pytest.raises(PathRefused, match="leads out"):
        DiskFiles(root).write("/way/file", FileEntry(b"x"))
    with pytest.raises(PathRefused, match="leads out"):
        DiskFiles(root).read("/way/file")
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_inside_the_root_is_followed_also_when_the_root_is_reached_by_one(root: Path, tmp_path: Path) -> None:
    (root / "run").mkdir(parents=True)
    (root / "var").symlink_to("run")
    (tmp_path / "alias").symlink_to(root)
    DiskFiles(tmp_path / "alias").write("/var/x", FileEntry(b"x"))
    assert (root / "run/x").read_bytes() == b"x"


def test_a_failed_write_leaves_old_content_and_no_leftover(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = DiskFiles(root)
    disk.write("/a", FileEntry(b"old"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HostError, match="writing /a failed: No space left on device"):
        disk.write("/a", FileEntry(b"new"))
    assert names(root) == ["a"]
    assert (root / "a").read_bytes() == b"old"


def test_file_and_directory_are_synced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = DiskFiles(root)
    disk.write("/a", FileEntry(b"old"))
    synced: list[str] = []
    real = os.fsync

    def note(handle: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", note)
    disk.write("/a", FileEntry(b"new"))
    assert Path(synced[0]).name.startswith(".doorward-")
    assert synced[1] == str(root)


def test_leftovers_of_a_killed_writer_are_swept(root: Path) -> None:
    disk = DiskFiles(root)
    disk.write("/etc/deep/a", FileEntry(b"a"))
    for name in ("etc/.doorward-1.tmp", "etc/deep/.doorward-2.tmp"):
        (root / name).write_bytes(b"")
    (root / "etc/.doorward-kept").write_bytes(b"")
    assert disk.sweep(["/etc", "/etc/none"]) == 1
    assert disk.sweep() == 1
    assert names(root / "etc") == [".doorward-kept", "deep"]
    (root / "etc/deep/.doorward-3.tmp").write_bytes(b"")
    DiskFiles(root).write("/etc/deep/a", FileEntry(b"b"))
    assert names(root / "etc/deep") == ["a"]


def test_what_is_neither_file_nor_link_is_said(root: Path) -> None:
    (root / "etc/dir").mkdir(parents=True)
    (root / "etc/file").write_bytes(b"")
    disk = DiskFiles(root)
    with pytest.raises(HostError, match="neither a file nor"):
        disk.read("/etc/dir")
    with pytest.raises(HostError, match="writing /etc/dir failed: Is a directory"):
        disk.write("/etc/dir", FileEntry(b""))
    with pytest.raises(HostError, match="removing /etc/dir failed"):
        disk.remove("/etc/dir")
    assert disk.read("/etc/file/below") is None
    disk.remove("/etc/file/below")
    with pytest.raises(HostError, match="writing /etc/file/below failed"):
        disk.write("/etc/file/below", FileEntry(b""))
    assert names(root / "etc") == ["dir", "file"]


def test_the_owner_is_put_back_by_root(root: Path) -> None:
    disk = DiskFiles(root)
    disk.write("/a", FileEntry(b"a"))
    before = disk.read("/a")
    assert before is not None
    assert before.owner == (os.geteuid(), os.getegid())
    disk.write("/a", before)
    assert disk.read("/a") == before
