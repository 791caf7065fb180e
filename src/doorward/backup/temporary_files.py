"""Files that are kept for a day: uploaded archives, and exports until they are fetched (section 10)."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from doorward.areas.area import Area
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.tree.jsontext import prepared
from doorward.tree.times import stamp

KEPT = timedelta(hours=24)
MAX_FILES = 20
"""Files of a kind: what anybody may put here must not fill the disk."""


class TemporaryFilesFullError(Exception):
    """There are as many files as there may be; the text says what to do."""

    def __init__(self) -> None:
        super().__init__(f"There are {MAX_FILES} of them already; remove one first.")


@prepared
class KeptFile(Struct, frozen=True):
    """One file: ``created`` and ``expires`` are UTC texts. An export has a name, and how it is encrypted."""

    id: str
    created: str
    expires: str
    sha256: str = ""
    size: int = 0
    encryption: str | None = None
    file_name: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What is shown of it."""
        return {name: value for name, value in asdict(self).items() if name != "id" and value is not None}


class TemporaryFiles(Area):
    """The files of one kind, readable by their owner only. Safe in any thread; blocks."""

    def __init__(self, directory: Path, store: Store, kind: str) -> None:
        self._directory, self._kept = directory, Records(store, kind, KeptFile)
        self._lock, self._filling = threading.Lock(), set[str]()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = {kept.id for kept in self._kept.find()}
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
            if len(self.all()) + len(self._filling) >= MAX_FILES:
                raise TemporaryFilesFullError
            name = str(uuid.uuid4())
            self._filling.add(name)
        try:
            yield name, self._directory / name
        finally:
            with self._lock:
                self._filling.discard(name)
            if self._kept.get(name) is None:
                (self._directory / name).unlink(missing_ok=True)

    def keep(self, name: str, **facts: Any) -> KeptFile:
        """Take in a file that was written to its place; ``facts`` are members of the result."""
        now = datetime.now(UTC)
        kept = KeptFile(name, stamp(now), stamp(now + KEPT), **facts)
        self._kept.put(kept)
        with self._lock:
            self._filling.discard(name)
        return kept

    def tidy(self) -> None:
        """Remove the files that are too old: they may hold every secret in clear text, and nobody may come to ask for them."""
        self.all()

    def all(self) -> list[KeptFile]:
        """Return the files, newest first; those that are too old go."""
        moment, found = datetime.fromtimestamp(time.time(), UTC), []
        now, latest = stamp(moment), stamp(moment + KEPT)
        for kept in self._kept.find():
            if kept.expires > latest:  # the clock has been set back since; its day begins anew
                kept = replace(kept, expires=latest)  # noqa: PLW2901 - the same file
                self._kept.put(kept)
            if kept.expires <= now or not self.place(kept).exists():
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
        return self.place(kept) if kept else None

    def place(self, kept: KeptFile) -> Path:
        """Return where a file of this shelf lies, or lay."""
        return self._directory / kept.id

    def remove(self, name: str) -> None:
        """Remove a file of this shelf."""
        if self._kept.get(name) is not None:
            (self._directory / name).unlink(missing_ok=True)
            self._kept.remove(name)
