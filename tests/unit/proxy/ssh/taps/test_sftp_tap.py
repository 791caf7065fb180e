"""SFTP is followed through both directions; what can't be followed is recorded as it is."""

from __future__ import annotations

import hashlib
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy.ssh.taps import sftp_tap
from doorward.proxy.ssh.taps.sftp_packets import MAX_PACKET, Packet
from doorward.proxy.ssh.taps.sftp_tap import SftpTap
from doorward.recording.records import RecordKind
from tests.unit.proxy.ssh.taps.logs import Log
from tests.unit.proxy.ssh.taps.test_files import kept


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def packet(kind: int, number: int, *fields: bytes) -> bytes:
    return string(bytes((kind,)) + struct.pack(">I", number) + b"".join(fields))


def status(number: int, code: int = 0) -> bytes:
    return packet(Packet.STATUS, number, struct.pack(">I", code), string(b""), string(b""))


def opened(kind: int, number: int, path: bytes, flags: int) -> bytes:
    return packet(kind, number, string(path), struct.pack(">II", flags, 0))


def long(value: int) -> bytes:
    return struct.pack(">Q", value)


class Server:
    """Both ends, in pieces of some length."""

    def __init__(self, keep: bool = True, piece: int = 10**9) -> None:
        self.log = Log()
        self.tap = SftpTap(self.log.channel, keep=keep)
        self.piece, self.at = piece, 0

    def sends(self, data: bytes, down: bool) -> None:
        for start in range(0, len(data), self.piece):
            self.at += 1
            self.tap.data(self.at, data[start : start + self.piece], 0, down=down)

    def up(self, data: bytes) -> None:
        self.sends(data, down=False)

    def down(self, data: bytes) -> None:
        self.sends(data, down=True)


def start(server: Server) -> None:
    server.up(string(bytes((Packet.INIT,)) + struct.pack(">I", 3)))
    server.down(string(bytes((Packet.VERSION,)) + struct.pack(">I", 3)))


def test_an_upload_and_a_download_byte_by_byte() -> None:
    whole = os.urandom(3000)
    server = Server(piece=7)
    start(server)
    server.up(opened(Packet.OPEN, 1, b"/srv/new", 0x1A))
    server.down(packet(Packet.HANDLE, 1, string(b"h1")))
    for number, offset in enumerate(range(0, 3000, 1000), 2):
        server.up(packet(Packet.WRITE, number, string(b"h1"), long(offset), string(whole[offset : offset + 1000])))
    for number in range(2, 5):
        server.down(status(number))
    server.up(packet(Packet.CLOSE, 9, string(b"h1")))
    server.down(status(9))
    server.up(opened(Packet.OPEN, 10, "/srv/ü".encode(), 1))
    server.down(packet(Packet.HANDLE, 10, string(b"h1")))  # the same handle again
    for number, offset in ((11, 0), (12, 1500), (13, 3000)):
        server.up(packet(Packet.READ, number, string(b"h1"), long(offset), struct.pack(">I", 1500)))
    server.down(packet(Packet.DATA, 12, string(whole[1500:])))  # the other way round
    server.down(packet(Packet.DATA, 11, string(whole[:1500])))
    server.down(status(13, 1))
    server.up(packet(Packet.CLOSE, 14, string(b"h1")))
    server.down(status(14))
    assert server.tap.close(9999) == {"files": 2}
    digest = hashlib.sha256(whole).hexdigest()
    assert server.log.contents(RecordKind.FILE) == [
        {"file": 1, "operation": "upload", "path": "/srv/new", "result": "ok", "sha256": digest, "size": 3000},
        {"file": 2, "operation": "download", "path": "/srv/ü", "result": "ok", "sha256": digest, "size": 3000},
    ]
    assert kept(server.log) == {1: whole, 2: whole}
    assert server.log.text("file") == ["upload /srv/new", "download /srv/ü"]


