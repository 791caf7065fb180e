"""What was synced is never lost: whatever becomes of the process, the page cache and the disk."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from itertools import count, pairwise
from pathlib import Path

import pytest

from doorward.recording.entries import entries, entry
from doorward.recording.format import TrailDamagedError
from doorward.recording.journal import Journal, RecordingFailedError
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from doorward.recording.recovery import JournalInUseError, recover
from doorward.recording.writer import TrailWriter
from tests.unit.recording.trails import NAME, opening, output, writer

OTHER = "zyxwvutsrqponmlkjihgfe"


class Session:
    """A session that is recorded: its writer and its file."""

    def __init__(self, journal: Journal, name: str = NAME) -> None:
        self.journal, self.name, self.writer = journal, name, writer()
        journal.open(name, self.writer.head)
        for record in opening():
            self.put(record)

    def put(self, record: object) -> None:
        for frame in self.writer.write(record):  # type: ignore[arg-type]
            self.journal.append(self.name, frame)

    def say(self, at: int, text: str) -> None:
        self.put(output(at, text))
        for frame in self.writer.flush():
            self.journal.append(self.name, frame)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "trails"
    made.mkdir()
    return made


def small(directory: Path) -> Journal:
    return Journal(directory, "worker", segment=8192, reserve=4096)


def said(directory: Path, name: str = NAME) -> list[str]:
    reader = TrailReader((directory / f"{name}.dwr").read_bytes())
    return [record.data.decode() for record in reader.records() if record.kind is RecordKind.OUTPUT]


def test_a_session_that_ends_is_whole_and_the_journal_goes(directory: Path) -> None:
    journal = small(directory)
    one, other = Session(journal), Session(journal, OTHER)
    for at in range(200):
        one.say(at, f"one {at}")
        other.say(at, f"other {at}")
        journal.sync()
    for session in (one, other):
        for frame in session.writer.close({"reason": "client"}, 300):
            journal.append(session.name, frame)
        journal.close(session.name)
    journal.stop()
    assert sorted(path.name for path in directory.iterdir()) == sorted(f"{name}.dwr" for name in (NAME, OTHER))
    assert said(directory) == [f"one {at}" for at in range(200)]
    verdict = TrailReader((directory / f"{OTHER}.dwr").read_bytes()).verify()
    assert (verdict.damage, verdict.ended, verdict.cut) == (None, True, 0)


def crashed(directory: Path, copy: Path) -> Path:
    """The directory as a process that dies now leaves it; its lock goes with it."""
    return Path(shutil.copytree(directory, copy))


def test_after_a_crash_all_that_was_synced_is_there(directory: Path, tmp_path: Path) -> None:
    journal = small(directory)
    session = Session(journal)
    for at in range(120):
        session.say(at, f"line {at}")
        journal.sync()
        if at % 7 == 0:
            session.say(at, "not synced")
            copy = crashed(directory, tmp_path / str(at))
            [found] = recover(copy, "worker")
            assert found.damage is None
            assert found.until == at
            assert [text for text in said(copy) if text != "not synced"] == [f"line {index}" for index in range(at + 1)]
            assert [path.name for path in copy.iterdir()] == [f"{NAME}.dwr"]
    journal.stop()


def test_after_a_loss_of_power_the_journal_alone_is_enough(directory: Path, tmp_path: Path) -> None:
    """Files of sessions are not synced before a segment is free again: what is not in them is in the journal."""
    journal = Journal(directory, "worker", segment=1 << 20, reserve=4096)
    session = Session(journal)
    for at in range(50):
        session.say(at, f"line {at}")
        journal.sync()
    size = (directory / f"{NAME}.dwr").stat().st_size
    for length in (0, 1, size // 3, size - 1):
        copy = crashed(directory, tmp_path / f"cut-{length}")
        with (copy / f"{NAME}.dwr").open("r+b") as file:
            file.truncate(length)
            file.seek(0, os.SEEK_END)
            file.write(b"\0" * (100 if length else 0))  # a block that got its length but not its content
        [found] = recover(copy, "worker")
        assert found.damage is None
        assert said(copy) == [f"line {index}" for index in range(50)]
    copy = crashed(directory, tmp_path / "gone")
    (copy / f"{NAME}.dwr").unlink()
    recover(copy, "worker")
    assert said(copy) == [f"line {index}" for index in range(50)]
    journal.stop()


def test_a_torn_entry_ends_the_journal_and_harms_nothing_before(directory: Path, tmp_path: Path) -> None:
    journal = Journal(directory, "worker", segment=1 << 20, reserve=4096)
    session = Session(journal)
    ends = []
    for at in range(10):
        session.say(at, f"line {at}")
        journal.sync()
        ends.append(sum(len(entry(*found)) for found in entries((directory / "worker.b").read_bytes())))
    for at, (begin, end) in enumerate(pairwise(ends)):
        copy = crashed(directory, tmp_path / str(at))
        with (copy / "worker.b").open("r+b") as file:
            file.seek((begin + end) // 2)
            file.write(b"\xff")
        (copy / f"{NAME}.dwr").unlink()
        recover(copy, "worker")
        assert said(copy) == [f"line {index}" for index in range(at + 1)]
    journal.stop()


def test_recovery_may_be_repeated_and_leaves_whole_frames_only(directory: Path, tmp_path: Path) -> None:
    journal = small(directory)
    session = Session(journal)
    session.say(5, "kept")
    journal.sync()
    copy = crashed(directory, tmp_path / "copy")
    with (copy / f"{NAME}.dwr").open("ab") as file:
        file.write(b"\0\0\1\0\0torn")
    [found] = recover(copy, "worker")
    assert (found.cut, found.until) == (9, 5)
    assert recover(copy, "worker") == []
    assert TrailReader((copy / f"{NAME}.dwr").read_bytes()).verify().cut == 0
    journal.stop()


def test_a_journal_whose_worker_lives_is_left_alone(directory: Path) -> None:
    journal = small(directory)
    with pytest.raises(JournalInUseError):
        recover(directory, "worker")
    journal.stop()
    assert recover(directory, "worker") == []


def test_a_trail_that_is_there_is_never_written_to(directory: Path) -> None:
    (directory / f"{NAME}.dwr").symlink_to("/dev/null")
    journal = small(directory)
    with pytest.raises(RecordingFailedError):
        Session(journal)
    for name in ("short", "../../../../../../etc/x", "1bcdefghijklmnopqrstuv"):
        with pytest.raises(ValueError, match=name):
            journal.open(name, b"")
    journal.stop()


class Disk:
    """Lets only so many bytes be written to session files."""

    def __init__(self, room: int) -> None:
        self.room, self.write = room, os.write

    def __call__(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = self.write(descriptor, data[: self.room])
        self.room -= done
        return done


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(2000)
    unlink = os.unlink

    def freeing(path: str | Path, **where: int | None) -> None:
        unlink(path, **where)
        if str(path).endswith(".reserve"):
            made.room += 4096

    monkeypatch.setattr(os, "write", made)
    monkeypatch.setattr(os, "unlink", freeing)
    return made


def test_a_full_disk_takes_the_reserve_and_then_fails_loudly(directory: Path, disk: Disk, tmp_path: Path) -> None:
    journal = small(directory)
    session = Session(journal)
    at = 0

    def until_it_fails() -> None:
        nonlocal at
        for at in count():
            session.say(at, f"line {at}")
            journal.sync()

    with pytest.raises(RecordingFailedError, match="no space"):
        until_it_fails()
    assert not (directory / "worker.reserve").exists()
    copy = crashed(directory, tmp_path / "copy")
    disk.room = 1 << 20
    recover(copy, "worker")
    assert said(copy)[:at] == [f"line {index}" for index in range(at)]


VICTIM = """
import sys
from pathlib import Path
from doorward.recording.journal import Journal
from tests.unit.recording.test_journal import Session
journal = Journal(Path(sys.argv[1]), "worker", segment=16384, reserve=4096)
session = Session(journal)
for at in range(1_000_000):
    session.say(at, f"line {at}")
    journal.sync()
    print(at, flush=True)
