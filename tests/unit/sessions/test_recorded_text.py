"""Text for the index out of a trail, for sessions whose worker died."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from doorward.recording.records import Record, RecordKind, encode_json
from doorward.sessions.recorded_text import recorded_text
from doorward.sessions.trails import Trails
from tests.support.pki import Authority
from tests.support.recorded import key_of, put_trail, row, shell, trail

COMMAND = Record(90_500, RecordKind.EVENT, 1, encode_json({"command": "make all", "event": "command"}))


def found(directory: Path, data: bytes, **changes: Any) -> dict[str, list[str]]:
    session = row(trail=put_trail(directory, key_of(1), data), **changes)
    kinds: dict[str, list[str]] = {}
    for channel, lines in recorded_text(Trails(directory), session):
        assert channel == 1
        for line in lines:
            kinds.setdefault(line.kind, []).append(line.text)
    return kinds


def test_commands_files_and_what_a_terminal_showed_are_found(tmp_path: Path) -> None:
    kinds = found(tmp_path, trail([*shell(), COMMAND]))
    assert kinds["command"] == ["make all"]
    assert kinds["file"] == ["get /tmp/../etc/pass\x1bwd", "remove /tmp/x"]
    assert kinds["screen"] == [f"second {at}" for at in range(90)]


@pytest.mark.parametrize(("text", "wanted"), [("commands", {"command", "file"}), ("metadata", {"file"}), ("none", set())])
def test_only_what_the_policy_wants_is_found(tmp_path: Path, text: str, wanted: set[str]) -> None:
    assert found(tmp_path, trail([*shell(), COMMAND]), text=text).keys() == wanted


def test_of_a_trail_that_is_cut_off_what_is_there_is_found(tmp_path: Path) -> None:
    data = trail(shell())
    kinds = found(tmp_path, data[: len(data) // 2])
    assert kinds["screen"][0] == "second 0"


def test_of_a_trail_that_is_damaged_what_stands_before_is_found(tmp_path: Path) -> None:
    data = bytearray(trail([COMMAND, *shell()]))
    data[-len(data) // 4] ^= 1
    assert found(tmp_path, bytes(data))["command"] == ["make all"]


def test_nothing_is_found_where_nothing_can_be_read(tmp_path: Path) -> None:
    certificate = Authority().identity("auditor").certificate
    assert found(tmp_path, trail(shell(), [certificate]), recipients=("00" * 32,)) == {}
    assert found(tmp_path, trail(shell(), [certificate])) == {}
    assert recorded_text(Trails(tmp_path), row(2, trail="gone.dwr")) == []
    assert recorded_text(Trails(tmp_path), row(2)) == []
