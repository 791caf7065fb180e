"""Forwards: ends, bytes, digests; contents where they are kept."""

from __future__ import annotations

import hashlib

import pytest

from doorward.proxy.ssh.taps.forward_tap import ForwardTap
from doorward.recording.records import RecordKind
from tests.unit.proxy.ssh.taps.logs import Log


@pytest.mark.parametrize("keep", [True, False])
def test_a_forward(keep: bool) -> None:
    log = Log()
    tap = ForwardTap(log.channel, {"host": "db1", "port": 5432}, keep=keep)
    tap.data(1, b"question", 0, down=False)
    tap.data(2, b"answer", 0, down=True)
    tap.close(3)
    assert log.contents(RecordKind.FORWARD) == [
        {
            "host": "db1", "port": 5432, "down": 6, "up": 8, "down_sha256": hashlib.sha256(b"answer").hexdigest(),
            "up_sha256": hashlib.sha256(b"question").hexdigest(),
        }
    ]  # fmt: skip
    assert log.data(RecordKind.FORWARD_UP) == (b"question" if keep else b"")
    assert log.data(RecordKind.FORWARD_DOWN) == (b"answer" if keep else b"")