"""


@pytest.mark.parametrize("after", [1, 3, 40, 111])
def test_killed_at_any_moment_nothing_that_was_acknowledged_is_lost(directory: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", VICTIM, str(directory)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        last = next(number for number in map(int, process.stdout) if number >= after)
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")
    last = max([last, *(int(line) for line in rest[:-1] if line)])
    [found] = recover(directory, "worker")
    assert found.damage is None
    lines = said(directory)
    assert lines[: last + 1] == [f"line {index}" for index in range(last + 1)]
    assert len(lines) <= last + 2


def test_what_is_no_trail_is_reported_and_not_touched(directory: Path, tmp_path: Path) -> None:
    journal = small(directory)
    session = Session(journal)
    session.say(1, "a")
    journal.sync()
    copy = crashed(directory, tmp_path / "copy")
    for segment in ("worker.a", "worker.b"):
        found = list(entries((copy / segment).read_bytes()))
        whole = b"".join(entry(epoch, name, offset + (1 if offset else 0), frame) for epoch, name, offset, frame in found)
        (copy / segment).write_bytes(whole)
    (copy / f"{NAME}.dwr").write_bytes(b"something else, and much of it: " * 40)
    [result] = recover(copy, "worker")
    assert result.damage is not None
    with pytest.raises(TrailDamagedError):
        TrailReader((copy / f"{NAME}.dwr").read_bytes()[: 40 * 4]).verify()
    journal.stop()


def test_the_writer_is_the_one_of_the_format() -> None:
    assert isinstance(writer(), TrailWriter)
