"""`check` finds every single change that is made to the history behind the back of Doorward."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from doorward.store.anchor import HistoryKey
from doorward.store.history import check_history, past
from doorward.store.port import StoreDamagedError
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from tests.unit.store.samples import HISTORY, RUNNING, fill, revision

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "revisions": [
        "number", "author", "address", "time", "message", "changes", "parent_hash", "hash", "mark", "signature", "approvers",
        "emergency",
    ],
    "changes": ["revision", "ordinal", "path", "key", "position", "old", "new"],
    "documents": ["path", "key", "position", "body"],
}  # fmt: skip
ROWS = {"revisions": len(HISTORY), "changes": sum(map(len, HISTORY)), "documents": 4}
KEYS = {"revisions": ["number"], "changes": ["revision", "ordinal"], "documents": ["path", "key"]}
CELLS = [(table, row, column) for table, columns in COLUMNS.items() for row in range(ROWS[table]) for column in columns]
EACH_ROW = [(table, row) for table, count in ROWS.items() for row in range(count)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed store with a history of four revisions."""
    directory = tmp_path_factory.mktemp("whole")
    store = SqliteStore(directory / "doorward.db", Vault.at(directory / "data.key", create=True), key=HistoryKey.at(directory))
    fill(store)
    assert store.check() == []
    store.close()
    return directory


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    directory = tmp_path / "copy"
    shutil.copytree(whole, directory)
    return directory


def findings(directory: Path) -> list[str]:
    vault, key = Vault.at(directory / "data.key", create=False), HistoryKey.at(directory)
    store = SqliteStore(directory / "doorward.db", vault, room=False, key=key)
    try:
        return store.check()
    finally:
        store.close()


def statements(directory: Path, *commands: tuple[str, tuple[Any, ...]]) -> None:
    """Change the file without Doorward and without foreign keys."""
    connection = sqlite3.connect(directory / "doorward.db")
    for sql, values in commands:
        assert connection.execute(sql, values).rowcount == 1
    connection.commit()
    connection.close()


def nth(directory: Path, table: str, row: int) -> dict[str, Any]:
    connection = sqlite3.connect(directory / "doorward.db")
    connection.row_factory = sqlite3.Row
    order = ", ".join(KEYS[table])
    found = connection.execute(f"SELECT * FROM {table} ORDER BY {order} LIMIT 1 OFFSET ?", (row,)).fetchone()  # noqa: S608
    connection.close()
    return dict(found)


