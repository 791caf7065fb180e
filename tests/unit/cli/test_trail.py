"""`doorward trail` on a file, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.testing import Result

from doorward.cli.failures import Usage
from doorward.cli.main import app
from doorward.cli.trails import clock, milliseconds
from doorward.proxy.control.stamping import local_stamp
from doorward.recording.records import Record, RecordKind, encode_json
from doorward.recording.seals import Seal, signed
from doorward.recording.writer import TrailWriter
from tests.support.recorded import shell, trail
from tests.support.runner import CliRunner
from tests.unit.recording.trails import HEADER, identity, opening, output, stamping_authority, writer


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["trail", *map(str, arguments)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.dwr"
    path.write_bytes(trail(shell(3)))
    return path


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_whole_trail_is_proven(file: Path) -> None:
    done = run("verify", file)
    assert done.exit_code == 0, done.output
    assert "are in order, up to 0:00:03.000." in done.output
    told = json.loads(run("verify", file, "--json").output)
    assert (told["damage"], told["ended"], told["cut_bytes"], told["seals"]) == (None, True, 0, [])


def test_a_changed_trail_is_not(file: Path, tmp_path: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    done = run("verify", put(tmp_path / "changed.dwr", bytes(data)))
    assert done.exit_code == 1
    assert "Damaged: frame" in done.output
    for command in (["info"], ["text"], ["export", "--format", "txt", "-o", tmp_path / "x"]):
        assert run(*command, tmp_path / "changed.dwr").exit_code == 1
    assert not (tmp_path / "x").exists()


def test_a_session_that_was_cut_off_is_no_damage(file: Path, tmp_path: Path) -> None:
    done = run("verify", put(tmp_path / "cut.dwr", file.read_bytes()[:-60]))
    assert done.exit_code == 0
    assert "cut off" in done.output


@pytest.mark.parametrize("content", [b"", b"something else", b"DWR1\r\n\x1a\n\xff\xff\xff\xff"])
def test_what_is_no_trail_is_told(tmp_path: Path, content: bytes) -> None:
    path = put(tmp_path / "x.dwr", content)
    for command in ("verify", "info", "text"):
        done = run(command, path)
        assert (done.exit_code, "is not what was written" in done.output) == (1, True)
    assert "can't be read" in run("info", tmp_path / "none").output


def sealed(made: TrailWriter, claim_frame: int) -> tuple[bytes, str]:
    pem, _, certificate, key = identity("ec")
    parts = [made.head, *(piece for record in (*opening(), output(10, "x")) for piece in made.write(record)), *made.flush()]
    seal = signed(claim_frame, made.chain, "2026-11-29T10:00:01Z", certificate, key)
    return b"".join([*parts, made.note(seal.as_note()), *made.close({}, 20)]), pem


def test_seals_are_checked_with_a_certificate(tmp_path: Path) -> None:
    data, pem = sealed(writer(), 1)
    path, certificate = put(tmp_path / "s.dwr", data), put(tmp_path / "c.pem", pem.encode())
    other = put(tmp_path / "o.pem", identity("ec")[0].encode())
    assert "1 seals hold" in run("verify", path, "--certificate", certificate).output
    assert "were not checked" in run("verify", path).output
    wrong = run("verify", path, "--certificate", other)
    assert (wrong.exit_code, "do not hold" in wrong.output) == (1, True)


def stamped(*, is_signed_too: bool = False, frame: int = 1) -> tuple[bytes, str, str]:
    """A trail with a time stamp; the certificates of its signer and of the authority."""
    made = writer()
    pem, _, certificate, key = identity("ec")
    authority, private = stamping_authority()
    parts = [made.head, *(piece for record in (*opening(), output(10, "x")) for piece in made.write(record)), *made.flush()]
    at = "2026-11-29T10:00:01Z"
    seal = signed(frame, made.chain, at, certificate, key) if is_signed_too else Seal(frame, made.chain.hex(), at, b"")
    note = replace(seal, stamp=local_stamp(seal.claim, authority, private)).as_note()
    return b"".join([*parts, made.note(note), *made.close({}, 20)]), pem, authority


def test_a_seal_that_is_only_a_stamp_is_checked(tmp_path: Path) -> None:
    data, _, authority = stamped()
    path, ca = put(tmp_path / "s.dwr", data), put(tmp_path / "ca.pem", authority.encode())
    done = run("verify", path, "--authority", ca)
    assert (done.exit_code, "1 seals hold" in done.output, "1 of them have a time stamp" in done.output) == (0, True, True)
    assert "1 seals were not checked" in run("verify", path).output
    other = put(tmp_path / "o.pem", stamping_authority()[0].encode())
    assert run("verify", path, "--authority", other).exit_code == 1
    elsewhere, _, authority = stamped(frame=2)
    moved, ca = put(tmp_path / "m.dwr", elsewhere), put(tmp_path / "ca.pem", authority.encode())
    assert run("verify", moved, "--authority", ca).exit_code == 1
    assert run("verify", moved).exit_code == 1


def test_a_signature_does_not_make_up_for_a_stamp_that_is_wrong(tmp_path: Path) -> None:
    data, pem, authority = stamped(is_signed_too=True)
    path, certificate = put(tmp_path / "s.dwr", data), put(tmp_path / "c.pem", pem.encode())
    ca, other = put(tmp_path / "ca.pem", authority.encode()), put(tmp_path / "o.pem", stamping_authority()[0].encode())
    told = json.loads(run("verify", path, "--certificate", certificate, "--authority", ca, "--json").output)
    assert [(seal["holds"], seal["signed"], seal["stamped"]) for seal in told["seals"]] == [(True, True, True)]
    assert run("verify", path, "--certificate", certificate, "--authority", other).exit_code == 1


def test_a_seal_over_something_else_does_not_hold(tmp_path: Path) -> None:
    data, pem = sealed(writer(), 2)
    path, certificate = put(tmp_path / "s.dwr", data), put(tmp_path / "c.pem", pem.encode())
    assert run("verify", path, "--certificate", certificate).exit_code == 1


def test_info_tells_of_channels(file: Path) -> None:
    done = run("info", file)
    assert "svc/x/linux:1" in done.output
    assert "session-shell" in done.output
    told = json.loads(run("info", file, "--json").output)
    assert told["channels"][0]["terminal"] is True


def test_text_is_escaped(tmp_path: Path) -> None:
    records = [*opening(), output(5, "\x1b]0;title\x07evil \u202e\u200b name\r\n")]
    done = run("text", put(tmp_path / "x.dwr", trail(records)), "--times")
    assert done.exit_code == 0
    assert "0:00:00.005  evil \\x202e" in done.output
    assert all(letter.isprintable() or letter == "\n" for letter in done.output)


def test_what_was_typed_is_in_nothing(file: Path, tmp_path: Path) -> None:
    for form in ("txt", "asciicast"):
        assert run("export", file, "--format", form, "-o", tmp_path / form).exit_code == 0
        assert "secret" not in (tmp_path / form).read_text()
    assert "secret" not in run("text", file).output


def test_forwards_become_a_capture(tmp_path: Path) -> None:
    forward = {"host": "evil\x1b[2J", "kind": "direct-tcpip", "originator": "192.0.2.7", "port": 80, "verdict": "accept"}
    file = put(tmp_path / "f.dwr", trail([Record(0, RecordKind.OPEN, 1, encode_json(forward))]))
    done = run("export", file, "--format", "pcap", "-o", tmp_path / "f.pcap")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("f.pcap: 1 connections.\n  198.51.100.1 stands for evil\\x1b[2J\n")
    assert (tmp_path / "f.pcap").stat().st_size == 24 + 3 * (16 + 40)


def test_exports_overwrite_nothing_and_names_are_harmless(file: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out"
    assert run("export", file, "--format", "files", "-o", directory).exit_code == 0
    assert [(path.name, path.read_bytes()) for path in directory.iterdir()] == [("0001-pass_wd", b"abcdef")]
    for form in ("files", "txt", "asciicast"):
        assert run("export", file, "--format", form, "-o", directory).exit_code == 1
    head, *_ = (tmp_path / "a.cast").read_text().splitlines() if run(
        "export", file, "--format", "asciicast", "--version", "2", "-o", tmp_path / "a.cast"
    ).exit_code == 0 else [""]  # fmt: skip
    assert json.loads(head)["version"] == 2


def test_a_replay_needs_a_terminal(file: Path) -> None:
    done = run("replay", file)
    assert (done.exit_code, "needs a terminal" in done.output) == (2, True)


def test_an_encrypted_trail_needs_a_key(tmp_path: Path) -> None:
    pem, private, certificate, _ = identity("rsa")
    path = put(tmp_path / "e.dwr", trail(shell(2), [pem]))
    done = run("text", path)
    assert done.exit_code == 1
    assert certificate.fingerprint(certificate.signature_hash_algorithm).hex() in done.output  # type: ignore[arg-type]
    assert run("verify", path).exit_code == 0
    key = put(tmp_path / "k.pem", private)
    assert "second 1" in run("text", path, "--key", key).output
    other = put(tmp_path / "o.pem", identity("rsa")[1])
    assert run("text", path, "--key", other).exit_code == 1
    assert "no private key" in run("text", path, "--key", path).output
    told = json.loads(run("info", path, "--json").output)
    assert told["recipients"]["screen"] != []


def test_a_channel_that_is_not_there(file: Path, tmp_path: Path) -> None:
    assert "There is no channel 7" in run("text", file, "--channel", 7).output
    silent = put(tmp_path / "s.dwr", trail([Record(0, RecordKind.FACTS, 0, b"{}")]))
    assert "showed anything" in run("text", silent).output


def test_moments() -> None:
    assert [milliseconds(text) for text in ("90", "1:30", "1:02:03.5", "0.25")] == [90_000, 90_000, 3_723_500, 250]
    for text in ("", "x", "1:2:3:4", "-1", "1::2", "nan", "1e9"):
        with pytest.raises(Usage):
            milliseconds(text)
    assert clock(3_723_500) == "1:02:03.500"
    assert HEADER["started"] == "2026-11-29T10:00:00Z"
