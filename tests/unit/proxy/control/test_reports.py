from __future__ import annotations

import asyncio
import fcntl
import gc
from typing import TYPE_CHECKING

import pytest

from doorward.api.audit.shown import time_of
from doorward.proxy import messages
from doorward.proxy.control.adoption import recorded_until
from doorward.proxy.control.credentials import Keyring
from doorward.proxy.control.logins import GatewayLogin
from doorward.proxy.control.session import Session
from doorward.recording.format import NO_FLAGS, Stream, beginning, frame_head
from doorward.recording.journal import SEGMENTS
from doorward.sessions.live import FollowingFullError, NotLiveError, ShownEvent
from doorward.sessions.rules import Relayed
from tests.unit.proxy.control.site import MemoryCatalogue, Site, configured, connected, ended, eventually, play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.transaction.rig import Rig

HOST = ("10.0.0.7",)


async def _next(stream: AsyncIterator[ShownEvent]) -> ShownEvent:
    return await anext(stream)


def opened(key: str, serial: int = 2, number: int = 1) -> messages.ChannelOpened:
    return messages.ChannelOpened(
        session=key, number=number, at=10, type="session-exec", verdict="accept", rule=0, facts={"command": "id"}, serial=serial
    )


def test_everything_told_is_kept_once_and_noted(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        for _ in range(2):
            worker.say(opened(key))
            worker.say(messages.Happened(session=key, at=20, event="channel_denied", facts={"type": "x11"}, serial=3))
            worker.say(messages.Text(session=key, channel=1, lines=((30, "screen", "uid=0"),), serial=4))
            worker.say(messages.ChannelClosed(session=key, number=1, at=40, down=7, up=0, serial=5))
        worker.say(ended(key, serial=6))
        await eventually(lambda: key in site.catalogue.ends)
        assert len(site.catalogue.channels) == 2
        assert [line.text for _, line in site.catalogue.lines] == ["uid=0"]
        assert [event.type for _, event in site.catalogue.events] == ["channel_denied"]
        assert site.catalogue.ends[key].verdict == "ACCEPT"
        noted = await worker.receive(messages.Noted)
        while noted.serial < 6:
            noted = await worker.receive(messages.Noted)
        assert not len(site.control.sessions)
        kinds = site.bus.kinds()
        assert kinds[-1] == "session_ended"
        assert {"auth_success", "session_started", "channel_denied"} <= set(kinds)

    play(rig, scenario)


def test_nothing_of_sessions_that_are_over_stays_in_memory(rig: Rig) -> None:
    """Whether they were connected, had a target, or had only logged in."""
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, connected_one = await site.session()
        targeted, _ = await site.targeted(worker)
        keys = {connected_one, targeted, await site.logged_in(worker)}
        assert {found.key for found in held()} == keys
        for key in keys:
            worker.say(ended(key))
        await eventually(lambda: not len(site.control.sessions) and not site.control.dispatch.tasks)
        assert not [found for found in held() if found.key in keys]

    def held() -> list[Session]:
        gc.collect()
        return [found for found in gc.get_objects() if type(found) is Session]

    play(rig, scenario)


def test_the_logins_of_a_session_are_let_go_when_it_is_connected(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        await site.session()
        gc.collect()
        assert not [found for found in gc.get_objects() if type(found) in {GatewayLogin, Keyring}]

    play(rig, scenario)


def test_counts_and_figures(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        worker.say(messages.Counts(sessions={key: (2, 300, 40, 1500)}, memory=1 << 20, lag=12))
        await eventually(lambda: site.control.figures().down)
        figures = site.control.figures()
        assert (figures.sessions, figures.channels, figures.down, figures.up) == (1, 2, 300, 40)
        assert figures.workers["w1"].lag == 12
        assert figures.events["recording_failed"] == 0, "there before it happens, so that an increase is seen"
        live = site.control.live.find(key)
        assert live is not None
        assert (live.channels, live.down) == (2, 300)

    play(rig, scenario)


def test_a_session_is_ended_and_locked_by_an_administrator(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        live = site.control.live
        await live.lock(key, locked=True)
        assert (await worker.receive(messages.Lock)).locked
        found = live.find(key)
        assert found is not None
        assert found.is_locked
        ending = asyncio.create_task(live.end(key, "enough\x1b[31m", "admin"))
        told = await worker.receive(messages.Terminate)
        assert told.reason == "Ended by admin: enough [31m"
        worker.say(ended(key, verdict="TERMINATED"))
        await ending
        assert site.bus.kinds()[-1] == "session_terminated"
        with pytest.raises(NotLiveError):
            await live.end(key, "", "admin")

    play(rig, scenario)


def test_twenty_may_watch_and_a_slow_one_is_dropped(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        live = site.control.live
        watching = [live.follow(key, None, f"auditor {number}") for number in range(20)]
        tasks = [asyncio.create_task(_next(stream)) for stream in watching]
        follows = [await worker.receive(messages.Follow) for _ in watching]
        with pytest.raises(FollowingFullError):
            await anext(live.follow(key, None, "one too many"))
        for follow in follows:
            worker.say(messages.Shown(session=key, viewer=follow.viewer, channel=1, at=5, code="o", data=b"hello"))
        assert {(await task).data for task in tasks} == {b"hello"}
        for _ in range(10):
            worker.say(messages.Shown(session=key, viewer=follows[0].viewer, channel=1, at=6, code="o", data=b"x" * 100_000))
        worker.say(messages.Counts(sessions={key: (1, 1, 1, 1)}, memory=1, lag=1))
        await eventually(lambda: site.control.figures().down)
        assert [shown async for shown in watching[0]] == []
        worker.say(ended(key))
        assert [shown async for shown in watching[1]] == []

    play(rig, scenario)


def test_a_worker_comes_back_with_its_sessions(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        worker.pipe.close()
        await eventually(lambda: site.control.workers.find("w1") is None)
        with pytest.raises(NotLiveError):
            await site.control.live.end(key, "", "admin")
        again = await site.worker("w1", key)
        again.say(opened(key))
        await eventually(lambda: site.catalogue.channels)
        session = site.control.sessions.find(key)
        assert session is not None
        assert not session.is_adopted

    play(rig, scenario)


def test_a_control_that_starts_anew_adopts_what_runs_and_gives_it_no_secret(rig: Rig) -> None:
    made = configured(rig)
    catalogue = MemoryCatalogue()
    keys: list[str] = []

    async def before(site: Site) -> None:
        site.names.known["db1.example.com"] = HOST
        worker = await site.worker()
        keys.append(await site.connected(worker))
        keys.append((await site.targeted(worker))[0])

    async def after(site: Site) -> None:
        running, halfway = keys
        worker = await site.worker("w1", running, halfway, "S" + "t" * 21)
        assert (await worker.receive(messages.Terminate)).session.startswith("St")
        assert len(site.control.live.all()) == 2
        found = site.control.sessions.find(running)
        assert found is not None
        assert (found.person.name, found.number) == ("alice", 1)
        asked = await worker.ask(messages.CredentialAnswer, messages.WantCredential, halfway, way=Relayed.SAME_PASSWORD)
        assert (asked.password, asked.public_keys) == (None, ())
        worker.say(opened(running, serial=9))
        worker.say(ended(running, serial=10))
        await eventually(lambda: running in catalogue.ends)
        candidate = rig.candidate()
        rig.put(candidate, "policies/user_databases", {"name": "people", "users": []}, made.database)
        rig.commit(candidate)
        site.control.published()
        assert (await worker.receive(messages.Terminate)).session == halfway

    play(rig, before, catalogue)
    play(rig, after, catalogue)


def test_a_session_of_a_worker_that_is_gone_is_closed_and_its_own_word_counts_later(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("doorward.proxy.control.dispatch.WAIT_SECONDS", 0.05)
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        worker.pipe.close()
        await eventually(lambda: key in site.catalogue.recovered_ends)
        assert site.catalogue.rows[key].verdict == "FAIL"
        assert not len(site.control.sessions)
        other = await site.worker("w2")
        other.say(ended(key, verdict="FAIL", at=4321, serial=1 << 53))
        await eventually(lambda: key in site.catalogue.ends)
        assert site.catalogue.ends[key].at == 4321
        assert (await other.receive(messages.Noted)).serial == 1 << 53

    play(rig, scenario)


def test_what_a_worker_told_of_bytes_outlives_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.proxy.control.dispatch.WAIT_SECONDS", 0.05)
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = HOST
        worker = await site.worker()
        keys = [await site.connected(worker) for _ in range(2)]
        worker.say(messages.Counts(sessions=dict.fromkeys(keys, (1, 300, 40, 1)), memory=1, lag=1))
        await eventually(lambda: all(site.catalogue.rows[key].down for key in keys))
        # More often than now and then the catalogue is not told, but control knows.
        worker.say(messages.Counts(sessions=dict.fromkeys(keys, (1, 900, 80, 1)), memory=1, lag=1))
        await eventually(lambda: site.control.figures().down == 1800)
        assert site.catalogue.rows[keys[0]].down == 300
        other = await site.worker("w2")
        worker.pipe.close()
        await eventually(lambda: site.control.workers.find("w1") is None)
        other.say(ended(keys[0], verdict="FAIL", down=0, up=0, serial=1 << 53))
        await eventually(lambda: keys[0] in site.catalogue.ends and keys[1] in site.catalogue.recovered_ends)
        for end in (site.catalogue.ends[keys[0]], site.catalogue.recovered_ends[keys[1]]):
            assert (end.down, end.up) == (900, 80)

    play(rig, scenario)


def test_a_session_that_ended_while_control_was_away_is_told_of_whole(rig: Rig) -> None:
    configured(rig)
    catalogue = MemoryCatalogue()
    keys: list[str] = []

    async def before(site: Site) -> None:
        site.names.known["db1.example.com"] = HOST
        worker = await site.worker()
        keys.append(await site.connected(worker))
        worker.say(messages.Counts(sessions={keys[0]: (1, 300, 40, 1)}, memory=1, lag=1))
        await eventually(lambda: catalogue.rows[keys[0]].down)

    async def after(site: Site) -> None:
        worker = await site.worker("w1")
        worker.say(opened(keys[0], serial=3))
        worker.say(messages.Text(session=keys[0], channel=1, lines=((30, "screen", "last words"),), serial=4))
        worker.say(ended(keys[0], serial=5))
        await eventually(lambda: keys[0] in catalogue.ends)
        assert [line.text for _, line in catalogue.lines] == ["last words"]
        assert len(catalogue.channels) == 1
        assert catalogue.ends[keys[0]].down == 300
        assert not len(site.control.sessions)

    play(rig, before, catalogue)
    play(rig, after, catalogue)


def test_a_row_stays_open_while_its_worker_holds_its_journal(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("doorward.proxy.control.dispatch.WAIT_SECONDS", 0.05)
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        with (site.places.trails / f"w1.{SEGMENTS[0]}").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            worker.pipe.close()
            await asyncio.sleep(0.3)
            assert key not in site.catalogue.recovered_ends
        await eventually(lambda: key in site.catalogue.recovered_ends)

    play(rig, scenario)


def test_a_client_that_goes_while_its_row_is_begun_leaves_no_open_row(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        began, go_on = asyncio.Event(), asyncio.Event()
        begin = site.catalogue.begin

        async def slow(row: object) -> None:
            began.set()
            await go_on.wait()
            await begin(row)  # type: ignore[arg-type]

        site.catalogue.begin = slow  # type: ignore[method-assign]
        worker.say(messages.TryPassword(session=key, ask=1, user="alice@db1.example.com", password="correct horse battery"))
        await began.wait()
        worker.say(ended(key, verdict="AUTH_FAIL"))
        await asyncio.sleep(0.05)
        go_on.set()
        await eventually(lambda: not len(site.control.sessions))
        assert site.catalogue.rows[key].ended is not None

    play(rig, scenario)


def test_connected_again_after_the_pipe_broke_is_no_crime(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = HOST
        worker = await site.worker()
        key, target = await site.targeted(worker)
        worker.pipe.close()
        await eventually(lambda: site.control.workers.find("w1") is None)
        again = await site.worker("w1", key)
        for _ in range(2):
            again.say(connected(key, target))
        await eventually(lambda: "session_started" in site.bus.kinds())
        assert site.bus.kinds().count("session_started") == 1

    play(rig, scenario)


def test_no_number_of_a_worker_breaks_lists_and_sums(rig: Rig) -> None:
    """Times beyond any calendar and sums beyond 64 bits would make every list with the session fail."""
    configured(rig)

    async def scenario(site: Site) -> None:
        worker, key = await site.session()
        huge = (1 << 64) - 1
        worker.say(messages.Happened(session=key, at=huge, event="channel_denied", serial=2))
        worker.say(ended(key, at=huge, down=huge, up=huge, trail_bytes=huge))
        await eventually(lambda: key in site.catalogue.ends)
        end = site.catalogue.ends[key]
        began = site.catalogue.rows[key].began
        for at in (end.at, site.catalogue.events[0][1].at):
            assert time_of(began + at) > time_of(began)
        assert 4096 * max(end.down, end.up, end.trail_bytes) < 1 << 63

    play(rig, scenario)


def test_a_trail_of_garbage_has_an_end_that_can_be_shown(tmp_path: Path) -> None:
    trail = tmp_path / "trail"
    trail.write_bytes(beginning(b"{}") + frame_head(3, Stream.SCREEN, NO_FLAGS, (1 << 64) - 1) + b"abc")
    assert time_of(recorded_until(trail))
    link = tmp_path / "link"
    link.symlink_to(trail)
    assert recorded_until(link) == 0
