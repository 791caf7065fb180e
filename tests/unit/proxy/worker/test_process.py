"""A real worker with a control that comes and goes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from doorward.proxy import messages
from doorward.proxy.messages import ChannelClosed, ChannelOpened, Ended, Hello, PipeMessage, Text
from doorward.proxy.pipe import connect
from doorward.proxy.worker.places import Places
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from doorward.sessions.rules import Audit
from tests.support.server import until
from tests.unit.proxy.fakes import all_leave, arrives, control, key, new_run

FORBIDDEN = {"store", "transaction", "access", "configuration", "events", "api", "appliance", "cli", "http", "cluster", "backup"}


def on_worker(places: Places, test: Callable[[Path, Path], Coroutine[Any, Any, None]]) -> Places:
    new_run()
    until(lambda: len(places.workers()) == 1)
    [path] = places.workers().values()

    async def whole() -> None:
        try:
            await asyncio.wait_for(test(path, places.trails), 60)
        finally:
            await all_leave()

    asyncio.run(whole())
    return places


def trail(trails: Path, number: int) -> TrailReader:
    return TrailReader((trails / f"{key(number)}.dwr").read_bytes())


def test_a_session_from_begin_to_end(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            await client.say("open")
            await client.say("out $ ")
            await client.say("in ls\\r")
            await client.say("out ls\\r\\nfile\\r\\n$ ")
            client.writer.write_eof()
            assert await client.line() == "ended The session is over"
            [ended] = await arrives(lambda: there.of(Ended))
            assert (ended.verdict, ended.recorded, ended.up) == ("ACCEPT", True, 3)
            assert ended.trail_bytes == (trails / f"{key(1)}.dwr").stat().st_size
            [opened], [closed] = there.of(ChannelOpened), there.of(ChannelClosed)
            assert (opened.type, opened.verdict, opened.rule) == ("session-shell", "accept", 0)
            assert (closed.down, closed.up) == (14, 3)
            lines = [line[1:] for text in there.of(Text) for line in text.lines]
            assert ("command", "ls") in lines
            assert ("screen", "file") in lines
            await arrives(lambda: not list(trails.glob("*.end")))  # control has noted it

    places = on_worker(worker, test)
    verdict = trail(places.trails, 1).verify()
    assert (verdict.damage, verdict.ended, verdict.cut) == (None, True, 0)
    header = trail(places.trails, 1).header
    assert (header["session"], header["node"], header["revision"]) == (f"svc/{key(1)}/linux:1", "node-1", 7)


def test_a_worker_imports_nothing_that_holds_secrets_or_decides(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            imported = (await client.say("modules")).split()
            assert "doorward.proxy.worker.process" in imported
            rooms = {name.split(".")[1] for name in imported if name.startswith("doorward.")}
            assert not rooms & FORBIDDEN

    on_worker(worker, test)


def test_sessions_go_on_while_control_is_away_and_are_reported_when_it_is_back(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as first:
            one, two = await first.begin(1), await first.begin(2)
            await one.say("open")
            await two.say("open")
        assert await one.say("ask alice") == "gone"
        await one.say("out still here\\r\\n")
        one.writer.write_eof()
        assert (await one.line()).startswith("ended")
        await two.say("close")
        await arrives((trails / f"{key(1)}.end").exists)
        async with control(path, trails) as second:
            [hello] = await arrives(lambda: second.of(Hello))
            assert set(hello.sessions) == {key(2)}
            [ended] = await arrives(lambda: second.of(Ended))
            assert (ended.session, ended.verdict, ended.recorded) == (key(1), "ACCEPT", True)
            await arrives(lambda: len(second.of(ChannelOpened)) + len(second.of(ChannelClosed)) == 4)
            assert sorted(message.session for message in second.of(ChannelOpened)) == [key(1), key(2)]
            assert sorted(message.session for message in second.of(ChannelClosed)) == [key(1), key(2)]
            assert any("still here" in line[2] for text in second.of(Text) for line in text.lines)
            await arrives(lambda: not (trails / f"{key(1)}.end").exists())
        async with control(path, trails) as third:  # what is noted is not told again
            await arrives(lambda: third.of(Hello))
            await asyncio.sleep(0.1)
            assert third.of(Ended) == []
            two.leave()

    on_worker(worker, test)


def test_questions_are_answered_by_number_and_kind(worker: Places) -> None:
    def answer(message: PipeMessage) -> PipeMessage | None:
        if isinstance(message, messages.TryNone):
            if message.user == "odd":
                return messages.Trusted(session=message.session, ask=message.ask, trusted=True)
            if message.user == "other":
                return messages.Decision(session=key(9), ask=message.ask, outcome="accepted")
            return messages.Decision(session=message.session, ask=message.ask, outcome=message.user)
        return None

    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails, answer=answer) as there:
            one, two = await there.begin(1), await there.begin(2)
            assert tuple(await asyncio.gather(one.say("ask partial"), two.say("ask refused"))) == ("partial", "refused")
            assert await one.say("ask odd") == "gone"
            pending = asyncio.ensure_future(two.say("ask other"))
            await asyncio.sleep(0.1)
            assert not pending.done()
        assert await pending == "gone"

    on_worker(worker, test)


def test_control_ends_and_locks_sessions(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            there.pipe.send(messages.Lock(session=key(1), locked=True))
            while await client.say("locked") != "True":
                pass
            there.pipe.send(messages.Terminate(session=key(1), reason="because"))
            assert await client.line() == "ended because"
            [ended] = await arrives(lambda: there.of(Ended))
            assert (ended.verdict, ended.reason) == ("TERMINATED", "because")
            there.pipe.send(messages.Terminate(session=key(5), reason="nobody"))

    places = on_worker(worker, test)
    events = [record.content["event"] for record in trail(places.trails, 1).records() if record.kind is RecordKind.EVENT]
    assert events == ["locked"]


def test_a_session_that_fails_costs_no_other(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            one, two = await there.begin(1), await there.begin(2)
            await one.say("open")
            one.writer.write(b"fail\n")
            [ended] = await arrives(lambda: there.of(Ended))
            assert (ended.session, ended.verdict, ended.recorded) == (key(1), "FAIL", True)
            assert await two.say("open") == "done"

    on_worker(worker, test)


def test_refused_clients_are_told_why(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            ours, theirs = socket.socketpair()
            with theirs:
                there.pipe.send(messages.Refuse(reason="Too many sessions"), theirs.fileno())
            reader, writer = await asyncio.open_connection(sock=ours)
            assert await reader.read() == b"refused Too many sessions\n"
            writer.close()

    on_worker(worker, test)


def test_who_does_not_settle_is_not_control(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            other = await connect(path)
            other.send(messages.Terminate(session=key(1), reason="no"))
            async for _ in other:
                pass
            other.close()
            wrong = await connect(path)
            wrong.send(messages.Settle(trails="/elsewhere", node="n", release="0"))
            async for _ in wrong:
                pass
            wrong.close()
            assert await client.say("open") == "done"
            async with control(path, trails) as newer:  # which takes the place of the one before
                await arrives(lambda: newer.of(Hello))
                await arrives(lambda: there.pipe.closed)

    on_worker(worker, test)


def test_a_viewer_that_reads_nothing_harms_nobody(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            await client.say("open")
            await client.say("out hello")
            there.pipe.send(messages.Follow(session=key(1), viewer=7, who="bob"))
            await arrives(lambda: there.of(messages.Shown))
            assert [shown.code for shown in there.of(messages.Shown)][:2] == ["r", "o"]
            await arrives(lambda: any(b"hello" in shown.data for shown in there.of(messages.Shown)))
            there.taken.clear()
            await client.say("out world")
            await arrives(lambda: any(shown.data == b"world" for shown in there.of(messages.Shown)))
            assert there.task is not None
            there.task.cancel()  # from here on nobody reads
            for _ in range(300):
                assert (await client.say("flood 100000")).startswith("held")
            assert there.pipe.closed is False
            assert memory(there.pipe.pid) < 300 << 20
            client.leave()

    on_worker(worker, test)


def memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_end_of_what_is_followed_is_told(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            await client.say("open")
            for viewer in (1, 2):
                there.pipe.send(messages.Follow(session=key(1), viewer=viewer, who="bob"))
            there.pipe.send(messages.Follow(session=key(3), viewer=3, who="bob"))
            there.pipe.send(messages.Unfollow(session=key(1), viewer=1))
            client.writer.write_eof()
            ends = await arrives(lambda: len(found := [s.viewer for s in there.of(messages.Shown) if s.end]) == 3 and found)
            assert sorted(ends) == [1, 2, 3]

    places = on_worker(worker, test)
    events = [record.content["event"] for record in trail(places.trails, 1).records() if record.kind is RecordKind.EVENT]
    assert [event for event in events if event != "shown"] == ["watched", "watched", "no longer watched"]
    assert "shown" in events  # where a viewer goes over from the trail to what happens now


def test_encrypted_trails_are_not_followed_unless_the_policy_says_so(worker: Places) -> None:
    from tests.unit.recording.trails import identity

    certificate, private, _, _ = identity("rsa")
    audit = Audit(policy="sealed", screen_certificates=(certificate,), live_view=False)

    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1, audit)
            await client.say("open")
            there.pipe.send(messages.Follow(session=key(1), viewer=1, who="bob"))
            await client.say("out secret")
            [shown] = await arrives(lambda: there.of(messages.Shown))
            assert shown.end
            client.leave()
            await arrives(lambda: there.of(Ended))

    places = on_worker(worker, test)
    data = (places.trails / f"{key(1)}.dwr").read_bytes()
    assert TrailReader(data).keys.screen is None
    assert any(record.data == b"secret" for record in TrailReader(data, private).records())


@pytest.mark.parametrize("away", [False, True])
def test_seals_also_of_what_ended_while_control_was_away(worker: Places, away: bool) -> None:
    def seal(message: PipeMessage) -> PipeMessage | None:
        if isinstance(message, messages.WantSeal):
            note = {
                "at": "2026-11-30T00:00:00Z",
                "chain": message.chain.hex(),
                "frame": message.frame,
                "kind": "seal",
                "signature": "",
            }
            return messages.Sealed(session=message.session, note=note)
        return None

    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails, answer=seal) as there:
            client = await there.begin(1, Audit(policy="signed", signed=True, interval=3600))
            await client.say("open")
            if not away:
                client.writer.write_eof()
                await arrives(lambda: there.of(Ended))
        if away:
            client.writer.write_eof()
            assert (await client.line()).startswith("ended")
            async with control(path, trails, answer=seal) as there:
                await arrives(lambda: there.of(Ended))
                await arrives(lambda: trail(trails, 1).verify().notes)

    places = on_worker(worker, test)
    verdict = trail(places.trails, 1).verify()
    [(number, note)] = verdict.notes
    assert (verdict.damage, number, note["frame"]) == (None, verdict.frames, verdict.frames - 1)


def test_a_worker_that_is_told_to_stop_ends_its_sessions(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            await client.say("open")
            there.pipe.send(messages.Stop())
            await asyncio.sleep(0.1)
            assert await client.say("out x") == "done"
            os.kill(there.of(Hello)[0].pid, signal.SIGTERM)
            assert await client.line() == "ended The gateway is shut down."
            await arrives(lambda: there.of(Ended))

    places = on_worker(worker, test)
    assert trail(places.trails, 1).verify().ended
    until(lambda: not list(places.trails.glob(f"{key(1)}.a")))


def test_a_control_that_floods_is_no_reason_to_grow(worker: Places) -> None:
    async def test(path: Path, trails: Path) -> None:
        async with control(path, trails) as there:
            client = await there.begin(1)
            for number in range(2000):
                await there.pipe.drained()
                there.pipe.send(messages.Noted(session=key(number), serial=1))
            assert await client.say("open") == "done"

    on_worker(worker, test)
