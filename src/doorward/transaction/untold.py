"""Alerts that have to be raised whatever happens: written in one step with their revision, forgotten once they were raised."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from doorward.store.port import Store, StoredRecord

_KIND = "untold_alert"


def untold(key: str, text: str, revision: int) -> StoredRecord:
    """Return the record of an alert about a revision; ``key`` is the event's."""
    return StoredRecord(_KIND, uuid.uuid4().hex, {"key": key, "revision": revision, "text": text})


def tell(store: Store, raise_: Callable[[str, str, str], None]) -> None:
    """Raise every alert that nobody was told of: its key, its text, and the path of its revision."""
    for record in store.records(_KIND):
        body = record.body
        raise_(body["key"], body["text"], f"/api/revisions/{body['revision']}")
        store.remove_record(_KIND, record.id)
