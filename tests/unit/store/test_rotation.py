"""A new data key: everything is under it, the old one opens nothing, and a crash in between leaves one of the two."""

from __future__ import annotations

import base64
import sqlite3
from typing import TYPE_CHECKING

import pytest

from doorward.store.port import SEALED, Secret, StoredRecord
from doorward.store.rotation import KEY, NEXT, Rotated, rotate, settle, unsettled
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault, VaultError
from tests.unit.store.samples import HISTORY, revision

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = {"one": "the first text", "two": "the second \N{LOCK}"}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory with a history and two secrets."""
    vault = Vault.at(tmp_path / KEY, create=True)
    store = SqliteStore(tmp_path / "doorward.db", vault)
    kept = [Secret(key, form, vault.seal(f"{key}:{form}", TEXTS[key])) for key, form in (("one", "hash"), ("two", "sealed"))]
    for number, edits in enumerate(HISTORY, 1):
        store.publish(revision(number, len(edits)), edits, secrets=kept)
    store.close()
    return tmp_path


def texts(state: Path, vault: Vault) -> dict[str, str]:
    """Every secret, opened."""
    store = SqliteStore(state / "doorward.db", vault)
    try:
        assert store.check() == []
        assert store.marked()
        kept = [store.secret(key) for key in TEXTS]
        return {secret.key: vault.open(secret.name, secret.sealed) for secret in kept if secret}
    finally:
        store.close()


def statement(state: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(state / "doorward.db")
    connection.execute(sql, values)
    connection.commit()
    connection.close()


def test_everything_is_under_the_new_key_and_nothing_under_the_old(state: Path) -> None:
    old = (state / KEY).read_bytes()
    assert rotate(state) == Rotated(2, len(HISTORY))
    new = (state / KEY).read_bytes()
    assert new != old
    assert texts(state, Vault(new)) == TEXTS
    store = SqliteStore(state / "doorward.db", Vault(old))
    assert not store.marked()
    assert len(store.check()) == len(HISTORY)
    for key in TEXTS:
        secret = store.secret(key)
        assert secret is not None
        with pytest.raises(VaultError):
            Vault(old).open(secret.name, secret.sealed)
    store.close()
    assert not [path for path in state.rglob("*") if path.is_file() and old in path.read_bytes()]
    assert (state / KEY).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", SEALED)
def test_what_waits_sealed_is_sealed_anew(state: Path, kind: str) -> None:
    vault = Vault.at(state / KEY, create=False)
    store = SqliteStore(state / "doorward.db", vault)
    sealed = base64.b64encode(vault.seal("cluster/key.pem", "a key")).decode()
    store.put_record(StoredRecord(kind, "cluster/key.pem", {"sealed": sealed}))
    store.put_record(StoredRecord("other", "cluster/key.pem", "not sealed"))
    store.close()
    rotate(state)
    vault = Vault.at(state / KEY, create=False)
    store = SqliteStore(state / "doorward.db", vault)
    [kept] = store.records(kind)
    assert vault.open("cluster/key.pem", base64.b64decode(kept.body["sealed"])) == "a key"
    assert store.check_records() == []
    assert store.records("other") == [StoredRecord("other", "cluster/key.pem", "not sealed")]
    store.close()


def test_the_old_key_is_overwritten_where_it_lies(state: Path) -> None:
    with (state / KEY).open("rb") as held:
        old = held.read()
        rotate(state)
        held.seek(0)
        assert len(kept := held.read()) == len(old)
        assert kept != old


def test_a_history_that_was_altered_is_not_marked_anew(state: Path) -> None:
    old = (state / KEY).read_bytes()
    statement(state, "UPDATE revisions SET author = 'nobody' WHERE number = 2")
    with pytest.raises(VaultError, match=r"not whole.*Revision 2 was altered"):
        rotate(state)
    assert (state / KEY).read_bytes() == old
    assert not unsettled(state)


def test_a_secret_that_cannot_be_opened_leaves_everything_as_it_was(state: Path) -> None:
    old = (state / KEY).read_bytes()
    statement(state, "UPDATE secrets SET sealed = ? WHERE key = 'two'", b"damaged" * 9)
    with pytest.raises(VaultError, match="two:sealed"):
        rotate(state)
    assert (state / KEY).read_bytes() == old
    assert not unsettled(state)
    store = SqliteStore(state / "doorward.db", Vault(old))
    assert store.check() == []
    one = store.secret("one")
    store.close()
    assert one is not None
    assert Vault(old).open(one.name, one.sealed) == TEXTS["one"]


def test_the_key_of_another_store_is_no_key_to_rotate(state: Path) -> None:
    (state / KEY).write_bytes(bytes(32))
    with pytest.raises(VaultError, match="is not the data key of"):
        rotate(state)
    assert (state / KEY).read_bytes() == bytes(32)


def test_a_crash_before_the_database_took_the_new_key_leaves_the_old(state: Path) -> None:
    old = (state / KEY).read_bytes()
    (state / NEXT).write_bytes(bytes(32))
    settle(state)
    assert (state / KEY).read_bytes() == old
    assert not unsettled(state)
    assert texts(state, Vault(old)) == TEXTS


@pytest.mark.parametrize("old_key", ["whole", "overwritten", "gone"])
def test_a_crash_after_the_database_took_the_new_key_leaves_the_new(state: Path, old_key: str) -> None:
    old = (state / KEY).read_bytes()
    rotate(state)
    new = (state / KEY).read_bytes()
    (state / NEXT).write_bytes(new)
    if old_key == "gone":
        (state / KEY).unlink()
    else:
        (state / KEY).write_bytes(old if old_key == "whole" else b"\xff" * 32)
    settle(state)
    assert (state / KEY).read_bytes() == new
    assert not unsettled(state)
    assert texts(state, Vault(new)) == TEXTS


def test_where_neither_key_is_the_right_one_both_stay(state: Path) -> None:
    (state / KEY).write_bytes(bytes(32))
    (state / NEXT).write_bytes(b"\x01" * 32)
    with pytest.raises(VaultError, match=r"Neither .*data\.key nor .*data\.key\.next"):
        settle(state)
    assert ((state / KEY).read_bytes(), (state / NEXT).read_bytes()) == (bytes(32), b"\x01" * 32)
