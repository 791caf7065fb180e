"""Real programs through a real worker: what they did is in the trail, whatever becomes of worker, control and disk."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doorward.proxy import messages
from doorward.recording.channels import channels
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind, read_varint
from doorward.sessions.rules import ChannelRule, ChannelType
from tests.support.gateway import make_rules
from tests.support.server import until
from tests.support.worker_gateway import WorkerGateway
from tests.system.ssh_support import Site, open_site, run
from tests.system.sshd_support import ACCOUNT

HERE = f"{ACCOUNT}@127.0.0.1"
KEEPING = tuple(ChannelRule(channel=channel, position=position, keep_files=True) for position, channel in enumerate(ChannelType))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def workers(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerGateway]:
    with gateway(site, tmp_path_factory.mktemp("state")) as opened:
        yield opened


def gateway(site: Site, state: Path, trails: Path | None = None, **changes: Any) -> WorkerGateway:
    rules = make_rules(**{"gateway_login": True, "channels": KEEPING, **changes})
    return WorkerGateway(state, lambda: site.by_key(rules), trails=trails)


def contents(reader: TrailReader, kind: RecordKind) -> list[dict[str, Any]]:
    return [record.content for record in reader.records() if record.kind is kind]


def data(reader: TrailReader, *kinds: RecordKind) -> bytes:
    return b"".join(record.data for record in reader.records() if record.kind in kinds)


def whole(workers: WorkerGateway) -> TrailReader:
    """The trail of the last session once it is over, looked at as a whole."""
    workers.ended()
    reader = workers.trail()
    verdict = reader.verify()
    assert (verdict.damage, verdict.ended, verdict.cut) == (None, True, 0)
    return reader


def test_a_command(site: Site, workers: WorkerGateway) -> None:
    done = site.ssh(workers.port, HERE, "cat; echo oops >&2; exit 7", input=b"hello")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"hello", b"oops\n")
    reader = whole(workers)
    assert data(reader, RecordKind.INPUT) == data(reader, RecordKind.OUTPUT) == b"hello"
    assert data(reader, RecordKind.ERROR_OUTPUT) == b"oops\n"
    [channel] = channels(reader.records()).values()
    assert (channel.type, channel.command, channel.exit) == ("session-exec", "cat; echo oops >&2; exit 7", {"status": 7})
    ended = workers.ended()
    assert (ended.verdict, ended.up, ended.down) == ("ACCEPT", 5, 10)
    [closed] = workers.of(messages.ChannelClosed, workers.last)
    assert closed.facts["status"] == 7
    facts = contents(reader, RecordKind.FACTS)
    assert facts[0]["server_user"] == ACCOUNT
    assert reader.header["client"][0] == "127.0.0.1"


def test_a_terminal(site: Site, workers: WorkerGateway) -> None:
    master, slave = os.openpty()
    process = subprocess.Popen(
        ["ssh", *site.options(workers.port), "-tt", HERE, "PS1='$ ' exec sh -i"], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = b""

    def wait_for(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            seen += os.read(master, 4096)
        seen = b""

    wait_for(b"$ ")
    os.write(master, b"echo one; echo two\r")
    wait_for(b"two\r\n$ ")
    os.write(master, b"stty -echo; printf 'Password: '; read x; stty echo\r")
    wait_for(b"\r\nPassword: ")
    os.write(master, b"hunter2\r")
    wait_for(b"$ ")
    os.write(master, b"exit\r")
    process.wait()
    os.close(master)
    reader = whole(workers)
    commands = [content["command"] for content in contents(reader, RecordKind.EVENT) if content["event"] == "command"]
    assert commands == ["echo one; echo two", "stty -echo; printf 'Password: '; read x; stty echo", "exit"]
    assert data(reader, RecordKind.HIDDEN_INPUT) == b"hunter2\r"
    lines = [line for text in workers.of(messages.Text, workers.last) for line in text.lines]
    assert ("command", "echo one; echo two") in [line[1:] for line in lines]
    assert not any("hunter2" in line[2] for line in lines)


@pytest.mark.parametrize("old", [False, True])
def test_copies_both_ways(site: Site, workers: WorkerGateway, tmp_path: Path, old: bool) -> None:
    blob = tmp_path / "blob"
    blob.write_bytes(os.urandom(3 << 20))
    scp = ["scp", "-p", *(["-O"] if old else []), *site.options(workers.port)]
    assert run([*scp, str(blob), f"{HERE}:copied"]).returncode == 0
    reader = whole(workers)
    expected = {"sha256": hashlib.sha256(blob.read_bytes()).hexdigest(), "size": 3 << 20, "result": "ok"}
    [upload] = [content for content in contents(reader, RecordKind.FILE) if content["operation"] == "upload"]
    assert {name: upload[name] for name in expected} == expected
    assert upload["path"].endswith("copied" if not old else "copied/blob")
    kept = b"".join(
        record.data[read_varint(record.data, 0)[1] :] for record in reader.records() if record.kind is RecordKind.FILE_CONTENT
    )
    assert kept == blob.read_bytes()
    assert run([*scp, f"{HERE}:copied", str(tmp_path / "back")]).returncode == 0
    assert (tmp_path / "back").read_bytes() == blob.read_bytes()
    [download] = [content for content in contents(whole(workers), RecordKind.FILE) if content["operation"] == "download"]
    assert {name: download[name] for name in expected} == expected


def test_a_forward(site: Site, workers: WorkerGateway) -> None:
    done = site.ssh(workers.port, "-W", f"127.0.0.1:{site.sshd.port}", HERE, input=b"SSH-2.0-nobody\r\n")
    assert done.stdout.startswith(b"SSH-2.0-OpenSSH")
    reader = whole(workers)
    [forward] = contents(reader, RecordKind.FORWARD)
    assert (forward["type"], forward["up"]) == ("local-forwards", 16)
    assert data(reader, RecordKind.FORWARD_UP) == b"SSH-2.0-nobody\r\n"


def test_kill_the_worker_at_any_moment(site: Site, tmp_path: Path) -> None:
    """What a terminal showed half a second before the kill is in the trail."""
    with gateway(site, tmp_path) as workers:
        for round_ in range(3):
            script = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done"
            process = subprocess.Popen(["ssh", *site.options(workers.port), "-tt", HERE, script], stdout=subprocess.PIPE)
            assert process.stdout is not None
            seen = [process.stdout.readline() for _ in range(40 + 13 * round_)]
            session = workers.last
            worker = workers.of(messages.Hello)[-1].pid
            os.kill(worker, signal.SIGKILL)
            until(lambda: workers.pipe is None or workers.pipe.closed)
            workers.connect()
            seen += process.stdout.readlines()
            process.wait()
            process.stdout.close()
            ended = workers.ended(session)
            assert (ended.verdict, ended.recorded) == ("FAIL", True)
            reader = workers.trail(session)
            assert reader.verify().damage is None
            shown = data(reader, RecordKind.OUTPUT)
            missing = len(b"".join(seen)) - len(shown)
            assert missing <= 0.5 / 0.02 * len(b"line 100\r\n"), "more than half a second is missing"
            assert ended.at == reader.until


def test_control_goes_and_comes_back(site: Site, tmp_path: Path) -> None:
    with gateway(site, tmp_path) as workers:
        process = subprocess.Popen(
            ["ssh", *site.options(workers.port), HERE, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        for round_ in range(3):
            process.stdin.write(b"hello\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"hello\n"
            if round_ == 0:
                workers.disconnect()
        assert site.ssh(workers.port, HERE, "true").returncode == 255  # nobody new is let in
        process.stdin.close()
        assert process.wait() == 0
        process.stdout.close()
        session = workers.last
        until((workers.places.trails / f"{session}.end").exists)
        workers.connect()
        assert workers.ended(session).verdict == "ACCEPT"
        assert data(workers.trail(session), RecordKind.INPUT) == b"hello\n" * 3


def test_a_full_disk_ends_sessions_with_a_message(site: Site, tmp_path: Path) -> None:
    trails = tmp_path / "trails"
    trails.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=700", "tmpfs", str(trails)], check=True)
    try:
        with gateway(site, tmp_path / "state", trails) as workers:
            done = site.ssh(workers.port, "-tt", HERE, "cat /dev/urandom")
            assert done.returncode == 255
            assert b"can't be recorded any more" in done.stdout + done.stderr
            ended = workers.ended()
            assert (ended.verdict, ended.recorded) == ("FAIL", False)
            assert [event.event for event in workers.of(messages.Happened, workers.last)] == ["recording_failed"]
            verdict = workers.trail().verify()
            assert (verdict.damage, verdict.ended) == (None, True)  # the reserve was there for the end
            refused = site.ssh(workers.port, HERE, "true")
            assert refused.returncode == 255
            (trails / f"{ended.session}.dwr").unlink()
            until(lambda: site.ssh(workers.port, HERE, "true").returncode == 0, 60)
    finally:
        subprocess.run(["umount", "-l", str(trails)], check=True)


def test_refused_clients_are_told_in_the_words_of_ssh(site: Site, workers: WorkerGateway) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            ["ssh", *site.options(listener.getsockname()[1]), "-o", "LogLevel=INFO", HERE], stderr=subprocess.PIPE
        )
        client, _ = listener.accept()
        with client:
            descriptor = os.dup(client.fileno())
            workers.send(messages.Refuse(reason="Too many sessions"), descriptor)
            _, errors = process.communicate()
    assert b"Too many sessions" in errors
