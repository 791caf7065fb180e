"""A worker in somebody else's hands says everything that it must not: it is dropped, told of, and has learned nothing."""

from __future__ import annotations

import asyncio
import fcntl
from typing import TYPE_CHECKING, Any

import pytest

from doorward.api.audit.shown import time_of
from doorward.proxy import messages
from doorward.proxy.control.live import MAX_QUEUE
from doorward.proxy.control.reports import MAX_FACT, MAX_FACTS
from doorward.proxy.control.session import MAX_SEALING
from doorward.recording.journal import SEGMENTS
from doorward.sessions.catalogue.rows import ChannelRow
from doorward.sessions.rules import Relayed
from tests.unit.proxy.control.site import IDENTIFIER, Site, configured, connected, ended, eventually, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from doorward.proxy.messages import PipeMessage
    from tests.unit.transaction.rig import Rig

USER = "alice@db1.example.com"
OTHER = "A" + "b" * 21

_MESSAGES: list[Callable[[str], PipeMessage]] = [
    lambda key: messages.Identified(session=key, identifier=IDENTIFIER, client_version="x"),
    lambda key: messages.TryNone(session=key, ask=1, user=USER),
    lambda key: messages.TryPassword(session=key, ask=1, user=USER, password="x"),
    lambda key: messages.TryPrompts(session=key, ask=1, user=USER),
    lambda key: messages.TryKey(session=key, ask=1, user=USER, algorithm="ssh-ed25519", key=b"x"),
    lambda key: messages.FindTarget(session=key, ask=1, user=USER, method="password"),
    lambda key: messages.JudgeHostKey(session=key, ask=1, address="10.0.0.7", port=22, key="ssh-ed25519 AAAA"),
    lambda key: messages.WantCredential(session=key, ask=1, way=Relayed.CREDENTIAL_STORE),
    lambda key: messages.WantSignature(session=key, ask=1, public_key="x", algorithm="x", data=b"x"),
    lambda key: messages.WantApproval(session=key, ask=1, channel=1, type="shell", detail=""),
    lambda key: messages.WantSeal(session=key, frame=1, chain=b"x" * 32),
    lambda key: connected(key, messages.TargetAnswer(session=key, ask=1, addresses=("10.0.0.7",), user="alice")),
    lambda key: messages.ChannelOpened(session=key, number=1, at=1, type="session-shell", verdict="accept", rule=0, serial=1),
    lambda key: messages.ChannelClosed(session=key, number=1, at=1, down=1, up=1, serial=1),
    lambda key: messages.Happened(session=key, at=1, event="channel_denied", serial=1),
    lambda key: messages.Text(session=key, channel=1, lines=((1, "screen", "x"),), serial=1),
    ended,
    lambda key: messages.Counts(sessions={key: (1, 1, 1, 1)}, memory=1, lag=1),
]
EVERYTHING = {type(make("x" * 22)).__name__: make for make in _MESSAGES}


async def is_caught(site: Site, worker: Any) -> bool:
    dropped = await worker.is_dropped()
    return dropped and worker.name in site.control.workers.banned and "alert" in site.bus.kinds()


