"""What is deleted is gone, from the file as well, whatever the library leaves by default and whoever deletes it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from doorward.store.port import SEALED_FILE, Edit, Revision, Secret, StoredRecord
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.tree.places import Place

_LONG, _MANY = 64, 200


@pytest.fixture(autouse=True)
def careless(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Give out connections that leave what they delete; Debian builds the library to overwrite it. Returns all of them."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def careless(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.execute("PRAGMA secure_delete = OFF")
        opened.append(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", careless)
    return opened


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.at(tmp_path / "data.key", create=True)


def sealed(vault: Vault, *keys: str) -> list[Secret]:
    return [Secret(key, "sealed", vault.seal(f"{key}:sealed", key[0] * _LONG)) for key in keys]


def publish(store: SqliteStore, *secrets: Secret) -> None:
    head = store.head()
    number = head.number if head else 0
    edit = Edit(Place("/p"), str(number).encode() if number else None, str(number + 1).encode())
    store.publish(Revision(number + 1, "me", "", "2026-11-21T10:00:00Z", None, 1), [edit], secrets=secrets)


def test_a_destroyed_secret_is_gone_from_the_file(tmp_path: Path, vault: Vault) -> None:
    store = SqliteStore(tmp_path / "doorward.db", vault)
    first, second = sealed(vault, "a", "b")
    publish(store, first, second)
    store.forget_secret("a")
    store.forget_secret("a")
    assert store.secret("a") is None
    assert store.secret("b") == second
    store.close()
    content = (tmp_path / "doorward.db").read_bytes()
    assert first.sealed not in content
    assert second.sealed in content


def test_nothing_that_is_removed_after_a_secret_was_destroyed_stays_in_the_file(tmp_path: Path, vault: Vault) -> None:
    store = SqliteStore(tmp_path / "doorward.db", vault)
    secrets = sealed(vault, *(f"k{number}" for number in range(_MANY)))
    publish(store, *secrets)
    store.put_record(StoredRecord(SEALED_FILE, "cluster/node-key.pem", "c2VhbGVk" * 9))
    store.forget_secret("k0")
    for secret in secrets[1:-1]:
        store.forget_secret(secret.key)
    replaced = Secret(secrets[-1].key, "sealed", vault.seal("again", "z" * _LONG))
    publish(store, replaced)
    store.remove_record(SEALED_FILE, "cluster/node-key.pem")
    store.close()
    content = (tmp_path / "doorward.db").read_bytes()
    assert [secret.key for secret in secrets if secret.sealed in content] == []
    assert b"c2VhbGVk" not in content
    assert replaced.sealed in content


def test_what_the_former_data_key_sealed_is_gone_after_a_change_of_it(tmp_path: Path, vault: Vault) -> None:
    store = SqliteStore(tmp_path / "doorward.db", vault)
    secrets = sealed(vault, *(f"k{number}" for number in range(_MANY)))
    publish(store, *secrets)
    store.reseal(Vault.at(tmp_path / "data.key.next", create=True))
    store.close()
    content = (tmp_path / "doorward.db").read_bytes()
    assert [secret.key for secret in secrets if secret.sealed in content] == []


@pytest.mark.parametrize("room", [True, False])
def test_every_connection_that_may_write_overwrites_what_it_deletes(
    tmp_path: Path, vault: Vault, careless: list[sqlite3.Connection], *, room: bool
) -> None:
    path = tmp_path / "doorward.db"
    SqliteStore(path, vault).close()
    store = SqliteStore(path, vault, room=room)
    publish(store, *sealed(vault, "a"))
    store.forget_secret("a")
    assert store.head()
    both = careless[1:]
    assert len(both) == 2, "the writer, and the reader of this thread"
    assert [connection.execute("PRAGMA secure_delete").fetchone()[0] for connection in both if writable(connection)] == [1]
    store.close()


def writable(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('tried', '')")
    except sqlite3.OperationalError:
        return False
    return True
