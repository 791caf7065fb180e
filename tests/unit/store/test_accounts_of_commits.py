"""A store made before commit records belonged to accounts: each gets the account that had the name at that time."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from doorward.tree.places import Place
from tests.unit.store.samples import commit_record, edit, revision

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from doorward.store.port import Edit, Store

USERS = "/api/configuration/aaa/local_database/users"

OLD = """
UPDATE meta SET value = '1' WHERE name = 'format';
DROP INDEX commits_by_account;
ALTER TABLE commits DROP COLUMN account;
ALTER TABLE commits DROP COLUMN checksum;
ALTER TABLE records DROP COLUMN checksum;
CREATE INDEX commits_by_key ON commits (user, idempotency_key) WHERE idempotency_key IS NOT NULL;
"""
"""Makes the table what the release before had."""


def named(key: str, old: str | None, new: str | None) -> Edit:
    """An account that is made, renamed or deleted."""
    before, after = ({"name": name, "password": None} if name else ... for name in (old, new))
    return edit(Place(USERS, key), before, after)


def aged(store: Store, directory: Path) -> None:
    store.close()
    connection = sqlite3.connect(directory / "doorward.db")
    connection.executescript(OLD)
    connection.close()


def test_records_of_an_older_store_find_their_accounts(open_store: Callable[[], Store], tmp_path: Path) -> None:
    store = open_store()
    store.publish(revision(1), [named("-1", None, "admin"), named("aa", None, "jane"), named("bb", None, "joe")])
    store.publish(revision(2), [named("aa", "jane", None)])
    store.publish(revision(3), [named("cc", None, "jane")])
    store.publish(revision(4), [named("bb", "joe", "joanna"), named("dd", None, "joe")])
    committed = {
        "by admin": ("admin", "01"), "by the first jane": ("jane", "01"), "by the second jane": ("jane", "03"),
        "by joe": ("joe", "02"), "by joanna": ("joanna", "05"), "by the new joe": ("joe", "05"), "by nobody": ("doorward", "01"),
    }  # fmt: skip
    for name, (user, second) in committed.items():
        started = f"2026-11-21T10:00:{second}Z"
        store.save_commit_record(commit_record(name, user=user, account="", started=started, idempotency_key="k", request=name))
    aged(store, tmp_path)
    again = open_store()
    assert {one.id: one.account for one in again.commit_records()} == {
        "by admin": "-1", "by the first jane": "", "by the second jane": "cc",
        "by joe": "", "by joanna": "bb", "by the new joe": "dd", "by nobody": "",
    }  # fmt: skip
    found = again.commit_record("k", "cc")
    assert (found and found.id) == "by the second jane"
    assert again.commit_record("by admin") == commit_record(
        "by admin", started="2026-11-21T10:00:01Z", idempotency_key="k", request="by admin"
    )
    again.close()
    assert {one.account for one in open_store().commit_records()} == {"-1", "", "cc", "bb", "dd"}


def test_an_older_store_without_commits_opens(open_store: Callable[[], Store], tmp_path: Path) -> None:
    aged(open_store(), tmp_path)
    assert open_store().commit_records() == []