def test_nothing_can_be_said_of_a_session_of_another_worker(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        honest = await site.worker("w1")
        key = await site.connected(honest)
        for name, make in EVERYTHING.items():
            evil = await site.worker(f"evil{name}")
            evil.say(make(key))
            assert await is_caught(site, evil), name
        assert site.catalogue.rows[key].ended is None
        assert not site.catalogue.channels
        assert not site.catalogue.lines
        session = site.control.sessions.find(key)
        assert session is not None
        assert session.worker is site.control.workers.find("w1")

    play(rig, scenario)


def test_nothing_can_be_handed_in_of_a_worker_that_lives(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control is not connected to it for a moment, or has begun anew: its sessions go on, and end when it says so."""
    monkeypatch.setattr("doorward.proxy.control.dispatch.WAIT_SECONDS", 0.05)
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        honest = await site.worker("w1")
        key = await site.connected(honest)
        with (site.places.trails / f"w1.{SEGMENTS[0]}").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            honest.pipe.close()
            await eventually(lambda: site.control.workers.find("w1") is None)
            for forgotten in (False, True):
                if forgotten:
                    session = site.control.sessions.find(key)
                    assert session is not None
                    site.control.sessions.end(session)
                for name in ("Ended", "Text", "ChannelOpened"):
                    evil = await site.worker(f"evil{name}{forgotten}")
                    evil.say(EVERYTHING[name](key))
                    assert await is_caught(site, evil), (name, forgotten)
        assert not site.catalogue.ends
        assert not site.catalogue.lines

    play(rig, scenario)


LATE = {"ChannelOpened", "ChannelClosed", "Happened", "Text", "Ended", "Connected", "WantSeal", "Counts"}
"""What an honest worker may hand in of sessions of a worker that died, which control may know nothing of any more."""


def test_nothing_can_be_asked_for_a_session_that_is_not_there(rig: Rig) -> None:
    async def scenario(site: Site) -> None:
        for name, make in EVERYTHING.items():
            if name not in LATE:
                evil = await site.worker(f"evil{name}")
                evil.say(make(OTHER))
                assert await is_caught(site, evil), name

    play(rig, scenario)


BEFORE_LOGIN = (
    "Identified", "FindTarget", "JudgeHostKey", "WantCredential", "WantSignature", "WantApproval", "Connected", "ChannelOpened",
    "Text",
)  # fmt: skip
AFTER_LOGIN = (
    "Identified", "TryNone", "TryPassword", "TryKey", "TryPrompts", "WantCredential", "WantSignature", "JudgeHostKey",
    "WantApproval", "Connected", "ChannelOpened",
)  # fmt: skip
CONNECTED = (
    "Identified", "TryNone", "TryPassword", "TryKey", "TryPrompts", "FindTarget", "WantCredential", "WantSignature",
    "JudgeHostKey",
)  # fmt: skip


def test_nothing_can_be_said_out_of_order(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        for phase, names, begin in (
            ("begun", BEFORE_LOGIN, site.begun),
            ("admitted", AFTER_LOGIN, site.logged_in),
            ("connected", CONNECTED, site.connected),
        ):  # fmt: skip
            for name in names:
                worker = await site.worker(f"{phase}{name}")
                key = await begin(worker)
                worker.say(EVERYTHING[name](key))
                assert await is_caught(site, worker), (phase, name)

    play(rig, scenario)


@pytest.mark.parametrize("changes", [{"address": "10.0.0.8"}, {"port": 2222}, {"user": "root"}], ids=["address", "port", "user"])
def test_no_other_target_can_have_been_connected_to(rig: Rig, changes: dict[str, Any]) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, target = await site.targeted(worker)
        worker.say(connected(key, target, **changes))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_two_things_at_once_are_one_too_many(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.begun(worker)
        for number in (1, 2):
            worker.say(messages.TryPassword(session=key, ask=number, user=USER, password="guess"))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_a_host_key_of_a_server_that_is_not_the_target_is_nobody_s_business(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, _ = await site.targeted(worker)
        worker.say(messages.JudgeHostKey(session=key, ask=9, address="10.0.0.9", port=22, key="ssh-ed25519 AAAA"))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_a_way_that_was_not_offered_can_not_be_asked_for(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key, _ = await site.targeted(worker)
        worker.say(messages.WantCredential(session=key, ask=9, way=Relayed.PRIVATE_KEY))
        assert await is_caught(site, worker)

    play(rig, scenario)


@pytest.mark.parametrize("method", ["password\x1b[2J", "x" * 100_000], ids=["control", "size"])
def test_no_other_way_to_log_in_gets_into_the_catalogue(rig: Rig, method: str) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.logged_in(worker)
        worker.say(messages.FindTarget(session=key, ask=9, user=USER, method=method))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_a_target_can_not_be_asked_for_without_end(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.logged_in(worker)
        for _ in range(8):
            await worker.ask(messages.TargetAnswer, messages.FindTarget, key, user=USER, method="password")
        worker.say(messages.FindTarget(session=key, ask=99, user=USER, method="password"))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_the_target_of_somebody_else_can_not_be_asked_for(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        worker = await site.worker()
        key = await site.logged_in(worker)
        worker.say(messages.FindTarget(session=key, ask=9, user="root@db1.example.com", method="password"))
        assert await is_caught(site, worker)

    play(rig, scenario)


def test_nobody_takes_the_name_of_another_worker_or_comes_back_once_caught(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        await site.worker("w1")
        twin = site.unmet("w1")
        twin.hello()
        assert await twin.is_dropped()
        evil = await site.worker("evil")
        evil.hello()
        assert await is_caught(site, evil)
        again = site.unmet("evil")
        again.hello()
        assert await again.is_dropped()

    play(rig, scenario)


@pytest.mark.parametrize("name", ["", "../w1", "w" * 65, "w 1"])
def test_a_worker_has_a_name_of_its_own(rig: Rig, name: str) -> None:
    async def scenario(site: Site) -> None:
        worker = site.unmet(name)
        worker.hello()
        assert await worker.is_dropped()

    play(rig, scenario)


def test_a_session_that_another_worker_has_can_not_be_claimed(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        honest = await site.worker("w1")
        key = await site.connected(honest)
        evil = site.unmet("evil")
        evil.hello(key)
        assert await is_caught(site, evil)
        session = site.control.sessions.find(key)
        assert session is not None
        assert session.host == "w1"

    play(rig, scenario)


def test_a_viewer_sees_the_session_that_is_followed(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        honest = await site.worker("w1")
        key = await site.connected(honest)
        stream = site.control.live.follow(key, None, "auditor")

        async def shown() -> bytes:
            return (await anext(stream)).data

        task = asyncio.create_task(shown())
        follow = await honest.receive(messages.Follow)
        evil = await site.worker("evil")
        evil.say(messages.Shown(session=key, viewer=follow.viewer, channel=1, at=1, code="o", data=b"lies"))
        assert await is_caught(site, evil)
        honest.say(messages.Shown(session=key, viewer=follow.viewer, channel=1, at=1, code="o", data=b"truth"))
        assert await task == b"truth"
        await stream.aclose()  # type: ignore[attr-defined]

    play(rig, scenario)


def test_a_flood_of_seals_waits_at_the_worker(rig: Rig) -> None:
    configured(rig)

    class Slow:
        def __init__(self) -> None:
            self.asked, self.may = 0, asyncio.Event()

        async def sealed(self, *_: object) -> None:
            self.asked += 1
            await self.may.wait()

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        worker = await site.worker()
        key = await site.connected(worker)
        slow = site.control.dispatch.sealer = Slow()  # type: ignore[assignment]
        for frame in range(2 * MAX_SEALING):
            worker.say(messages.WantSeal(session=key, frame=frame, chain=bytes(32)))
        await eventually(lambda: slow.asked == MAX_SEALING)
        await asyncio.sleep(0.1)
        assert slow.asked == MAX_SEALING
        slow.may.set()
        await eventually(lambda: slow.asked == 2 * MAX_SEALING)

    play(rig, scenario)


def test_numbers_and_ends_that_there_can_not_be_are_not_told(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        most = (1 << 64) - 1
        for number, local in enumerate((("x" * 300, 1), ("\x1b[2J", 1), ("10.0.0.1", 1 << 16), ("10.0.0.1", most))):
            evil = await site.worker(f"end{number}")
            key, target = await site.targeted(evil)
            evil.say(connected(key, target, local=local))
            assert await is_caught(site, evil), local
        wrong: list[Callable[[str], PipeMessage]] = [
            lambda key: messages.ChannelClosed(session=key, number=most, at=1, down=1, up=1, serial=2),
            lambda key: messages.Text(session=key, channel=most, lines=((1, "screen", "x"),), serial=2),
            lambda key: messages.Text(session=key, channel=0, lines=((1, "screen", "x"),), serial=2),
            lambda key: messages.ChannelOpened(
                session=key, number=1, at=1, type="session-shell", verdict="accept", rule=most, serial=2
            ),
        ]
        for number, make in enumerate(wrong):
            evil = await site.worker(f"number{number}")
            evil.say(make(await site.connected(evil)))
            assert await is_caught(site, evil), number

    play(rig, scenario)


def test_the_list_of_those_that_run_is_shown_whatever_a_worker_counts(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        evil = await site.worker()
        key = await site.connected(evil)
        most = (1 << 64) - 1
        evil.say(messages.Counts(sessions={key: (most, most, most, most)}, memory=most, lag=most))
        session = site.control.sessions.find(key)
        assert session is not None
        await eventually(lambda: session.activity)
        assert time_of(session.activity)

    play(rig, scenario)


def test_facts_of_a_channel_are_few_and_plain(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        evil = await site.worker()
        key = await site.connected(evil)
        facts: dict[str, Any] = {"command": "x" * 100_000, "deep": [[[{"a": b"\x1b"}]]], "big": 1 << 63}
        facts |= {f"more{number}": number for number in range(100)}
        evil.say(messages.ChannelOpened(
            session=key, number=1, at=1, type="session-exec", verdict="accept", rule=0, facts=facts, serial=2
        ))  # fmt: skip
        await eventually(lambda: site.catalogue.channels)
        _, row = site.catalogue.channels[0]
        assert isinstance(row, ChannelRow)
        assert len(row.facts) == MAX_FACTS
        assert len(row.facts["command"]) == MAX_FACT
        assert isinstance(row.facts["deep"], str)
        assert "\x1b" not in row.facts["deep"]

    play(rig, scenario)


def test_a_viewer_is_not_filled_with_nothing(rig: Rig) -> None:
    configured(rig)

    async def scenario(site: Site) -> None:
        site.names.known["db1.example.com"] = ("10.0.0.7",)
        evil = await site.worker()
        key = await site.connected(evil)
        shown = site.control.live.follow(key, 1, "bob")
        first = asyncio.ensure_future(anext(shown))
        number = (await evil.receive(messages.Follow)).viewer
        empty = messages.Shown(session=key, viewer=number, channel=1, at=1, code="o", data=b"")
        evil.say(empty)
        await first
        for _ in range(MAX_QUEUE // 100 + 2):
            evil.say(empty)
        (viewer,) = site.control.live._viewers.values()
        await eventually(lambda: viewer.is_over)
        assert [one async for one in shown] == []
        await shown.aclose()  # type: ignore[attr-defined]
        second = site.control.live.follow(key, 1, "bob")
        waiting = asyncio.ensure_future(anext(second))
        number = (await evil.receive(messages.Follow)).viewer
        evil.say(messages.Shown(session=key, viewer=number, channel=1, at=1, code="x" * 1000, data=b""))
        assert await is_caught(site, evil)
        with pytest.raises(StopAsyncIteration):
            await waiting

    play(rig, scenario)
