"""What every backup target promises about the files of others, names that are taken, and a server that can't be written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

import psutil
import pytest

from doorward.backup.targets import port
from tests.system.backup_support import ARCHIVE, Opener, content, fails, foreign_files, picture, read_only, tried

if TYPE_CHECKING:
    from pathlib import Path


class Promises:
    """Tests of a target; its module has the fixtures ``opener``, ``path`` (what it opens) and ``disk``."""

    owner: ClassVar[int]
    """Whom files on the server belong to."""
    listed: ClassVar[set[str]] = {"notes.txt", "with blank", ".hidden"}
    """Some files of others that are seen as well."""
    left: ClassVar[str] = f".{ARCHIVE}.manifest.part"
    """What an earlier try of this node left."""
    beside: ClassVar[tuple[str, ...]] = (f".{ARCHIVE}.part", f".{ARCHIVE.replace('46f97a58', '00000000')}.part")
    """What lies there as well: the next try writes over all but the last one, which is another node's."""

    @pytest.fixture
    def guarded(self, opener: Opener) -> Opener:
        """An account that may do no more than it must."""
        return opener

    def test_foreign_files_stay_as_they_are(self, opener: Opener, path: Path, tmp_path: Path) -> None:
        foreign_files(path / "config", self.owner)
        before, mode = picture(path), (path / "config").stat().st_mode
        with opener() as target:
            target.prepare()
            assert {entry.name for entry in target.names()} >= self.listed
            target.put(ARCHIVE, content(tmp_path))
            target.fetch(ARCHIVE, tmp_path / "back")
            target.delete(ARCHIVE)
        assert picture(path) == before
        assert (path / "config").stat().st_mode == mode

    def test_a_taken_name_is_not_overwritten(self, opener: Opener, path: Path, tmp_path: Path) -> None:
        sent = content(tmp_path)
        with opener() as target:
            target.prepare()
            for held in (b"of somebody else", bytes(100_000)):
                (path / "config" / ARCHIVE).write_bytes(held)
                os.chown(path / "config" / ARCHIVE, self.owner, self.owner)
                before = picture(path)
                fails("name_exists", lambda: target.put(ARCHIVE, sent))
                assert picture(path) == before

    def test_what_an_earlier_try_left_is_listed_and_does_not_hinder(self, opener: Opener, path: Path, tmp_path: Path) -> None:
        sent = content(tmp_path)
        with opener() as target:
            target.prepare()
            for name in (self.left, *self.beside):
                (path / "config" / name).write_bytes(bytes(300_000))
                os.chown(path / "config" / name, self.owner, self.owner)
            target.put(ARCHIVE, sent)
            assert (path / "config" / ARCHIVE).read_bytes() == sent.read_bytes()
            assert [entry.name for entry in target.partial()] == [self.left]
            target.delete(self.left)
            assert target.partial() == []
        assert {place.name for place in (path / "config").iterdir()} == {ARCHIVE, self.beside[-1]}

    def test_the_directory_belongs_to_somebody_else(self, guarded: Opener, path: Path, tmp_path: Path) -> None:
        with guarded() as target:
            target.prepare()
            os.chown(path / "config", 0, 0)
            (path / "config").chmod(0o755)
            (path / "config" / "kept").write_text("kept")
            os.chown(path, 0, 0)
            before = picture(path)
            self.refused(fails("permission_denied", lambda: target.put(ARCHIVE, content(tmp_path))).message)
            fails("permission_denied", lambda: target.delete("kept"))
        with guarded(per_node=True) as target:
            fails("permission_denied", target.prepare)
        assert picture(path) == before

    def refused(self, message: str) -> None:
        """Check what is said of a directory that belongs to somebody else."""

    def test_the_disk_is_full_or_read_only(self, disk: tuple[Opener, Path], tmp_path: Path) -> None:
        opener, path = disk
        with opener() as target:
            target.prepare()
            fails("no_space", lambda: target.put(ARCHIVE, content(tmp_path, 3_000_000)))
            assert list((path / "config").iterdir()) == []
            target.put(ARCHIVE, content(tmp_path))
            with read_only(path):
                fails("read_only_target", lambda: target.put("second", content(tmp_path)))
                fails("read_only_target", lambda: target.delete(ARCHIVE))
            assert [entry.name for entry in target.names()] == [ARCHIVE]

    def test_a_file_that_became_huge_is_not_read_whole(self, opener: Opener, path: Path, tmp_path: Path) -> None:
        """Whatever a server says, it does not fill the disk or the memory of this machine."""
        sent = content(tmp_path, 1000)
        with opener() as target:
            target.prepare()
            target.put(ARCHIVE, sent)
            os.truncate(path / "config" / ARCHIVE, 2 << 30)
            before = psutil.Process().memory_info().rss
            fails("verify_failed", lambda: target.fetch(ARCHIVE, tmp_path / "back", 1000))
            (tmp_path / "into").mkdir()
            fails("verify_failed", lambda: target.fetch_all([ARCHIVE], tmp_path / "into"))
            fails("name_exists", lambda: target.put(ARCHIVE, sent))
            assert psutil.Process().memory_info().rss - before < 32 << 20
        assert not (tmp_path / "back").exists()
        assert list((tmp_path / "into").iterdir()) == []

    def test_a_directory_of_too_many_files_is_none_of_ours(
        self, opener: Opener, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with opener() as target:
            target.prepare()
            for number in range(4):
                (path / "config" / f"file {number}").touch()
            assert len(target.names()) == 4
            monkeypatch.setattr(port, "MAX_FILES", 3)
            assert not fails("protocol_unavailable", target.names).transient

    def test_a_trial_changes_nothing(self, opener: Opener, path: Path) -> None:
        foreign_files(path / "config", self.owner)
        before = picture(path)
        trial = tried(opener)
        assert (trial.code, trial.message) == (None, None)
        assert [step.step for step in trial.steps] == [
            "resolve", "connect", "identify", "authenticate", "write", "read_back", "delete",
        ]  # fmt: skip
        assert trial.body()["result"] == "ok"
        assert picture(path) == before
