"""Anchors: a history that was cut off, rewritten or taken from elsewhere is found by what is kept of it outside."""

from __future__ import annotations

import json
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from doorward.store.anchor import NAME, Anchor, HistoryKey, HistoryKeyError, anchors_in
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.tree.jsontext import encode
from tests.unit.store.samples import HISTORY, fill, revision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def opened(directory: Path, *, room: bool = True) -> SqliteStore:
    vault = Vault.at(directory / "data.key", create=True)
    return SqliteStore(directory / "doorward.db", vault, room=room, key=HistoryKey.at(directory))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path / "state"


@pytest.fixture
def store(directory: Path) -> Iterator[SqliteStore]:
    store = opened(directory)
    fill(store)
    yield store
    store.close()


def anchor_of(store: SqliteStore) -> Anchor:
    found = store.anchor()
    assert found is not None
    return found


def statements(directory: Path, *commands: str) -> None:
    connection = sqlite3.connect(directory / "doorward.db")
    for sql in commands:
        connection.execute(sql)
    connection.commit()
    connection.close()


def test_the_head_is_signed_and_fits_its_history(store: SqliteStore) -> None:
    anchor, head = anchor_of(store), store.head()
    assert head is not None
    assert (anchor.number, anchor.hash, anchor.time) == (4, head.hash, head.time)
    assert anchor.is_genuine
    assert store.check_anchor(anchor) == []


def test_an_anchor_fits_also_when_the_history_has_gone_on(store: SqliteStore) -> None:
    anchor = anchor_of(store)
    store.publish(revision(5), HISTORY[1][:0])
    assert store.check_anchor(anchor) == []
    assert anchor_of(store).number == 5


@pytest.mark.parametrize("gone", [1, 2, 3, 4])
def test_a_history_that_was_cut_off_is_found_by_its_anchor_alone(directory: Path, store: SqliteStore, gone: int) -> None:
    """Whoever has the data key can cut off the end and make the rest whole again: from inside nothing shows it."""
    anchor = anchor_of(store)
    store.close()
    for name in ("doorward.db", "doorward.db-wal", "doorward.db-shm"):
        (directory / name).unlink(missing_ok=True)
    cut = opened(directory)
    for number, edits in enumerate(HISTORY[: len(HISTORY) - gone], 1):
        message = None if number == 2 else f"Number {number}"
        cut.publish(revision(number, len(edits), message=message), edits)
    assert cut.check() == []
    newest = len(HISTORY) - gone
    assert cut.check_anchor(anchor) == [
        f"The history was cut off: the anchor names revision 4, and the newest one is revision {newest}."
    ]
    cut.close()


def test_a_history_that_was_rewritten_is_found(directory: Path, store: SqliteStore) -> None:
    anchor = anchor_of(store)
    store.close()
    shutil.rmtree(directory)
    directory.mkdir(mode=0o700)
    other = opened(directory)
    for number, edits in enumerate(HISTORY, 1):
        other.publish(revision(number, len(edits), message="another"), edits)
    assert other.check() == []
    assert other.check_anchor(anchor) == ["The history was rewritten: revision 4 is not the one that the anchor names."]
    other.close()


@pytest.mark.parametrize(
    "changes", [{"number": 3}, {"hash": "0" * 64}, {"time": "2027-01-01T00:00:00Z"}, {"signature": "AAAA"}, {"public_key": "?"}]
)
def test_an_anchor_that_was_altered_is_found(store: SqliteStore, changes: dict[str, Any]) -> None:
    altered = replace(anchor_of(store), **changes)
    assert store.check_anchor(altered) == [f"The anchor of revision {altered.number} was altered: its signature does not fit."]


def test_every_revision_bears_a_signature_of_the_key(directory: Path, store: SqliteStore) -> None:
    store.close()
    statements(directory, "UPDATE revisions SET signature = (SELECT signature FROM revisions WHERE number = 1) WHERE number = 3")
    looking = opened(directory, room=False)
    assert looking.check() == ["The signature of revision 3 does not fit."]
    looking.close()


def test_revisions_without_signature_are_signed_at_the_next_start(directory: Path, store: SqliteStore) -> None:
    store.close()
    unsigned = SqliteStore(directory / "doorward.db", Vault.at(directory / "data.key", create=False))
    unsigned.publish(revision(5), [])
    assert unsigned.anchor() is None
    unsigned.close()
    looking = opened(directory, room=False)
    assert looking.check() == ["The signature of revision 5 does not fit."]
    looking.close()
    again = opened(directory)
    assert again.check() == []
    again.close()


def test_another_key_signs_everything_anew_and_old_anchors_still_fit(directory: Path, store: SqliteStore) -> None:
    anchor = anchor_of(store)
    store.close()
    (directory / NAME).unlink()
    looking = opened(directory, room=False)
    assert looking.check() == ["The history is signed with another key than the one in history-key.pem."]
    looking.close()
    again = opened(directory)
    assert again.check() == []
    assert again.check_anchor(anchor) == []
    assert anchor_of(again).public_key != anchor.public_key
    again.close()


def test_a_store_of_before_signatures_is_signed_when_it_is_opened(directory: Path, store: SqliteStore) -> None:
    store.close()
    statements(
        directory,
        "DROP INDEX changes_by_place",
        "ALTER TABLE revisions DROP COLUMN signature",
        "DELETE FROM meta WHERE name = 'history_key'",
        "UPDATE meta SET value = '1' WHERE name = 'format'",
    )
    again = opened(directory)
    assert again.check() == []
    assert again.check_anchor(anchor_of(again)) == []
    again.close()


def test_a_file_that_is_no_key_is_said_to_be_none(directory: Path) -> None:
    (directory / NAME).write_text("nothing")
    (directory / NAME).chmod(0o600)
    with pytest.raises(HistoryKeyError, match="holds no private key"):
        HistoryKey.at(directory)


def test_the_key_is_for_its_owner_alone(directory: Path) -> None:
    assert HistoryKey.read(directory) is None
    made = HistoryKey.at(directory)
    assert (directory / NAME).stat().st_mode & 0o777 == 0o600
    again = HistoryKey.read(directory)
    assert again is not None
    assert again.public == made.public


def test_anchors_are_found_in_whatever_keeps_them(store: SqliteStore) -> None:
    anchor = anchor_of(store)
    shown = anchor.as_json()
    text = encode(shown).decode()
    assert list(anchors_in(text)) == [anchor]
    assert list(anchors_in(json.dumps({"body": shown, "key": "head", "meta": {"href": "/api/revisions/head"}}))) == [anchor]
    assert list(anchors_in(json.dumps({"manifest": {"history": shown, "node": {}}, "signature": {}}))) == [anchor]
    line = f'<30>1 2026-11-21T10:00:00Z node doorward 7 - [origin software="doorward"] history head head={text}'
    assert list(anchors_in(f'{line}\nsomething {{else}} {{"number": 4}}\n{line}')) == [anchor, anchor]
    assert list(anchors_in("{" * 2000 + text)) == [anchor]
    assert list(anchors_in(json.dumps([{**shown, "number": True}, {**shown, "hash": 1}, []]))) == []
