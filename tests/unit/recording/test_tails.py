"""What happened since the last frame is safe as a tail, which costs the trail nothing and is there when it is cut off."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from doorward.recording.format import MAX_ATTEMPTS, Flag, frames, read_beginning
from doorward.recording.journal import Journal
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind
from doorward.recording.recovery import recover
from doorward.recording.writer import TrailWriter
from tests.unit.recording.trails import NAME, output, typed, writer

OTHER = "zyxwvutsrqponmlkjihgfe"


class Session:
    def __init__(self, journal: Journal, name: str) -> None:
        self.journal, self.name, self.writer = journal, name, writer()
        journal.open(name, self.writer.head)
        self.taken: list[Record] = []

    def take(self, record: Record) -> None:
        self.taken.append(record)
        for frame in self.writer.write(record):
            self.journal.append(self.name, frame)

    def keep(self, choice: random.Random) -> None:
        tail = self.writer.tail() if choice.random() < 0.9 else None
        if tail is None:
            for frame in self.writer.flush():
                self.journal.append(self.name, frame)
        elif tail:
            self.journal.set_tail(self.name, tail)


def records(data: bytes) -> list[tuple[RecordKind, bytes]]:
    return [(record.kind, record.data) for record in TrailReader(data).records()]


@pytest.mark.parametrize("seed", range(6))
def test_all_that_was_synced_is_there_after_a_crash(tmp_path: Path, seed: int) -> None:
    choice = random.Random(seed)  # noqa: S311 - an order that is the same each time
    directory = tmp_path / "trails"
    directory.mkdir()
    journal = Journal(directory, "worker", segment=8192, reserve=4096)  # which turns often
    sessions = [Session(journal, NAME), Session(journal, OTHER)]
    for at in range(300):
        session = sessions[choice.random() < 0.2]
        session.take(output(at, f"line {at} {choice.random()}"))
        if choice.random() < 0.3:
            session.take(typed(at, f"key {at}"))
        for each in sessions:
            each.keep(choice)
        journal.sync()
        if at % 37 == 5:
            copy = Path(shutil.copytree(directory, tmp_path / str(at)))
            if choice.random() < 0.5:  # the files of sessions may lack what is not synced yet
                (copy / f"{NAME}.dwr").write_bytes((copy / f"{NAME}.dwr").read_bytes())
            for found in recover(copy, "worker"):
                assert found.damage is None
            for each in sessions:
                data = (copy / f"{each.name}.dwr").read_bytes()
                expected = sorted((record.kind, record.data) for record in each.taken)
                assert sorted(records(data)) == expected
                assert TrailReader(data).verify().damage is None
    for each in sessions:
        for frame in each.writer.close({"reason": "client"}, 300):
            journal.append(each.name, frame)
        journal.close(each.name)
    journal.stop()
    data = (directory / f"{NAME}.dwr").read_bytes()
    assert not any(frame.flags & Flag.TAIL for frame in frames(data, read_beginning(data)[1]))


def test_no_two_tails_have_the_same_nonce() -> None:
    made: TrailWriter = writer()
    seen = set()
    for at in range(500):
        for _ in made.write(output(at, "x") if at % 3 else typed(at, "x")):
            pass
        tail = made.tail()
        if tail is None:
            list(made.flush())
            continue
        whole = made.head + tail
        for frame in frames(whole, len(made.head), number=made.frames + 1):
            assert 1 <= frame.attempt <= MAX_ATTEMPTS
            assert (frame.stream, frame.number, frame.attempt) not in seen
            seen.add((frame.stream, frame.number, frame.attempt))
        if at % 11 == 0:
            made.note({"kind": "note"})
        if at % 17 == 0:
            list(made.flush())
    assert len(seen) > 100


def test_a_tail_is_made_only_of_what_is_new() -> None:
    made = writer()
    list(made.write(output(1, "x")))
    assert made.tail()
    assert made.tail() == b""
    list(made.flush())
    assert made.tail() == b""
