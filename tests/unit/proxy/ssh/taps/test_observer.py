"""What a session saw is safe, or the session ends: slow disks, broken disks, hostile bytes."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from doorward.proxy.messages import Ended, Happened, PipeMessage, Text, WantSeal
from doorward.proxy.ssh.ports import NotRecordedError
from doorward.proxy.ssh.taps import back, recorder, screen_text, trail
from doorward.proxy.ssh.taps.observer import SessionObserver
from doorward.proxy.ssh.taps.recorder import Recorder, Room
from doorward.proxy.ssh.taps.terminal_tap import TerminalTap
from doorward.recording.journal import Journal, RecordingFailedError
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from doorward.sessions.rules import Audit, ChannelRule, ChannelType
from tests.unit.proxy.fakes import SHELL, arrives, begin, key, new_run

EXEC = ChannelRule(channel=ChannelType.EXEC, position=1)


class Reports:
    def __init__(self) -> None:
        self.told: list[PipeMessage] = []

    def tell(self, message: PipeMessage) -> None:
        self.told.append(message)

    def pass_on(self, message: PipeMessage) -> bool:
        return False

    async def room(self) -> bool:
        return False

    def end_record(self, ended: Ended, unsealed: WantSeal | None) -> bytes:
        return b""

    def keep_end(self, session: str, record: bytes) -> None:
        pass

    @property
    def events(self) -> list[str]:
        return [message.event for message in self.told if isinstance(message, Happened)]


class Brake:
    def __init__(self) -> None:
        self.held, self.holds = 0, 0
        self.ended: list[tuple[str, str]] = []

    def hold(self) -> None:
        self.held += 1
        self.holds += 1

    def release(self) -> None:
        self.held -= 1

    def end(self, reason: str, verdict: str) -> None:
        self.ended.append((reason, verdict))


class Site:
    """A recorder and one session."""

    def __init__(self, directory: Path, audit: Audit | None = None) -> None:
        self.directory = directory
        self.recorder = Recorder(directory, "worker", Room(1 << 20, 1 << 16))
        self.reports, self.brake = Reports(), Brake()
        self.observer = SessionObserver(begin(1, audit), self.recorder, self.reports, node="n", release="0")
        self.observer.begin(self.brake)

    async def open(self, rule: ChannelRule = SHELL, **facts: Any) -> None:
        await self.observer.ready()
        terminal = {"type": "xterm", "columns": 80, "rows": 24, "modes": {}}
        self.observer.opened(1, "session", "accept", rule, facts or {"request": "shell", "terminal": terminal})

    def shows(self, data: bytes) -> None:
        self.observer.data(1, True, 0, memoryview(data))

    @property
    def trail(self) -> TrailReader:
        return TrailReader((self.directory / f"{key(1)}.dwr").read_bytes())

    @property
    def end(self) -> Ended:
        [ended] = [message for message in self.reports.told if isinstance(message, Ended)]
        return ended


def run(directory: Path, test: Callable[[Site], Coroutine[Any, Any, None]], audit: Audit | None = None) -> None:
    async def main() -> None:
        new_run()
        site = Site(directory, audit)
        try:
            await test(site)
        finally:
            await site.recorder.stop()

    asyncio.run(main())


def shown(reader: TrailReader) -> bytes:
    return b"".join(record.data for record in reader.records() if record.kind is RecordKind.OUTPUT)


def test_a_slow_disk_holds_the_session_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        time.sleep(0.1)
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)

    async def test(site: Site) -> None:
        await site.open()
        pieces, most = [os.urandom(16) * (1 << 14) for _ in range(8)], 0
        for index in range(64):
            site.shows(pieces[index % 8])
            trail = site.observer._trail
            most = max(most, trail.taken - trail.done)
            while site.brake.held:  # noqa: ASYNC110 - a relay would not read now
                await asyncio.sleep(0.01)
        await site.observer.end("ACCEPT", "over")
        assert site.brake.holds > 0
        assert most <= recorder.MAX_QUEUE + (1 << 19)
        assert shown(site.trail) == b"".join(pieces[index % 8] for index in range(64))

    run(tmp_path, test)


def test_what_was_taken_is_not_counted_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_QUEUES", 1 << 20)

    async def test(site: Site) -> None:
        await site.open(EXEC, request="exec", command="cat")
        for _ in range(64):
            site.shows(b"x" * 100_000)
            while site.brake.held:  # noqa: ASYNC110 - a relay would not read now
                await asyncio.sleep(0.001)
        await arrives(lambda: site.recorder.taken == site.recorder.done)
        assert site.recorder.limit == recorder.MAX_QUEUE
        site.shows(b"x")
        await site.observer.end("ACCEPT", "over")
        assert site.recorder.taken == site.recorder.done

    run(tmp_path, test)


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)


def test_a_broken_disk_ends_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site) -> None:
        await site.open()
        with monkeypatch.context() as patch:
            broken(patch)
            site.shows(b"hello")
            await arrives(lambda: site.brake.ended)
        assert site.brake.ended == [("The session can't be recorded any more.", "FAIL")]
        with pytest.raises(RecordingFailedError):
            site.shows(b"nobody may see this")
        await site.observer.end("FAIL", "The session can't be recorded any more.")
        assert (site.end.recorded, site.end.verdict) == (False, "FAIL")
        assert site.reports.events == ["recording_failed"]
        assert not site.recorder.is_able

    run(tmp_path, test)


def test_a_policy_may_let_a_session_live_without_its_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site) -> None:
        await site.open()
        with monkeypatch.context() as patch:
            broken(patch)
            site.shows(b"hello")
            await arrives(lambda: site.reports.events)
        for _ in range(100):
            site.shows(b"x" * 100_000)
        assert (site.brake.ended, site.brake.held) == ([], 0)
        await site.observer.end("ACCEPT", "over")
        assert (site.end.recorded, site.end.down) == (False, 5 + 10_000_000)

    run(tmp_path, test, Audit(policy="loud", go_on=True))


def test_nothing_begins_where_nothing_can_be_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site) -> None:
        with monkeypatch.context() as patch:
            broken(patch)
            with pytest.raises(NotRecordedError):
                await site.observer.ready()
        assert site.reports.events == ["recording_failed"]
        await site.observer.end("FAIL", "not recorded")
        assert not site.end.recorded

    run(tmp_path, test)


class PanicException(BaseException):
    """No Exception."""


@pytest.mark.parametrize("go_on", [False, True])
@pytest.mark.parametrize("fault", [ZeroDivisionError, PanicException])
@pytest.mark.parametrize("method", ["data", "settle"])
def test_what_a_tap_can_not_stand_ends_the_session_always(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, fault: type[BaseException], go_on: bool
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise fault

    async def test(site: Site) -> None:
        await site.open()
        site.shows(b"before")
        await arrives(lambda: site.recorder.taken == site.recorder.done)
        monkeypatch.setattr(TerminalTap, method, fails)
        site.shows(b"boom")
        await arrives(lambda: site.brake.ended)
        with pytest.raises(RecordingFailedError):
            site.shows(b"nobody may see this")
        await site.observer.end("FAIL", "because")
        assert site.trail.verify().ended
        assert shown(site.trail) == (b"before" if method == "data" else b"beforeboom")
        # It is the end of this session alone: the thread of the recorder goes on for the others.
        assert site.recorder.is_able
        await site.recorder.submit(lambda journal: journal.sync())

    run(tmp_path, test, Audit(policy="p", go_on=go_on))


def test_a_full_disk_leaves_room_for_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site) -> None:
        await site.open()
        site.shows(b"hello")
        monkeypatch.setattr(Journal, "is_strained", True, raising=False)
        site.recorder._journal.is_strained = True
        site.shows(b"world")
        await arrives(lambda: site.brake.ended)
        await site.observer.end(site.brake.ended[0][1], site.brake.ended[0][0])
        assert shown(site.trail) == b"helloworld"
        assert site.trail.verify().ended
        with pytest.raises(NotRecordedError):
            await SessionObserver(begin(2), site.recorder, site.reports, node="n", release="0").ready()

    run(tmp_path, test)


def test_what_was_typed_last_is_decided_although_nothing_follows(tmp_path: Path) -> None:
    def hidden(trail: TrailReader) -> list[bytes]:
        return [record.data for record in trail.records() if record.kind is RecordKind.HIDDEN_INPUT]

    async def test(site: Site) -> None:
        await site.open()
        site.observer.data(1, False, 0, memoryview(b"s3cret"))
        await arrives(lambda: hidden(site.trail) == [b"s3cret"])
        assert not site.observer._trail.records._channels[1].tap.waits
        await site.observer.end("ACCEPT", "over")
        assert hidden(site.trail) == [b"s3cret"]

    run(tmp_path, test)


def test_what_stands_on_the_screen_of_a_silent_session_is_text_before_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen_text, "LOOK_EVERY", 800)
    monkeypatch.setattr(trail, "FRAME_MILLISECONDS", 300)
    monkeypatch.setattr(back, "TEXT_MILLISECONDS", 500)

    async def test(site: Site) -> None:
        await site.open()
        site.shows(b"a line that is alone\r\n")
        [text] = await arrives(lambda: [one for one in site.reports.told if isinstance(one, Text)])
        assert [line for _, _, line in text.lines] == ["a line that is alone"]
        assert not [one for one in site.reports.told if isinstance(one, Ended)]
        await site.observer.end("ACCEPT", "client")

    run(tmp_path, test)


def test_facts_of_any_kind_are_recorded(tmp_path: Path) -> None:
    async def test(site: Site) -> None:
        site.observer.facts({"bytes": b"\xff\0", "text": "\ud800", "nested": {"a": [1, ("b",)]}})
        await site.open(EXEC, request="exec", command="x" * 100_000)
        site.observer.requested(1, True, "exit-signal", {"signal": "KILL"})
        site.observer.closed(1)
        site.observer.opened(2, "direct-tcpip", "deny", None, {"host": "db", "port": 1})
        await site.observer.end("ACCEPT", "over")
        kinds = [record.kind for record in site.trail.records()]
        assert kinds == [
            RecordKind.FACTS,
            RecordKind.OPEN,
            RecordKind.REQUEST,
            RecordKind.EXIT,
            RecordKind.CLOSE,
            RecordKind.OPEN,
            RecordKind.END,
            RecordKind.INDEX,
        ]

    run(tmp_path, test)
