"""Edits with their documents."""

from __future__ import annotations

from doorward.transaction.edits import DocumentEdit
from doorward.tree.snapshot import Entry
from tests.unit.transaction.rig import TREE, USERS, WEB, place

OLD, NEW = (TREE.load(place(WEB), {"timeout": minutes}) for minutes in (10, 20))


def test_an_edit_carries_what_stands_before_and_after() -> None:
    edit = DocumentEdit.between(place(WEB), Entry(0, OLD), Entry(0, NEW))
    assert (edit.old, edit.new) == (OLD.stored, NEW.stored)
    assert (edit.before, edit.after) == (OLD, NEW)


def test_an_edit_has_the_position_of_what_stays_or_of_what_goes() -> None:
    jane = TREE.load(place(USERS, "jane"), {"name": "jane", "password": None})
    made = DocumentEdit.between(place(USERS, "jane"), None, Entry(7, jane))
    gone = DocumentEdit.between(place(USERS, "jane"), Entry(5, jane), None)
    assert (made.old, made.before, made.position) == (None, None, 7)
    assert (gone.new, gone.after, gone.position) == (None, None, 5)
