"""Whatever order the pieces of a file come in, all of them are recorded."""

from __future__ import annotations

import hashlib
import os
import random

from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy.ssh.taps.files import FileContent
from doorward.recording.records import RecordKind, read_varint
from tests.unit.proxy.ssh.taps.logs import Log


def kept(log: Log) -> dict[int, bytes]:
    files: dict[int, bytes] = {}
    for record in log.of(RecordKind.FILE_CONTENT):
        number, at = read_varint(record.data, 0)
        files[number] = files.get(number, b"") + record.data[at:]
    return files


def test_pieces_that_came_early_wait() -> None:
    log, whole = Log(), os.urandom(40_000)
    content = FileContent(log.channel, "upload", "/srv/file", keep=True)
    offsets = list(range(0, 40_000, 1000))
    random.Random(1).shuffle(offsets)  # noqa: S311 - an order that is the same each time
    for offset in offsets:
        content.add(1, offset, whole[offset : offset + 1000])
    facts = content.close(2, "ok")
    assert facts == {
        "file": 1, "operation": "upload", "path": "/srv/file", "result": "ok", "sha256": hashlib.sha256(whole).hexdigest(),
        "size": 40_000,
    }  # fmt: skip
    assert kept(log) == {1: whole}


@given(st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=20)), max_size=30))
def test_nothing_passes_unrecorded(pieces: list[tuple[int, bytes]]) -> None:
    log = Log()
    content = FileContent(log.channel, "upload", "f", keep=True)
    for offset, data in pieces:
        content.add(1, offset, data)
    content.close(2, "ok")
    files = kept(log)
    assert sum(map(len, files.values())) == sum(len(data) for _, data in pieces)
    for facts in log.contents(RecordKind.FILE):
        data = files.get(facts["file"], b"")
        assert facts["sha256"] == hashlib.sha256(data).hexdigest()
        assert facts["size"] == len(data)
    runs = {facts["file"]: facts.get("offset", 0) for facts in log.contents(RecordKind.FILE)}
    for offset, data in filter(lambda piece: piece[1], pieces):  # each piece stands where it was written, in some run
        assert any(
            files.get(number, b"")[offset - start : offset - start + len(data)] == data
            for number, start in runs.items()
            if offset >= start
        )
