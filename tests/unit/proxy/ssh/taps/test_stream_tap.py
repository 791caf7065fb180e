"""Programs without a terminal: in full as long as it is a conversation, by digest where it is bulk."""

from __future__ import annotations

import hashlib
import os

import pytest

from doorward.proxy.ssh.taps.stream_tap import STOCK, StreamTap, only_copies
from doorward.recording.records import RecordKind
from tests.unit.proxy.ssh.taps.logs import Log


def test_a_conversation_is_recorded_in_full() -> None:
    log = Log()
    tap = StreamTap(log.channel, is_shell=False)
    tap.data(1, b"in", 0, down=False)
    tap.data(2, b"hello\nwor", 0, down=True)
    tap.data(3, b"oops\n", 1, down=True)
    tap.data(4, b"ld\n", 0, down=True)
    facts = tap.close(5)
    assert [(record.at, record.kind, record.data) for record in log.records] == [
        (1, RecordKind.INPUT, b"in"), (2, RecordKind.OUTPUT, b"hello\nwor"), (3, RecordKind.ERROR_OUTPUT, b"oops\n"),
        (4, RecordKind.OUTPUT, b"ld\n"),
    ]  # fmt: skip
    assert facts["streams"]["output"] == {"bytes": 12, "sha256": hashlib.sha256(b"hello\nworld\n").hexdigest()}
    assert "hello" in log.text("screen")


def test_bulk_is_told_of_by_digest() -> None:
    log = Log()
    tap = StreamTap(log.channel, is_shell=False)
    piece = os.urandom(1 << 20)
    for at in range(8):
        tap.data(at, piece, 0, down=True)
    tap.data(60_000, b"done\n", 0, down=True)
    tap.close(60_001)
    kept = log.data(RecordKind.OUTPUT)
    assert kept == piece * (STOCK >> 20) + b"done\n"
    [gap] = log.contents(RecordKind.EVENT)
    missing = piece * 4
    assert gap == {"bytes": len(missing), "event": "not_kept", "of": "output", "sha256": hashlib.sha256(missing).hexdigest()}


def test_all_that_a_shell_is_told_is_kept() -> None:
    log = Log()
    tap = StreamTap(log.channel, is_shell=True)
    noise = b"# " + b"x" * (1 << 20) + b"\n"
    for at in range(6):
        tap.data(at, noise, 0, down=False)
    tap.data(7, b"rm -rf ", 0, down=False)
    tap.data(8, b"/srv\n", 0, down=False)
    tap.close(9)
    assert log.data(RecordKind.INPUT) == noise * 6 + b"rm -rf /srv\n"
    assert log.text("command")[-1] == "rm -rf /srv"


def test_an_answer_to_a_question_for_a_password_is_no_command() -> None:
    log = Log()
    tap = StreamTap(log.channel, is_shell=True)
    tap.data(1, b"sudo -S id\n", 0, down=False)
    tap.data(2, b"[sudo] password for alice: ", 1, down=True)
    tap.data(3, b"hunter2\nid\n", 0, down=False)
    tap.close(4)
    assert log.text("command") == ["sudo -S id", "id"]
    assert log.data(RecordKind.HIDDEN_INPUT) == b"hunter2\n"
    assert log.data(RecordKind.INPUT) == b"sudo -S id\nid\n"


@pytest.mark.parametrize(
    ("command", "copies"),
    [
        ("rsync --server --sender -vlogDtpre.iLsfxCIvu . /srv", True),
        ("git-upload-pack '/srv/repository.git'", True),
        ("git-receive-pack 'a b'", True),
        ("rsync --daemon", False),
        ("rsync --server . /srv; bash", False),
        ("git-upload-pack $(bash)", False),
        ("git-upload-pack 'unbalanced", False),
        ("git-upload-pack", False),
        ("bash", False),
        ("", False),
    ],
)
def test_who_only_copies(command: str, copies: bool) -> None:
    assert only_copies(command) is copies
