"""What is known of a history is carried on, and only while the store still says the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from doorward.backup.past_digest import PastDigest
from tests.unit.transaction.rig import ZONE, Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZONES = ("Europe/Budapest", "Europe/Vienna", "Europe/Zurich")


class Reader:
    """Yields a line for each revision of a store, and knows which ones were read."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.read: list[int] = []

    def lines(self, first: int) -> Iterator[bytes]:
        for number in range(first, self.rig.number + 1):
            self.read.append(number)
            revision = self.rig.store.revision(number)
            assert revision is not None
            yield f"{revision.hash}\n".encode()

    def asked(self, past: PastDigest) -> tuple[int, str]:
        self.read = []
        running = self.rig.pipeline.running
        return past.up_to(self.rig.store, running.number, running.hash, self.lines)

    def whole(self) -> tuple[int, str]:
        text = b"".join(self.lines(1))
        return len(text), hashlib.sha256(text).hexdigest()


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    reader, past = Reader(Rig(tmp_path).started()), PastDigest()
    assert reader.asked(past) == reader.whole()
    known = reader.rig.number
    for zone in ZONES:
        reader.rig.committed((ZONE, zone))
    assert reader.asked(past) == reader.whole()
    reader.asked(past)
    assert reader.read == []
    reader.rig.committed((ZONE, ZONES[0]))
    found = reader.asked(past)
    assert reader.read == [reader.rig.number] == [known + len(ZONES) + 1]
    assert found == reader.whole()


def test_another_history_is_read_from_its_beginning(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one, other, past = Reader(Rig(tmp_path / "one").started()), Reader(Rig(tmp_path / "other").started()), PastDigest()
    for reader in (one, other):
        reader.rig.committed((ZONE, ZONES[0]))
        assert reader.asked(past) == reader.whole()
    shorter = PastDigest()
    one.rig.committed((ZONE, ZONES[1]))
    one.asked(shorter)
    assert other.asked(shorter) == other.whole()


def test_what_was_forgotten_is_read_again(tmp_path: Path) -> None:
    reader, past = Reader(Rig(tmp_path).started()), PastDigest()
    reader.asked(past)
    past.forget()
    found = reader.asked(past)
    assert reader.read == [*range(1, reader.rig.number + 1)]
    assert found == reader.whole()
