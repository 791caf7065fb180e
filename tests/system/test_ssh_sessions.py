"""What rules, people and time do to a session that runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from doorward.proxy.ssh.wire.fields import string, uint32
from doorward.proxy.ssh.wire.numbers import Message
from doorward.sessions.rules import ChannelRule, ChannelType
from tests.support.gateway import EVERYTHING, FakeControl, FakeObserver, Gateway, Served, make_rules
from tests.support.ports import free_port
from tests.support.raw_ssh import RawPeer, channel_request
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
    import asyncssh

    from doorward.proxy.ssh.wire.fields import boolean
    from tests.support.raw_ssh import request

    key = asyncssh.read_private_key(site.private)
    peer = RawPeer.connect(relay.port)
    peer.exchange()
    peer.send(bytes([Message.SERVICE_REQUEST]) + string("ssh-userauth"))
    signed = request(ACCOUNT, "publickey", boolean(True) + string("ssh-ed25519") + string(key.public_data))
    peer.send(signed + string(key.sign(string(peer.session_id) + signed, b"ssh-ed25519")))
    peer.until(Message.USERAUTH_SUCCESS)
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
        until(lambda: (site.home / "typed").exists())
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


def test_a_client_that_is_gone_without_a_word_is_noticed(site: Site) -> None:
    with ruled(site, keepalive_interval=1, keepalive_count=1) as relay:
        with subprocess.Popen(["ssh", *site.options(relay.port), HERE, "sleep 60"]) as process:
            until(lambda: served(relay).observer.seen("opened"))
            process.send_signal(signal.SIGSTOP)
            session = ended(relay)
            process.kill()
    assert session.outcome.reason == "The client does not answer any longer"


def test_a_client_that_lives_is_left_alone(site: Site) -> None:
    with ruled(site, keepalive_interval=1, keepalive_count=1) as relay:
        assert site.ssh(relay.port, HERE, "sleep 4; echo alive").stdout == b"alive\n"


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
        until(lambda: not os.path.exists(f"/proc/{parent}"))


# --- keys are changed ---


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"])
def test_keys_change_under_load_on_both_legs(site: Site, cipher: str) -> None:
    content = os.urandom(12_000_000)
    with ruled(site, rekey_bytes=1_500_000) as relay:
        options = ["-c", cipher, "-o", "RekeyLimit=1M"]
        result = site.ssh(relay.port, *options, HERE, "cat", input=content)
        session = ended(relay).session
    assert min(session.exchanges) > 10
    assert hashlib.sha256(result.stdout).hexdigest() == hashlib.sha256(content).hexdigest()