def where(table: str, row: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    return " AND ".join(f"{name} = ?" for name in KEYS[table]), tuple(row[name] for name in KEYS[table])


def others(table: str, column: str, value: Any) -> list[Any]:
    """Values that a cell did not have, one at least."""
    if isinstance(value, int):
        return [value + 100, value - 100]
    changed = [f"{value}x", ""] if value else ["x"]
    return changed + ([None] if column in {"message", "old", "new"} and value is not None else [])


def test_the_columns_are_all_there_are(whole: Path) -> None:
    assert {table: list(nth(whole, table, 0)) for table in COLUMNS} == COLUMNS


def test_an_untouched_history_is_whole(copy: Path) -> None:
    assert findings(copy) == []


@pytest.mark.parametrize(("table", "row", "column"), CELLS)
def test_every_changed_cell_is_found(whole: Path, tmp_path: Path, table: str, row: int, column: str) -> None:
    found = nth(whole, table, row)
    condition, values = where(table, found)
    for index, other in enumerate(others(table, column, found[column])):
        directory = tmp_path / str(index)
        shutil.copytree(whole, directory)
        sql = f"UPDATE {table} SET {column} = ? WHERE {condition}"  # noqa: S608
        statements(directory, (sql, (other, *values)))
        assert findings(directory), f"{found[column]!r} became {other!r}"


@pytest.mark.parametrize(("table", "row"), EACH_ROW)
def test_every_removed_row_is_found(copy: Path, table: str, row: int) -> None:
    condition, values = where(table, nth(copy, table, row))
    statements(copy, (f"DELETE FROM {table} WHERE {condition}", values))  # noqa: S608
    assert findings(copy)


@pytest.mark.parametrize(("table", "row"), EACH_ROW)
def test_every_row_put_in_beside_another_is_found(copy: Path, table: str, row: int) -> None:
    added = nth(copy, table, row)
    added[KEYS[table][-1]] = {"revisions": 5, "changes": 9, "documents": "another"}[table]
    marks = ", ".join("?" * len(added))
    statements(copy, (f"INSERT INTO {table} VALUES ({marks})", tuple(added.values())))  # noqa: S608
    assert findings(copy)


@pytest.mark.parametrize("number", range(1, len(HISTORY) + 1))
def test_a_whole_revision_taken_out_is_found(copy: Path, number: int) -> None:
    connection = sqlite3.connect(copy / "doorward.db")
    connection.execute("DELETE FROM changes WHERE revision = ?", (number,))
    connection.execute("DELETE FROM revisions WHERE number = ?", (number,))
    connection.commit()
    connection.close()
    assert findings(copy)


@pytest.mark.parametrize(("one", "other"), [(1, 2), (2, 3), (3, 4)])
def test_two_revisions_in_exchanged_order_are_found(copy: Path, one: int, other: int) -> None:
    connection = sqlite3.connect(copy / "doorward.db")
    for old, new in ((one, 99), (other, one), (99, other)):
        connection.execute("UPDATE revisions SET number = ? WHERE number = ?", (new, old))
        connection.execute("UPDATE changes SET revision = ? WHERE revision = ?", (new, old))
    connection.commit()
    connection.close()
    assert findings(copy)


@pytest.mark.parametrize(("number", "one", "other"), [(1, 0, 1), (1, 1, 2), (3, 0, 2)])
def test_two_changes_in_exchanged_order_are_found(copy: Path, number: int, one: int, other: int) -> None:
    statements(
        copy,
        *(
            ("UPDATE changes SET ordinal = ? WHERE revision = ? AND ordinal = ?", (new, number, old))
            for old, new in ((one, 99), (other, one), (99, other))
        ),
    )
    assert findings(copy)


def test_a_history_written_with_another_key_is_found(copy: Path) -> None:
    (copy / "data.key").unlink()
    Vault.at(copy / "data.key", create=True)
    found = findings(copy)
    assert found == [f"Revision {number} was not written with this data key." for number in range(1, 5)]


def test_a_chain_computed_anew_without_the_key_is_found(copy: Path) -> None:
    """Whoever can write the file can compute all hashes; the marks need the data key."""
    forger = SqliteStore(copy / "doorward.db", Vault(b"0" * 32))
    history = [(forger.revision(number), forger.edits(number)) for number in range(1, 5)]
    forger.close()
    for name in ("doorward.db", "doorward.db-wal", "doorward.db-shm"):
        (copy / name).unlink(missing_ok=True)
    forged = SqliteStore(copy / "doorward.db", Vault(b"0" * 32))
    for forgery, edits in history:
        assert forgery is not None
        forged.publish(forgery, edits)
    forged.close()
    not_written = [one for one in findings(copy) if "was not written with this data key" in one]
    assert len(not_written) == len(HISTORY)


@pytest.mark.parametrize("number", range(1, len(HISTORY) + 1))
@pytest.mark.parametrize("parent", ["", "0" * 64])
def test_a_revision_that_follows_another_parent_is_found(number: int, parent: str) -> None:
    """Every revision is right by itself, its hash and its mark included: only the chain tells."""
    vault, chain, previous = Vault(b"0" * 32), [], ""
    for at, edits in enumerate(HISTORY, 1):
        chained = revision(at, len(edits), parent_hash=parent if at == number else previous)
        chained = replace(chained, hash=chained.hashed(edits))
        chain.append((chained, edits))
        previous = chained.hash
    documents = [(place, position, body) for place, (position, body) in RUNNING.items()]
    found = check_history([(one, edits, vault.mark(one.hash)) for one, edits in chain], documents, vault)
    right = number == 1 and parent == ""
    assert found == ([] if right else [f"Revision {number} does not follow the revision before it."])
    if right:
        assert past(lambda: iter(chain)).head == chain[-1][0]
    else:
        with pytest.raises(StoreDamagedError, match=f"Revision {number} does not follow the revision before it."):
            past(lambda: iter(chain))


def test_a_finding_names_its_revision_or_resource(copy: Path) -> None:
    statements(copy, ("UPDATE documents SET body = '\"Nowhere\"' WHERE path = '/zone'", ()))
    assert findings(copy) == ["The running /zone is not what the history leads to."]
    statements(copy, ("UPDATE revisions SET message = 'other' WHERE number = 3", ()))
    assert "Revision 3 was altered." in findings(copy)
