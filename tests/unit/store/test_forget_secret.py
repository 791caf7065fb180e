"""A secret that is destroyed is gone, from the file as well."""

from __future__ import annotations

from pathlib import Path

from doorward.store.port import Edit, Revision, Secret
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.tree.places import Place


def test_a_destroyed_secret_is_gone_from_the_file(tmp_path: Path) -> None:
    vault = Vault.at(tmp_path / "data.key", create=True)
    store = SqliteStore(tmp_path / "doorward.db", vault)
    sealed = [vault.seal("a:sealed", "x" * 64), vault.seal("b:sealed", "y" * 64)]
    kept = [Secret("a", "sealed", sealed[0]), Secret("b", "sealed", sealed[1])]
    store.publish(Revision(1, "me", "", "2026-11-21T10:00:00Z", None, 1), [Edit(Place("/p"), None, b"1")], secrets=kept)
    store.forget_secret("a")
    store.forget_secret("a")
    assert store.secret("a") is None
    assert store.secret("b") == kept[1]
    store.close()
    content = (tmp_path / "doorward.db").read_bytes()
    assert sealed[0] not in content
    assert sealed[1] in content
