"""Who a node is."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from doorward.store.port import DamagedRecordError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.startup import node_id

if TYPE_CHECKING:
    from pathlib import Path

VAULT = Vault(bytes(32))


def asked(directory: Path) -> str:
    """Who the node of a store says that it is, after each of its starts."""
    with closing(SqliteStore(directory / "doorward.db", VAULT)) as store:
        return node_id(store)


def test_a_node_gets_an_id_once_and_keeps_it(tmp_path: Path) -> None:
    made = asked(tmp_path)
    assert str(uuid.UUID(made)) == made
    assert asked(tmp_path) == made


def test_a_node_that_can_not_tell_who_it_is_takes_no_other_identity(tmp_path: Path) -> None:
    asked(tmp_path)
    with closing(sqlite3.connect(tmp_path / "doorward.db")) as connection:
        connection.execute("""UPDATE records SET body = '{"uuid":"c0ffee00-0000-4000-8000-000000000000"}' WHERE kind = 'node'""")
        connection.commit()
    with pytest.raises(DamagedRecordError, match="The record node id is damaged"):
        asked(tmp_path)


def test_the_identity_of_a_store_of_an_earlier_release_is_kept(tmp_path: Path) -> None:
    made = asked(tmp_path)
    with closing(sqlite3.connect(tmp_path / "doorward.db")) as connection:
        connection.execute("UPDATE records SET body = json_quote(?)", (made,))
        connection.execute("UPDATE meta SET value = '1' WHERE name = 'format'")
        for table in ("commits", "records"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        connection.commit()
    assert asked(tmp_path) == made
