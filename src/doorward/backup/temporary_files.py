"""Files that are kept for a day: uploaded archives, and exports until they are fetched (section 10)."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from doorward.store.port import Record, Store
from doorward.tree.times import stamp

KEPT = timedelta(hours=24)
MOST = 20
"""Files of a kind: what anybody may put here must not fill the disk."""


class TemporaryFilesFullError(Exception):
    """There are as many files as there may be; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(f"There are {MOST} of them already; remove one first.")


@dataclass(frozen=True, slots=True)
class KeptFile:
    """One file. ``body`` says what it is; it has at least ``created`` and ``expires``, UTC texts."""

    id: str
    path: Path
    body: dict[str, Any]


class TemporaryFiles:
    """The files of one kind, readable by their owner only. Safe in any thread; blocks."""

    def __init__(self, directory: Path, store: Store, kind: str) -> None:
        self._directory, self._store, self._kind = directory, store, kind
        self._lock, self._filling = threading.Lock(), set[str]()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = {record.id for record in store.records(kind)}
        for path in directory.iterdir():  # of a process that was killed
            if path.name not in known:
                path.unlink()
        self.tidy()

    @contextmanager
    def room(self) -> Iterator[tuple[str, Path]]:
        """An id, and where its file goes, for the time of a block that ends with ``keep``; else the file goes again.

        Raises TemporaryFilesFullError. What others are still writing counts.
        """
        with self._lock:
            if len(self.all()) + len(self._filling) >= MOST:
                raise TemporaryFilesFullError
            name = str(uuid.uuid4())
            self._filling.add(name)
        try:
            yield name, self._directory / name
        finally:
            with self._lock:
                self._filling.discard(name)
            if self._store.record(self._kind, name) is None:
                (self._directory / name).unlink(missing_ok=True)

    def keep(self, name: str, body: dict[str, Any]) -> KeptFile:
        """Take in a file that was written to its place."""
        now = datetime.now(UTC)
        whole = {**body, "created": stamp(now), "expires": stamp(now + KEPT)}
        self._store.put_record(Record(self._kind, name, whole))
        with self._lock:
            self._filling.discard(name)
        return KeptFile(name, self._directory / name, whole)

    def tidy(self) -> None:
        """Remove the files that are too old: they may hold every secret in clear text, and nobody may come to ask for them."""
        self.all()

    def all(self) -> list[KeptFile]:
        """Return the files, newest first; those that are too old go."""
        moment, found = datetime.fromtimestamp(time.time(), UTC), []
        now, latest = stamp(moment), stamp(moment + KEPT)
        for record in self._store.records(self._kind):
            kept = KeptFile(record.id, self._directory / record.id, record.body)
            if kept.body["expires"] > latest:  # the clock has been set back since; its day begins anew
                kept.body["expires"] = latest
                self._store.put_record(Record(self._kind, kept.id, kept.body))
            if kept.body["expires"] <= now or not kept.path.exists():
                self.remove(kept.id)
            else:
                found.append(kept)
        return found

    def get(self, name: str) -> KeptFile | None:
        """Return one file."""
        return next((kept for kept in self.all() if kept.id == name), None)

    def path(self, name: str) -> Path | None:
        """Return where a file lies."""
        kept = self.get(name)
        return kept.path if kept else None

    def remove(self, name: str) -> None:
        """Remove a file of this shelf."""
        if self._store.record(self._kind, name) is not None:
            (self._directory / name).unlink(missing_ok=True)
            self._store.remove_record(self._kind, name)
