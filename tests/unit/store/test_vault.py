"""Secrets at rest: sealed under a key of their own, bound to their name."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from doorward.store.vault import KEY_BYTES, Vault, VaultError

if TYPE_CHECKING:
    from pathlib import Path

KEY = bytes(range(KEY_BYTES))


@pytest.mark.parametrize("text", ["", "secret", "caf\u00e9 \U0001f512", "x" * 100_000])
def test_what_was_sealed_is_opened_under_its_name(text: str) -> None:
    vault = Vault(KEY)
    assert vault.open("name", vault.seal("name", text)) == text


def test_a_sealed_text_does_not_hold_the_text_and_is_never_the_same() -> None:
    vault = Vault(KEY)
    one, other = vault.seal("name", "the secret text"), vault.seal("name", "the secret text")
    assert b"secret" not in one
    assert one != other


def test_every_changed_bit_is_noticed() -> None:
    vault = Vault(KEY)
    sealed = vault.seal("name", "secret")
    for index in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[index // 8] ^= 1 << index % 8
        with pytest.raises(VaultError, match="The secret name was altered"):
            vault.open("name", bytes(changed))


@pytest.mark.parametrize("cut", [0, 1, 11, 12, 20, -1])
def test_a_sealed_text_cut_short_is_noticed(cut: int) -> None:
    vault = Vault(KEY)
    with pytest.raises(VaultError):
        vault.open("name", vault.seal("name", "secret")[:cut])


def test_a_secret_cannot_take_the_place_of_another() -> None:
    vault = Vault(KEY)
    with pytest.raises(VaultError):
        vault.open("b:plain", vault.seal("a:plain", "secret"))
    with pytest.raises(VaultError):
        vault.open("a:hash", vault.seal("a:plain", "secret"))


def test_another_key_opens_nothing_and_marks_otherwise() -> None:
    one, other = Vault(KEY), Vault(KEY[::-1])
    with pytest.raises(VaultError):
        other.open("name", one.seal("name", "secret"))
    assert one.mark("digest") != other.mark("digest")
    assert one.mark("digest") == Vault(KEY).mark("digest")
    assert one.mark("digest") != one.mark("digest2")


def test_a_new_key_is_random_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Vault.at(tmp_path / name, create=True)
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
        assert len((tmp_path / name).read_bytes()) == KEY_BYTES
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(KEY)
    sealed = Vault(KEY).seal("name", "secret")
    assert Vault.at(path, create=True).open("name", sealed) == "secret"
    assert Vault.at(path, create=False).open("name", sealed) == "secret"


def test_what_a_killed_writer_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "data.key.part").write_bytes(b"half")
    Vault.at(tmp_path / "data.key", create=True)
    assert len((tmp_path / "data.key").read_bytes()) == KEY_BYTES
    assert not (tmp_path / "data.key.part").exists()


def test_a_missing_key_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"data\.key is missing"):
        Vault.at(tmp_path / "data.key", create=False)
    assert not (tmp_path / "data.key").exists()


@pytest.mark.parametrize("key", [b"", b"short", bytes(KEY_BYTES + 1)])
def test_a_key_of_another_length_is_refused(tmp_path: Path, key: bytes) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(key)
    with pytest.raises(VaultError, match=f"has {len(key)} bytes instead of 32"):
        Vault.at(path, create=False)
