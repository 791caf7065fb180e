"""What rules, people and time do to a session that runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from doorward.proxy.ssh.ports import ControlGoneError, NotRecordedError
from doorward.proxy.ssh.wire.fields import string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import ChannelRule, ChannelType, Hours
from tests.support.gateway import EVERYTHING, FakeControl, FakeObserver, Gateway, Served, make_rules
from tests.support.ports import free_port
from tests.support.raw_ssh import RawPeer, channel_request, data
from tests.support.server import until
from tests.system.ssh_support import Site, ended, gateway, open_site, run
from tests.system.sshd_support import ACCOUNT

HERE = f"{ACCOUNT}@127.0.0.1"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


def ruled(site: Site, *rules: ChannelRule, **settings: Any) -> Gateway:
    """A gateway with these rules of channels and settings."""
    return gateway(site, rules=make_rules(gateway_login=True, channels=rules or EVERYTHING, settings=settings))


def rule(channel: ChannelType, **members: Any) -> ChannelRule:
    return ChannelRule(channel=channel, position=0, **members)


def served(relay: Gateway) -> Served:
    """The session of the gateway, once its relay runs."""
    found = until(lambda: relay.served and relay.served[-1])
    assert isinstance(found, Served)
    return found


# --- rules ---


def test_a_command_that_no_rule_names_is_refused(site: Site) -> None:
    with ruled(site, rule(ChannelType.EXEC, execs=("uptime", "echo .*"))) as relay:
        assert site.ssh(relay.port, HERE, "echo allowed").stdout == b"allowed\n"
        refused = site.ssh(relay.port, HERE, "id; echo allowed")
        assert refused.returncode == 255
        assert b"exec request failed" in refused.stderr
        session = ended(relay)
        assert site.ssh(relay.port, HERE, input=b"id\n").returncode == 255
        assert run(["sftp", "-b", "-", *site.options(relay.port), HERE], input=b"ls\n").returncode == 255
    assert ("opened", 1, "session", "deny", None, {"request": "exec", "command": "id; echo allowed"}) in session.observer.noted
    assert session.control.events == [
        ("channel_denied", {"type": "session-exec", "request": "exec", "command": "id; echo allowed"})
    ]
    assert not session.observer.seen("data")


def test_old_and_new_copies_have_rules_of_their_own(site: Site) -> None:
    for kind, option, works in (
        (ChannelType.SCP, "-O", True),
        (ChannelType.SCP, "-s", False),
        (ChannelType.SFTP, "-s", True),
        (ChannelType.SFTP, "-O", False),
    ):
        with ruled(site, rule(kind)) as relay:
            result = run(["scp", option, *site.options(relay.port), str(site.private), f"{HERE}:copied"])
            assert (result.returncode == 0) is works, (kind, option, result.stderr)
        (site.home / "copied").unlink(missing_ok=True)


def test_forwards_that_no_rule_names_are_refused(site: Site) -> None:
    with ruled(site, rule(ChannelType.SHELL), rule(ChannelType.EXEC)) as relay:
        assert b"stdio forwarding failed" in site.ssh(relay.port, "-W", "127.0.0.1:1", HERE).stderr
        options = ["-o", "ExitOnForwardFailure=yes", "-R", f"{free_port()}:127.0.0.1:1"]
        assert b"remote port forwarding failed" in site.ssh(relay.port, *options, HERE, "true").stderr
        assert site.ssh(relay.port, "-A", HERE, "echo $SSH_AUTH_SOCK").stdout == b"\n"
        types = [event[1]["type"] for entry in relay.served for event in entry.control.events]
    assert types[:2] == ["local-forwards", "remote-forwards"]


def test_only_harmless_variables_reach_the_server(site: Site) -> None:
    with ruled(site) as relay:
        options = ["-o", "SetEnv=LC_TIME=de_DE LD_PRELOAD=/evil TERM=x GIT_PROTOCOL=2"]
        out = site.ssh(relay.port, *options, HERE, "echo $LC_TIME,$LD_PRELOAD,$GIT_PROTOCOL").stdout
        facts = ended(relay).observer.seen("opened")[0][5]
    assert out == b"de_DE,,2\n"
    assert facts["environment"] == {"LC_TIME": "de_DE", "TERM": "x", "GIT_PROTOCOL": "2"}


def test_so_many_channels_and_no_more(site: Site) -> None:
    with ruled(site, channels=2) as relay, logged_in(site, relay) as peer:
        for number in range(3):
            peer.send(bytes([Message.CHANNEL_OPEN]) + string("session") + uint32(number) + uint32(9999) + uint32(9999))
        answers = sorted(peer.until_any(Message.CHANNEL_OPEN_CONFIRMATION, Message.CHANNEL_OPEN_FAILURE)[0] for _ in range(3))
        assert answers == [91, 91, 92]


@contextmanager
def logged_in(site: Site, relay: Gateway) -> Iterator[RawPeer]:
    """A raw client that came by the account's key."""
    peer = RawPeer.connect(relay.port)
    peer.login_by_key(ACCOUNT, asyncssh.read_private_key(site.private))
    try:
        yield peer
    finally:
        peer.close()


