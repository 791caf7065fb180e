"""What has to arrive is kept until it is noted, within bounds, and on the disk once a session is over."""

from __future__ import annotations

from pathlib import Path

from doorward.proxy.messages import ChannelClosed, ChannelOpened, Ended, PipeMessage, Text, WantSeal
from doorward.proxy.worker import outbox
from doorward.proxy.worker.outbox import Outbox, read_end, write_end
from tests.unit.proxy.fakes import key


def ended(number: int = 1) -> Ended:
    return Ended(session=key(number), at=9, verdict="ACCEPT", reason="over", down=0, up=0, trail_bytes=1, recorded=True)


def opened(number: int = 1) -> ChannelOpened:
    return ChannelOpened(session=key(number), number=1, at=1, type="session-shell", verdict="accept", rule=0)


def text(line: str = "x", number: int = 1) -> Text:
    return Text(session=key(number), channel=1, lines=((1, "screen", line),))


class Wire:
    def __init__(self, trails: Path) -> None:
        self.sent: list[PipeMessage] = []
        self.outbox = Outbox(trails, self._send)

    def _send(self, message: PipeMessage) -> bool:
        self.sent.append(message)
        return True

    def again(self) -> list[str]:
        self.sent.clear()
        self.outbox.deliver()
        return [type(message).__name__ for message in self.sent]


def test_serials_count_and_notes_forget(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    for message in (opened(), text(), text()):
        wire.outbox.tell(message)
    assert [getattr(message, "serial", 0) for message in wire.sent] == [1, 2, 3]
    wire.outbox.noted(key(1), 2)
    assert wire.again() == ["Text"]
    wire.outbox.noted(key(7), 5)
    assert wire.again() == ["Text"]


def test_text_goes_first_when_there_is_too_much(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    wire.outbox.tell(opened())
    for _ in range(40):
        wire.outbox.tell(text("x" * 60_000))
    names = wire.again()
    assert names[0] == "ChannelOpened"
    assert 10 < len(names) < outbox.MAX_KEPT / 60_000 + 2


def test_ends_outlive_the_worker(tmp_path: Path) -> None:
    first = Wire(tmp_path)
    first.outbox.tell(opened())
    first.outbox.tell(text("for auditors alone"))
    record = first.outbox.end_record(ended(), None)
    first.outbox.keep_end(key(1), record)
    first.outbox.tell(ended())
    path = tmp_path / f"{key(1)}.end"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"auditors" not in path.read_bytes()
    second = Wire(tmp_path)
    assert second.again() == ["ChannelOpened", "Ended"]
    [_, told] = second.sent
    assert isinstance(told, Ended)
    second.outbox.noted(key(1), told.serial - 1)
    assert path.exists()
    second.outbox.noted(key(1), told.serial)
    assert not path.exists()
    assert second.again() == []


def test_a_seal_that_is_missing_outlives_the_note(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    unsealed = WantSeal(session=key(1), frame=3, chain=b"c", last=True)
    wire.outbox.keep_end(key(1), wire.outbox.end_record(ended(), unsealed))
    wire.outbox.tell(ended())
    assert wire.again() == ["Ended", "WantSeal"]
    wire.outbox.noted(key(1), 1)
    assert wire.again() == ["WantSeal"]
    assert wire.outbox.unsealed(key(1)) == unsealed
    wire.outbox.forget_unsealed(key(1))
    assert wire.again() == []
    assert list(tmp_path.iterdir()) == []


def test_damaged_records_and_names_harm_nobody(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    write_end(tmp_path, key(1), b"\0\0\0\5junk!" + b"\xff" * 10)
    (tmp_path / "odd.end").write_bytes(b"")
    assert wire.again() == []
    assert read_end(tmp_path / "missing.end") == []
    assert wire.outbox.unsealed("../../etc/passwd") is None
    wire.outbox.noted("../x", 1)


def test_what_is_kept_in_all_is_bounded(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    for number in range(60):
        for _ in range(16):
            wire.outbox.tell(text("x" * 60_000, number))
        wire.outbox.tell(ended(number))
    assert wire.outbox._size <= outbox.MAX_KEPT_IN_ALL + outbox.MAX_KEPT


def test_nothing_of_a_closed_channel_is_lost(tmp_path: Path) -> None:
    wire = Wire(tmp_path)
    wire.outbox.tell(opened())
    wire.outbox.tell(ChannelClosed(session=key(1), number=1, at=2, down=1, up=1))
    assert wire.again() == ["ChannelOpened", "ChannelClosed"]
