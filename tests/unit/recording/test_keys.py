"""The keys of a trail: in clear, or in envelopes that plain openssl opens."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest

from doorward.recording.format import TrailDamagedError
from doorward.recording.keys import KEY_SIZE, ContentKeys, in_clear, opened, wrapped
from doorward.recording.reader import TrailReader
from doorward.recording.records import RecordKind
from doorward.recording.writer import TrailWriter
from tests.unit.recording.trails import HEADER, identity, output, typed

RSA, CURVE, OTHER = identity("rsa"), identity("ec"), identity("ec")
KEY = bytes(range(KEY_SIZE))


@pytest.mark.parametrize("private", [RSA[1], CURVE[1]], ids=["rsa", "ec"])
def test_each_of_several_people_opens_an_envelope(private: bytes) -> None:
    block = wrapped(KEY, [RSA[0], CURVE[0]])
    assert opened(block, private) == KEY
    assert opened(block, OTHER[1]) is None
    assert opened(block, None) is None
    assert len(block["recipients"]) == 2


def test_plain_openssl_opens_it(tmp_path: Path) -> None:
    block = wrapped(KEY, [CURVE[0]])
    (tmp_path / "envelope").write_bytes(base64.b64decode(block["cms"]))
    (tmp_path / "key.pem").write_bytes(CURVE[1])
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", "envelope", "-inkey", "key.pem"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == KEY


def test_a_key_in_clear_needs_nobody() -> None:
    assert opened(in_clear(KEY), None) == KEY


@pytest.mark.parametrize("block", [None, [], {}, {"clear": 5}, {"clear": "?"}, {"clear": "AAAA"}, {"cms": "?"}])
def test_what_is_no_key_is_damage(block: object) -> None:
    with pytest.raises(TrailDamagedError):
        opened(block, CURVE[1])


def test_an_auditor_of_the_screen_does_not_get_what_was_typed() -> None:
    keys = ContentKeys.fresh()
    assert keys.screen
    assert keys.keystrokes
    blocks = {"screen": wrapped(keys.screen, [RSA[0], CURVE[0]]), "keystrokes": wrapped(keys.keystrokes, [RSA[0]])}
    made = TrailWriter(HEADER, blocks, keys)
    parts = [made.head, *made.write(typed(1, "hunter2")), *made.write(output(2, "*")), *made.close({}, 3)]
    data = b"".join(parts)
    assert b"hunter2" not in data
    seen = [record.kind for record in TrailReader(data, CURVE[1]).records()]
    assert RecordKind.OUTPUT in seen
    assert RecordKind.INPUT not in seen
    assert RecordKind.INPUT in [record.kind for record in TrailReader(data, RSA[1]).records()]
    nobody = TrailReader(data)
    assert list(nobody.records()) == []
    assert nobody.verify().damage is None
