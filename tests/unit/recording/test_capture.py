"""Forwarded connections as a capture file, read by tcpdump, which also adds up the checksums."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from doorward.recording.capture import MAX_SEGMENT, Capture
from doorward.recording.reader import TrailReader
from doorward.recording.records import Record, RecordKind, encode_json
from tests.unit.recording.trails import opening, output, written


def opened(channel: int, at: int, **facts: Any) -> Record:
    ends = {"host": "10.0.0.9", "port": 80, "originator": "192.0.2.7", "originator_port": 4711}
    return Record(at, RecordKind.OPEN, channel, encode_json({"kind": "direct-tcpip", "verdict": "accept", **ends, **facts}))


def read(directory: Path, records: list[Record], *options: str) -> tuple[list[str], Capture]:
    """What tcpdump says of each packet."""
    capture = Capture(TrailReader(written(records)))
    file = directory / "forwards.pcap"
    file.write_bytes(b"".join(capture.pieces()))
    command = ["tcpdump", "-r", str(file), "-nn", "-S", "-tt", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), capture


def ends_of(lines: list[str]) -> list[tuple[str, str]]:
    """Source and flags of each packet."""
    return [(found[1], found[2]) for line in lines if (found := re.search(r"IP6? (\S+) > .*Flags \[(\S+)\]", line))]


def test_a_connection_has_a_beginning_its_bytes_and_an_end(tmp_path: Path) -> None:
    lines, capture = read(
        tmp_path,
        [
            *opening(),
            output(100, "not of a forward"),
            opened(2, 1000),
            Record(1500, RecordKind.FORWARD_UP, 2, b"GET / HTTP/1.0\r\n\r\n"),
            Record(1750, RecordKind.FORWARD_DOWN, 2, b"HTTP/1.0 200 OK\r\n\r\nfound"),
            Record(2000, RecordKind.CLOSE, 2, b"{}"),
        ],
    )
    client, server = "192.0.2.7.4711", "10.0.0.9.80"
    assert ends_of(lines) == [
        (client, "S"), (server, "S."), (client, "."), (client, "P."), (server, "P."),
        (client, "F."), (server, "F."), (client, "."),
    ]  # fmt: skip
    assert float(lines[3].split()[0]) - float(lines[0].split()[0]) == pytest.approx(0.5)
    assert "HTTP: GET / HTTP/1.0" in lines[3]
    assert (capture.count, capture.names) == (1, {})


def test_checksums_and_numbers_are_right(tmp_path: Path) -> None:
    records = [
        opened(2, 0),
        Record(1, RecordKind.FORWARD_UP, 2, b"x" * (MAX_SEGMENT + 5)),
        Record(2, RecordKind.FORWARD_DOWN, 2, b"odd"),
        opened(3, 3, host="2001:db8::1", originator="2001:db8::2", kind="forwarded-tcpip"),
        Record(4, RecordKind.FORWARD_UP, 3, b"to the one who opened it"),
        opened(4, 5, host="2001:db8::1"),
    ]
    lines, _ = read(tmp_path, records, "-vv")
    whole = "\n".join(lines)
    assert whole.count("(correct)") == len(re.findall(r"Flags \[", whole)) == 13
    assert "incorrect" not in whole
    assert "bad cksum" not in whole
    numbers = re.findall(r"seq (\d+):(\d+)", whole)
    assert numbers[:2] == [("1001", str(1001 + MAX_SEGMENT)), (str(1001 + MAX_SEGMENT), str(1006 + MAX_SEGMENT))]
    # A remote forward was opened by somebody at the server: what the client sends is the answer.
    assert "2001:db8::1.80 > 2001:db8::2.4711: Flags [P.]" in whole
    assert "::ffff:192.0.2.7.4711 > 2001:db8::1.80" in whole


def test_names_get_addresses_that_are_told(tmp_path: Path) -> None:
    records = [opened(number, number, host=host) for number, host in enumerate(("web", "db", "web", "10.0.0.1%3"), 2)]
    lines, capture = read(tmp_path, records)
    assert {name: str(address) for name, address in capture.names.items()} == {
        "web": "198.51.100.1", "db": "198.51.100.2", "10.0.0.1%3": "198.51.100.3",
    }  # fmt: skip
    assert ends_of(lines)[7] == ("198.51.100.1.80", "S.")


@pytest.mark.parametrize(
    "facts", [{"verdict": "deny"}, {"kind": "direct-streamlocal@openssh.com"}, {"port": 70_000}, {"port": "80"}, {"kind": "x11"}]
)
def test_what_is_no_connection_is_left_out(tmp_path: Path, facts: dict[str, Any]) -> None:
    lines, capture = read(tmp_path, [opened(2, 0, **facts), Record(1, RecordKind.FORWARD_UP, 2, b"bytes")])
    assert (lines, capture.count) == ([], 0)