def test_operations_and_what_came_of_them() -> None:
    server = Server(keep=False)
    start(server)
    server.up(packet(Packet.REMOVE, 1, string(b"/a")) + packet(Packet.MKDIR, 2, string(b"/b"), struct.pack(">I", 0)))
    server.down(status(2) + status(1, 3))
    server.up(packet(Packet.RENAME, 3, string(b"/c"), string(b"/d")))
    server.down(status(3, 4))
    server.up(packet(Packet.SETSTAT, 4, string(b"/e"), struct.pack(">II", 4, 0o100600)))
    server.down(status(4))
    server.up(packet(Packet.EXTENDED, 5, string(b"posix-rename@openssh.com"), string(b"/f"), string(b"/g")))
    server.down(status(5))
    server.up(opened(Packet.OPEN, 6, b"/secret", 1))
    server.down(status(6, 3))
    server.up(opened(Packet.OPEN, 7, b"/empty", 0x1A))
    server.down(packet(Packet.HANDLE, 7, string(b"x")))
    server.up(packet(Packet.CLOSE, 8, string(b"x")))
    server.down(status(8))
    server.up(packet(Packet.OPENDIR, 9, string(b"/home")))
    server.down(packet(Packet.HANDLE, 9, string(b"d")))
    server.tap.close(99)
    found = [(c["operation"], c["path"], c["result"]) for c in server.log.contents(RecordKind.FILE)]
    assert found == [
        ("make directory", "/b", "ok"), ("remove", "/a", "permission denied"), ("rename", "/c", "failure"),
        ("change attributes", "/e", "ok"), ("rename", "/f", "ok"), ("open", "/secret", "permission denied"),
        ("upload", "/empty", "ok"), ("list", "/home", "ok"),
    ]  # fmt: skip
    assert server.log.contents(RecordKind.FILE)[3]["mode"] == "0600"


def test_without_keeping_there_is_no_content() -> None:
    server = Server(keep=False)
    start(server)
    server.up(opened(Packet.OPEN, 1, b"/f", 0x1A))
    server.down(packet(Packet.HANDLE, 1, string(b"h")))
    server.up(packet(Packet.WRITE, 2, string(b"h"), long(0), string(b"secret")))
    server.down(status(2, 4))
    server.tap.close(9)
    assert b"secret" not in b"".join(record.data for record in server.log.records)
    [facts] = server.log.contents(RecordKind.FILE)
    assert (facts["size"], facts["result"]) == (6, "failure")


def test_what_is_no_sftp_is_recorded_as_it_is() -> None:
    for garbage in (
        b"\xff" * 40,
        struct.pack(">I", MAX_PACKET + 1) + b"x" * 10,
        packet(Packet.OPEN, 1, struct.pack(">I", 100)),
        packet(Packet.READ, 1, string(b"h" * 300), long(0), struct.pack(">I", 1)),
        packet(Packet.REMOVE, 1, string(b"a")) + packet(Packet.REMOVE, 1, string(b"a")),
    ):
        server = Server()
        start(server)
        server.up(garbage)
        server.up(b"rm -rf /\n")
        server.down(b"answer")
        server.tap.close(9)
        assert [content["event"] for content in server.log.contents(RecordKind.EVENT)] == ["not_decoded"]
        assert (garbage[-14:] + b"rm -rf /\n") in server.log.data(RecordKind.INPUT)
        assert server.log.data(RecordKind.OUTPUT) == b"answer"


def test_answers_to_nothing_and_floods_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_tap, "MAX_PENDING", 100)
    server = Server()
    start(server)
    server.down(status(77))
    assert server.log.contents(RecordKind.EVENT)
    server = Server()
    start(server)
    for number in range(sftp_tap.MAX_PENDING + 1):
        server.up(packet(17, number, string(b"/")))
    assert server.log.contents(RecordKind.EVENT)


packets = st.builds(
    lambda kind, number, fields: packet(kind, number, *fields),
    st.sampled_from([*Packet, 7, 16, 17, 104, 201]),
    st.integers(0, 4),
    st.lists(st.binary(max_size=8).map(string) | st.binary(max_size=9), max_size=4),
)


@given(st.lists(st.tuples(packets | st.binary(max_size=20), st.booleans()), max_size=40), st.integers(1, 50))
def test_hostile_bytes_never_escape(sent: list[tuple[bytes, bool]], piece: int) -> None:
    server = Server(piece=piece)
    for data, down in sent:
        server.sends(data, down)
    server.tap.close(10**6)
    if server.log.contents(RecordKind.EVENT):  # from where it could not be followed everything is there
        last = b"".join(data for data, down in sent if not down)[-1:]
        assert server.log.data(RecordKind.INPUT)[-1:] == last or not server.log.data(RecordKind.INPUT)
