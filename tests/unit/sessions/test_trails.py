"""Trails as files: whoever writes them can't have others opened, and nothing outside their directory is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from doorward.recording.format import TrailDamagedError
from doorward.recording.records import RecordKind
from doorward.sessions.trails import EncryptedTrailError, TrailMissingError, Trails
from tests.support.recorded import key_of, put_trail, row, shell, trail
from tests.unit.recording.trails import identity


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"the key of everything")
    made = tmp_path / "trails"
    made.mkdir()
    return made


def test_a_trail_is_read(directory: Path) -> None:
    one = row(trail=put_trail(directory, key_of(1), trail(shell(3))))
    with Trails(directory).reading(one) as reader:
        assert sum(record.kind is RecordKind.OUTPUT for record in reader.records()) == 3


def test_one_in_a_directory_below_is_read(directory: Path) -> None:
    put_trail(directory / "worker-1", key_of(1), trail(shell(1)))
    with Trails(directory).open(row(trail=f"worker-1/{key_of(1)}.dwr")) as file:
        assert file.read(4) == b"DWR1"


@pytest.mark.parametrize(
    "path", ["", "none.dwr", "../secret", "/etc/passwd", "a/../../secret", "a//b", ".", "a/b/c/d/e", "x\0y", "-", "a\n"]
)
def test_what_is_no_trail_is_not_opened(directory: Path, path: str) -> None:
    with pytest.raises(TrailMissingError):
        Trails(directory).open(row(trail=path))
    Trails(directory).delete(path)
    assert (directory.parent / "secret").exists()


def test_links_are_not_followed(directory: Path) -> None:
    (directory / "link.dwr").symlink_to(directory.parent / "secret")
    (directory / "way").symlink_to(directory.parent)
    for path in ("link.dwr", "way/secret"):
        with pytest.raises((TrailMissingError, OSError)):
            Trails(directory).open(row(trail=path))
    Trails(directory).delete("way/secret")
    Trails(directory).delete("link.dwr")
    assert (directory.parent / "secret").read_bytes() == b"the key of everything"
    assert not (directory / "link.dwr").is_symlink()


def test_only_files_are_opened(directory: Path) -> None:
    os.mkfifo(directory / "pipe.dwr")
    (directory / "dir.dwr").mkdir()
    for path in ("pipe.dwr", "dir.dwr"):
        with pytest.raises((TrailMissingError, OSError)):
            Trails(directory).open(row(trail=path))


def test_an_encrypted_trail_names_who_can_read_it(directory: Path) -> None:
    pem, private, certificate, _ = identity("rsa")
    name = certificate.fingerprint(certificate.signature_hash_algorithm).hex()  # type: ignore[arg-type]
    one = row(trail=put_trail(directory, key_of(1), trail(shell(2), [pem])), recipients=(name,))
    with pytest.raises(EncryptedTrailError) as caught, Trails(directory).reading(one):
        pass
    assert caught.value.recipients == (name,)
    assert not Trails(directory).may_read(one)
    here = Trails(directory, lambda: {name: private})
    assert here.may_read(one)
    with here.reading(one) as reader:
        assert any(record.kind is RecordKind.OUTPUT for record in reader.records())
    other = Trails(directory, lambda: {"0" * 64: private})
    with pytest.raises(EncryptedTrailError), other.reading(one):
        pass


@pytest.mark.parametrize("data", [b"", b"DWR1", b"DWR1\r\n\x1a\n\0\0\0\2{}", b"DWR1\r\n\x1a\n\0\0\0\4null", b"x" * 1000])
def test_what_is_no_trail_is_damaged(directory: Path, data: bytes) -> None:
    one = row(trail=put_trail(directory, key_of(1), data))
    with pytest.raises(TrailDamagedError), Trails(directory).reading(one):
        pass


def test_a_deleted_trail_is_gone_and_may_be_deleted_again(directory: Path) -> None:
    name = put_trail(directory, key_of(1), b"x")
    for _ in range(2):
        Trails(directory).delete(name)
    assert list(directory.iterdir()) == []