@pytest.mark.parametrize("approved", [True, False])
def test_a_second_person_decides_about_a_command(site: Site, approved: bool) -> None:
    with ruled(site, rule(ChannelType.EXEC, four_eyes=True)) as relay:
        waiting: list[asyncio.Future[bool]] = []
        make = relay._make_control

        def held() -> FakeControl:
            control = make()
            control.approves = relay.loop.create_future()
            waiting.append(control.approves)
            return control

        relay._make_control = held
        command = ["ssh", *site.options(relay.port), HERE, "cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdin is not None
            process.stdin.write(b"meanwhile")
            process.stdin.flush()
            until(lambda: waiting and ("approval", 1, "session-exec", "cat") in relay.served[-1].control.asked)
            assert not relay.served[-1].observer.seen("opened")
            relay.call(lambda: waiting[0].set_result(approved))
            out, _ = process.communicate()
        assert out == (b"meanwhile" if approved else b"")
        assert ended(relay).observer.seen("opened")[0][3] == ("accept" if approved else "deny")


# --- people ---


@contextmanager
def typing(site: Site, relay: Gateway, *words: str) -> Iterator[tuple[int, subprocess.Popen[bytes], list[bytes]]]:
    """An ssh on a terminal of ours: what is written to its descriptor is typed; what it shows is collected."""
    master, slave = pty.openpty()
    command = ["ssh", "-tt", *site.options(relay.port), HERE, *words]
    shown: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(master, 65536):
                shown.append(piece)
        except OSError:
            pass

    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            yield master, process, shown
        finally:
            process.kill()
            process.wait()
            reader.join()
            os.close(master)


def shows(shown: list[bytes], text: bytes) -> None:
    """Wait until a text is on the terminal."""
    until(lambda: text in b"".join(shown), what=repr(text))


def test_a_locked_session_takes_nothing_and_shows_everything(site: Site) -> None:
    command = "(while sleep 0.2; do echo tick; done) & cat"
    with ruled(site) as relay, typing(site, relay, command) as (terminal, _, shown):
        shows(shown, b"tick")
        session = served(relay).session
        relay.call(lambda: session.lock(True))
        shows(shown, b"The session is locked.")
        os.write(terminal, b"held\n")
        ticks = b"".join(shown).count(b"tick")
        until(lambda: b"".join(shown).count(b"tick") > ticks + 3)
        assert b"held" not in b"".join(shown)
        relay.call(lambda: session.lock(False))
        shows(shown, b"held\r\nheld")


def test_keepalives_of_a_client_are_answered_in_a_locked_session(site: Site) -> None:
    with ruled(site) as relay, logged_in(site, relay) as peer:
        channel = peer.open_session()
        until(lambda: served(relay).session.figures[0])
        relay.call(lambda: relay.served[-1].session.lock(True))
        keepalive = bytes([Message.GLOBAL_REQUEST]) + string("keepalive@openssh.com") + b"\1"
        peer.send(channel_request(channel, "exec", string("echo late")), keepalive)
        assert peer.until_any(Message.REQUEST_SUCCESS, Message.REQUEST_FAILURE)
        relay.call(lambda: relay.served[-1].session.lock(False))
        assert peer.until(Message.CHANNEL_DATA).endswith(b"late\n")


def test_a_session_that_is_ended_tells_why(site: Site) -> None:
    with ruled(site) as relay, typing(site, relay, "-o", "LogLevel=INFO", "cat") as (terminal, process, shown):
        del terminal
        until(lambda: served(relay).observer.seen("opened"))
        relay.call(lambda: relay.served[-1].session.terminate("Enough for today"))
        shows(shown, b"\r\nEnough for today\r\n")
        assert process.wait() == 255
        session = ended(relay)
    assert (session.outcome.verdict, session.outcome.reason) == ("TERMINATED", "Enough for today")
    assert session.observer.outcome == ("TERMINATED", "Enough for today")


def test_words_of_our_own_do_not_upset_windows(site: Site) -> None:
    with ruled(site) as relay, logged_in(site, relay) as peer:
        window = 1 << 20
        channel = peer.open_session(window=window)
        terminal = string("xterm") + uint32(80) + uint32(24) + uint32(0) * 2 + string(b"\0")
        peer.send(
            channel_request(channel, "pty-req", terminal), channel_request(channel, "exec", string("head -c 3000000 /dev/zero"))
        )
        session = served(relay).session
        until(lambda: session.figures[1] > 0)
        relay.call(lambda: session.say("s" * 4000))
        got, said = 0, 0
        while got < 3_000_000 or said < 4000:
            payload = peer.until(Message.CHANNEL_DATA)[9:]
            window -= len(payload)
            assert window >= 0
            said += payload.count(b"s")
            got += payload.count(b"\0")
            peer.send(bytes([Message.CHANNEL_WINDOW_ADJUST]) + uint32(channel) + uint32(len(payload)))
            window += len(payload)
        relay.call(lambda: session.say("more"))
        assert (got, said) == (3_000_000, 4000)


# --- the recording ---


def test_a_recording_that_is_behind_stops_both_sides(site: Site) -> None:
    digest = hashlib.sha256(bytes(20_000_000)).hexdigest().encode()
    with ruled(site) as relay:
        observers: list[FakeObserver] = []

        def make() -> FakeObserver:
            observer = FakeObserver(keep=False)

            def seen(channel: int, down: bool, content: bytes) -> None:
                del channel, down, content
                if observer.flow is not None and len(observer.noted) < 10_000:
                    observer.noted.append(("held",))
                    observer.flow.hold()
                    relay.loop.call_later(0.001, observer.flow.release)

            observer.on_data = seen
            observers.append(observer)
            return observer

        relay._make_observer = make
        assert site.ssh(relay.port, HERE, "sha256sum", input=bytes(20_000_000)).stdout.split()[0] == digest
        assert len(observers[0].seen("held")) > 100


def test_a_recording_that_fails_ends_the_session_before_anything_passes(site: Site) -> None:
    with ruled(site) as relay:
        observers: list[FakeObserver] = []

        def make() -> FakeObserver:
            observer = FakeObserver()

            def seen(channel: int, down: bool, content: bytes) -> None:
                del channel, down
                if b"forbidden" in content:
                    assert observer.flow is not None
                    observer.flow.end("The recording failed", "FAIL")

            observer.on_data = seen
            observers.append(observer)
            return observer

        relay._make_observer = make
        with typing(site, relay, "cat > typed") as (terminal, process, _):
            until(lambda: observers and observers[0].seen("opened"))
            os.write(terminal, b"allowed\nforbidden\n")
            process.wait()
        assert ended(relay).outcome.reason == "The recording failed"
        until((site.home / "typed").exists)
        assert b"forbidden" not in (site.home / "typed").read_bytes()


# --- time ---


def test_silence_ends_a_session(site: Site) -> None:
    with ruled(site, idle_timeout=1) as relay:
        site.ssh(relay.port, HERE, "sleep 60")
        assert ended(relay).outcome.reason == "Nothing was done for too long"


def test_a_session_lasts_no_longer_than_it_may(site: Site) -> None:
    with ruled(site, session_timeout=1) as relay:
        site.ssh(relay.port, HERE, "while sleep 0.1; do echo; done")
        assert ended(relay).outcome.reason == "The session has lasted as long as it may"


def test_a_clock_that_jumps_neither_shortens_nor_lengthens_a_session(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is open stays. Hours are judged by the clock as it is when something is asked for, in sessions old and new."""
    monday = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
    hours = Hours(days=(((9 * 60, 9 * 60 + 59),), *[()] * 6), zone="UTC")
    times = [monday.timestamp()]
    monkeypatch.setattr(time, "time", lambda: times[-1])
    rules = rule(ChannelType.SHELL), rule(ChannelType.EXEC, hours=hours)
    with ruled(site, *rules, idle_timeout=3600, session_timeout=3600) as relay:
        master = ["ssh", "-S", str(site.directory / "master"), *site.options(relay.port), HERE]
        with subprocess.Popen([*master, "-M", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            for days, minutes in ((0, 0), (0, 90), (0, -90), (7, 0), (365 * 5, 0), (364 * 5, 29), (-364 * 5, 0), (-365 * 20, 0)):
                now = monday + timedelta(days=days, minutes=minutes)
                times.append(now.timestamp())
                process.stdin.write(b"still here\n")
                process.stdin.flush()
                assert process.stdout.readline() == b"still here\n", now
                within = now.weekday() == 0 and now.hour == 9
                assert (run([*master, "true"]).returncode == 0) is within, now
                assert (site.ssh(relay.port, HERE, "true").returncode == 0) is within, now
            process.stdin.close()
        assert process.returncode == 0
        assert ended(relay, 0).outcome.verdict == "ACCEPT"


def test_a_clock_that_is_set_back_lets_no_session_last_longer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [time.time()]
    monkeypatch.setattr(time, "time", lambda: times[-1])
    with ruled(site, session_timeout=1) as relay:
        process = subprocess.Popen(["ssh", *site.options(relay.port), HERE, "sleep 60"])
        until(lambda: served(relay).outcome is not None or served(relay).observer.seen("opened"))
        times.append(times[0] - 5 * 365 * 86_400)
        assert ended(relay).outcome.reason == "The session has lasted as long as it may"
        process.wait()


def test_a_client_that_is_gone_without_a_word_is_noticed(site: Site) -> None:
    with ruled(site, keepalive_interval=1, keepalive_count=1) as relay:
        process = subprocess.Popen(["ssh", *site.options(relay.port), HERE, "sleep 60"])
        until(lambda: served(relay).observer.seen("opened"))
        process.send_signal(signal.SIGSTOP)
        session = ended(relay)
        process.kill()
        process.wait()
    assert session.outcome.reason == "The client does not answer any longer"


def test_a_client_that_lives_is_left_alone(site: Site) -> None:
    with ruled(site, keepalive_interval=1, keepalive_count=20) as relay:
        assert site.ssh(relay.port, HERE, "sleep 3; echo alive").stdout == b"alive\n"


def test_the_time_for_a_login_ends(site: Site) -> None:
    with ruled(site, login_seconds=1) as relay:
        peer = RawPeer.connect(relay.port)
        peer.exchange()
        session = ended(relay)
        peer.close()
    assert session.outcome.reason == "The time for the login is over"


def test_a_client_that_is_killed_leaves_nothing_at_the_target(site: Site) -> None:
    with ruled(site) as relay:
        with subprocess.Popen(
            ["ssh", *site.options(relay.port), HERE, "echo $PPID; cat"], stdout=subprocess.PIPE, stdin=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            parent = int(process.stdout.readline())
            process.kill()
            ended(relay)
        until(lambda: not Path(f"/proc/{parent}").exists())


# --- keys are changed ---


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"])
def test_keys_change_under_load_on_both_legs(site: Site, cipher: str) -> None:
    content = os.urandom(12_000_000)
    with ruled(site, rekey_bytes=1_500_000) as relay:
        options = ["-c", cipher, "-o", "RekeyLimit=1M"]
        result = site.ssh(relay.port, *options, HERE, "cat", input=content)
        session = ended(relay).session
    assert min(session.exchanges) > 5
    assert hashlib.sha256(result.stdout).hexdigest() == hashlib.sha256(content).hexdigest()


# --- from the beginning and to the end ---


def test_a_client_that_may_not_come_in_is_told_why(site: Site) -> None:
    with ruled(site) as relay, relay.refusing("Too many sessions"):
        result = site.ssh(relay.port, "-o", "LogLevel=INFO", HERE, "true")
    assert result.returncode == 255
    assert b"Too many sessions" in result.stderr


def test_a_session_that_can_not_be_recorded_does_not_begin(site: Site) -> None:
    with ruled(site) as relay:
        make = relay._make_observer

        def failing() -> FakeObserver:
            observer = make()
            observer.is_ready = relay.loop.create_future()
            observer.is_ready.set_exception(NotRecordedError("The disk for recordings is full."))
            return observer

        relay._make_observer = failing
        result = run(["ssh", "-o", "LogLevel=INFO", *site.options(relay.port), HERE, "true"])
        assert b"The disk for recordings is full." in result.stderr
        assert ended(relay).outcome.verdict == "FAIL"


def test_a_session_without_control_is_told_so(site: Site) -> None:
    with ruled(site) as relay:
        make = relay._make_control

        def gone() -> FakeControl:
            control = make()

            async def nobody(*_: object) -> Any:
                raise ControlGoneError

            control.find_target = nobody  # type: ignore[method-assign, assignment]
            return control

        relay._make_control = gone
        result = run(["ssh", "-o", "LogLevel=INFO", *site.options(relay.port), HERE, "true"])
        assert b"Logins are not possible at the moment" in result.stderr
        ended(relay)


def test_where_rules_are_not_kept_strictly_a_violation_goes_nowhere(site: Site) -> None:
    with ruled(site, strict_mode=False) as relay, logged_in(site, relay) as peer:
        channel = peer.open_session()
        peer.send(data(99, b"to nobody"), channel_request(channel, "exec", string("echo goes on")))
        assert peer.until(Message.CHANNEL_DATA).endswith(b"goes on\n")
        assert relay.served[-1].control.events == [
            ("protocol_violation", {"reason": "A message came for channel 99, which is not there"})
        ]
