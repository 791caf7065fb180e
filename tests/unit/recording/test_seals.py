"""Seals: signatures over the chain that plain openssl checks."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from doorward.proxy.control.stamping import local_stamp
from doorward.recording.reader import TrailReader
from doorward.recording.seals import Seal, is_signed, is_stamped, seals, signed
from tests.unit.recording.trails import identity, opening, output, stamping_authority, writer

SIGNERS = {kind: identity(kind) for kind in ("rsa", "ec")}


@pytest.mark.parametrize("kind", SIGNERS)
def test_a_seal_in_a_trail_holds(kind: str) -> None:
    pem, _, certificate, key = SIGNERS[kind]
    made = writer()
    parts = [made.head, *(frame for record in (*opening(), output(5, "a")) for frame in made.write(record)), *made.flush()]
    parts.append(made.note(signed(made.frames, made.chain, "2026-11-29T10:00:30Z", certificate, key).as_note()))
    parts += made.close({}, 10)
    verdict = TrailReader(b"".join(parts)).verify()
    assert verdict.damage is None
    [seal] = seals(verdict.notes)
    assert is_signed(seal, pem)
    frame = next(frame for frame in TrailReader(b"".join(parts)).frames() if frame.number == seal.frame)
    assert frame.next_chain.hex() == seal.chain
    for changed in (replace(seal, frame=seal.frame + 1), replace(seal, chain="00"), replace(seal, at="2026-11-29T10:00:31Z")):
        assert not is_signed(changed, pem)
    assert not is_signed(seal, identity(kind)[0])


def test_plain_openssl_checks_it(tmp_path: Path) -> None:
    pem, _, certificate, key = SIGNERS["ec"]
    seal = signed(3, b"\1" * 32, "2026-11-29T10:00:30Z", certificate, key)
    for name, content in (("seal", seal.signature), ("claim", seal.claim), ("signer.pem", pem.encode())):
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "seal", "-content", "claim"]
    command += ["-certfile", "signer.pem", "-nointern", "-noverify"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "claim").write_bytes(seal.claim + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode


def test_a_stamp_holds_with_and_without_a_signature() -> None:
    authority, key = stamping_authority()
    _, _, certificate, signing_key = SIGNERS["ec"]
    at = "2026-11-29T10:00:30Z"
    for bare in (Seal(3, "01" * 32, at, b""), signed(3, b"\1" * 32, at, certificate, signing_key)):
        made = replace(bare, stamp=local_stamp(bare.claim, authority, key))
        note = made.as_note()
        assert note["kind"] == ("seal" if bare.signature else "stamp")
        assert list(seals([(4, note)])) == [made]
        assert is_stamped(made, authority)
        for changed in (
            replace(made, frame=4), replace(made, chain="00"), replace(made, at="2026-11-29T10:00:31Z"),
            replace(made, at="never"), replace(made, at="1999-01-01T00:00:00Z"), replace(made, stamp=made.stamp[:-1]),
            replace(made, stamp=b""),
        ):  # fmt: skip
            assert not is_stamped(changed, authority)
        assert not is_stamped(made, stamping_authority()[0])
        assert not is_stamped(made, "")


def test_other_notes_are_no_seals() -> None:
    notes: list[tuple[int, dict[str, object]]] = [
        (1, {"kind": "cut"}),
        (2, {"kind": "seal"}),
        (3, {"kind": "seal", "signature": "?", "frame": 1, "chain": "", "at": ""}),
        (4, {"kind": "stamp", "signature": "AA==", "frame": 1, "chain": "", "at": ""}),
        (5, {"kind": "stamp", "stamp": "?", "frame": 1, "chain": "", "at": ""}),
    ]
    assert list(seals(notes)) == []
