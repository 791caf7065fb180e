"""The old protocol of scp, both ways."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy.ssh.taps.scp_tap import MAX_LINE, ScpTap, scp_arguments
from doorward.recording.records import RecordKind
from tests.unit.proxy.ssh.taps.logs import Log
from tests.unit.proxy.ssh.taps.test_files import kept


def scp(receives: bool = True, keep: bool = True) -> tuple[Log, ScpTap]:
    log = Log()
    return log, ScpTap(log.channel, "/srv", receives=receives, keep=keep)


def talk(tap: ScpTap, receives: bool, *parts: tuple[str, bytes], piece: int = 10**6) -> None:
    for who, data in parts:
        down = (who == "sender") is not receives
        for start in range(0, len(data), piece):
            tap.data(1, data[start : start + piece], 0, down=down)


@pytest.mark.parametrize("receives", [True, False])
@pytest.mark.parametrize("piece", [1, 5, 10**6])
def test_a_tree_with_times(receives: bool, piece: int) -> None:
    log, tap = scp(receives)
    talk(
        tap, receives, ("sink", b"\0"), ("sender", b"T1700000000 0 1700000000 0\n"), ("sink", b"\0"),
        ("sender", b"D0755 0 dir\n"), ("sink", b"\0"), ("sender", b"C0644 5 a b\n"), ("sink", b"\0"), ("sender", b"hello\0"),
        ("sink", b"\0"), ("sender", b"C0644 0 empty\n"), ("sink", b"\0"), ("sender", b"\0"), ("sink", b"\0"),
        ("sender", b"E\n"), ("sink", b"\0"), ("sender", b"C0600 2 last\n"), ("sink", b"\0"), ("sender", b"ok\0"),
        ("sink", b"\0"), piece=piece,
    )  # fmt: skip
    assert tap.close(9) == {"files": 3}
    operation = "upload" if receives else "download"
    assert [(c["operation"], c["path"], c["size"], c["result"]) for c in log.contents(RecordKind.FILE)] == [
        (operation, "/srv/dir/a b", 5, "ok"), (operation, "/srv/dir/empty", 0, "ok"), (operation, "/srv/last", 2, "ok"),
    ]  # fmt: skip
    assert log.contents(RecordKind.FILE)[0]["sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert kept(log) == {1: b"hello", 3: b"ok"}


def test_a_file_that_is_refused_is_not_sent() -> None:
    log, tap = scp()
    talk(
        tap, True, ("sink", b"\0"), ("sender", b"C0644 5 no\n"), ("sink", b"\1scp: no: Permission denied\n"),
        ("sender", b"C0644 3 yes\n"), ("sink", b"\0"), ("sender", b"abc\0"), ("sink", b"\1disk full\n"),
    )  # fmt: skip
    tap.close(9)
    assert [(c["path"], c["result"]) for c in log.contents(RecordKind.FILE)] == [
        ("/srv/no", "scp: no: Permission denied"), ("/srv/yes", "disk full"),
    ]  # fmt: skip


def test_a_file_that_is_cut_off() -> None:
    log, tap = scp()
    talk(tap, True, ("sink", b"\0"), ("sender", b"C0644 500 f\n"), ("sink", b"\0"), ("sender", b"abc"))
    tap.close(9)
    [facts] = log.contents(RecordKind.FILE)
    assert (facts["size"], facts["result"]) == (3, "unfinished")


@pytest.mark.parametrize("line", [b"#!/bin/sh\n", b"C0644 x f\n", b"C0644 5 ../f\n", b"C0644 5 a/b\n", b"x" * (MAX_LINE + 2)])
def test_what_is_no_scp_is_recorded_as_it_is(line: bytes) -> None:
    log, tap = scp()
    talk(tap, True, ("sink", b"\0"), ("sender", line + b"rest\n"), ("sender", b"more"))
    tap.close(9)
    assert log.data(RecordKind.INPUT) == line + b"rest\n" + b"more"
    assert [content["event"] for content in log.contents(RecordKind.EVENT)] == ["not_decoded"]


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("scp -t /srv", (True, "/srv")), ("scp -r -p -f -- 'a b'", (False, "a b")), ("/usr/bin/scp -vrt .", (True, ".")),
        ("scp a b", None), ("ls", None), ("scp -t 'x", None), ("", None),
    ],
)  # fmt: skip
def test_arguments(command: str, found: tuple[bool, str] | None) -> None:
    assert scp_arguments(command) == found


words = st.sampled_from([b"C0644 3 f\n", b"D0755 0 d\n", b"E\n", b"T1 0 1 0\n", b"abc", b"\0", b"\1no\n", b"\2", b"\n"])


@given(st.lists(st.tuples(words | st.binary(max_size=10), st.booleans()), max_size=40), st.booleans())
def test_hostile_bytes_never_escape(sent: list[tuple[bytes, bool]], receives: bool) -> None:
    _, tap = scp(receives)
    for data, down in sent:
        tap.data(1, data, 0, down=down)
    tap.close(2)
