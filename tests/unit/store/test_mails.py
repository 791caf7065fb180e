"""Mails that wait, and the word of a store about what the disk refused."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from doorward.store.port import Mail
from tests.unit.store.samples import fill, ticket

if TYPE_CHECKING:
    from doorward.store.port import Store
    from doorward.store.sqlite import SqliteStore

ONE = Mail("1", "a@example.com", "One", "Text\nof Ödön.\n", 100.0, 100.0)
TWO = Mail("2", "b@example.com", "Two", "", 99.5, 160.25)


def test_mails_come_back_as_they_were_given_in_the_order_of_their_next_try(store: Store) -> None:
    assert store.mails() == []
    store.put_mail(TWO)
    store.put_mail(ONE)
    assert store.mails() == [ONE, TWO]


def test_a_mail_is_moved_and_removed(store: Store) -> None:
    store.put_mail(ONE)
    store.put_mail(TWO)
    later = replace(ONE, due=1000.0)
    store.put_mail(later)
    assert store.mails() == [TWO, later]
    store.remove_mail("2")
    store.remove_mail("nothing")
    assert store.mails() == [later]


def test_mails_have_no_part_in_the_history(store: Store) -> None:
    fill(store)
    store.put_mail(ONE)
    assert store.check() == []


def test_what_the_disk_refuses_is_told(store: SqliteStore) -> None:
    told: list[str] = []
    store.failed.append(told.append)
    store._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        store.save_ticket(ticket("x"))
    assert told == ["attempt to write a readonly database"]
    store._writer.execute("PRAGMA query_only = OFF")
    store.save_ticket(ticket("x"))
    assert len(told) == 1
