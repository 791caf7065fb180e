"""The one writer of the catalogue: a thread that takes what waits, writes it in one go, and syncs once for all of it."""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.store.tally import Tally

log = structlog.get_logger()

LAZY_SECONDS: Final = 0.25
"""How long what nobody waits for may wait for more of its kind."""
MAX_WAITING: Final = 16 << 20
"""Bytes that may wait; whoever brings more waits until there is room."""
MAX_BATCH: Final = 2000
"""Works that are written together, at most."""
RETRY_SECONDS: Final = 1.0
"""After so long it is tried again to write what could not be written."""

_OF_THE_DISK: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY,
    }
)  # fmt: skip
"""Errors that say nothing about the work, but that nothing can be written."""

_T = TypeVar("_T")
Work = Callable[[sqlite3.Connection], _T]


@dataclass(slots=True)
class _Item:
    work: Work[Any]
    size: int
    durable: bool
    """Whether somebody waits until it is on the disk."""
    urgent: bool
    """Whether it fails, rather than waits, where nothing can be written."""
    done: Future[Any] = field(default_factory=Future)


class Writer:
    """Runs works in a thread of its own, in order, on a connection that is used nowhere else.

    A work that raises changes nothing and fails alone. Where the database can't be written, urgent works fail at once with
    CatalogueUnavailableError; the others wait, and are tried again. ``taken_back`` is called, in the thread, whenever something
    that works did was undone. ``tally`` keeps count of what is written.
    """

    def __init__(self, connection: sqlite3.Connection, taken_back: Callable[[], None], tally: Tally | None = None) -> None:
        self._connection, self._taken_back, self._tally = connection, taken_back, tally
        self._waiting: deque[_Item] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._hasty = 0
        """How many of those that wait are waited for."""
        self._failing: str | None = None
        self.batches = 0
        self._thread = threading.Thread(target=self._run, name="catalogue", daemon=True)
        self._thread.start()

    @property
    def failing(self) -> str | None:
        """Why nothing can be written now; None: it can."""
        return self._failing

    def durable(self, work: Work[_T], *, urgent: bool = False) -> Future[_T]:
        """Have a work done; the result is there when it is on the disk."""
        return self._put(_Item(work, 0, durable=True, urgent=urgent))

    def lazily(self, work: Work[object], size: int) -> Future[None] | None:
        """Have a work done some time soon. Returns None where there is room, else what is done when there is room again."""
        item = _Item(work, size, durable=False, urgent=False)
        future = self._put(item)
        return future if self._size > MAX_WAITING else None

    def flush(self) -> None:
        """Return when everything taken so far is written. Blocks."""
        self.durable(lambda _: None).result()

    def close(self) -> None:
        """Write what waits, and end. What can't be written is given up."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()
        self._connection.close()

    def _put(self, item: _Item) -> Future[Any]:
        item.done.set_running_or_notify_cancel()  # whoever waits for it may go, but can't take it back
        with self._changed:
            if self._stopping:
                item.done.set_exception(CatalogueUnavailableError("the node is stopping"))
                return item.done
            self._waiting.append(item)
            self._size += item.size
            self._hasty += item.durable
            self._changed.notify()
        return item.done

    def _run(self) -> None:
        while True:
            batch = self._next()
            if not batch:
                return
            if not self._write(batch):
                self._requeue(batch)

    def _next(self) -> list[_Item]:
        """Wait for works; return them. Empty: it is time to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping)
            if self._failing is not None and not self._stopping:
                self._changed.wait_for(lambda: self._stopping or self._has_urgent(), RETRY_SECONDS)
            elif not self._hasty:
                self._changed.wait_for(lambda: self._stopping or self._hasty or self._size > MAX_WAITING // 2, LAZY_SECONDS)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
            self._hasty -= sum(item.durable for item in batch)
            return batch

    def _has_urgent(self) -> bool:
        return any(item.urgent for item in self._waiting)

    def _write(self, batch: list[_Item]) -> bool:
        """Write works in one transaction; whether that could be done."""
        connection = self._connection
        outcomes: list[tuple[_Item, Any, BaseException | None]] = []
        try:
            # Without a sync of the log at its end a transaction costs little; a later one that is synced covers it.
            connection.execute(f"PRAGMA synchronous = {'FULL' if any(item.durable for item in batch) else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            outcomes.extend(self._one(item) for item in batch)
            if self._tally is not None:
                self._tally.settle()
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._note_failure(error)
            return False
        if self._tally is not None:
            self._tally.committed()
        if self._failing is not None:
            log.info("the session catalogue can be written again")
            self._failing = None
        self.batches += 1
        with self._changed:
            self._size -= sum(item.size for item in batch)
        for item, result, failure in outcomes:
            if failure is not None:
                item.done.set_exception(failure)
            else:
                item.done.set_result(result)
        return True

    def _one(self, item: _Item) -> tuple[_Item, Any, BaseException | None]:
        """Do one work; what it changed is taken back where it fails by itself. Raises sqlite3.Error where writing fails."""
        self._connection.execute("SAVEPOINT one")
        noted = self._tally.noted() if self._tally is not None else {}
        try:
            result = item.work(self._connection)
        except Exception as error:
            if _is_of_the_disk(error):
                raise
            log.exception("a work of the session catalogue failed")
            self._connection.execute("ROLLBACK TO one")
            self._connection.execute("RELEASE one")
            if self._tally is not None:
                self._tally.back_to(noted)
            self._taken_back()
            return item, None, error
        self._connection.execute("RELEASE one")
        return item, result, None

    def _note_failure(self, error: sqlite3.Error) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if self._tally is not None:
            self._tally.undone()
        self._taken_back()
        if self._failing is None:
            log.error("the session catalogue can't be written", reason=str(error))
        self._failing = str(error)

    def _requeue(self, batch: list[_Item]) -> None:
        """Fail what can't wait; the rest comes again, in the same order."""
        stopping = self._stopping
        lost = [item for item in batch if item.urgent or stopping]
        kept = [item for item in batch if not (item.urgent or stopping)]
        with self._changed:
            self._waiting.extendleft(reversed(kept))
            self._hasty += sum(item.durable for item in kept)
            self._size -= sum(item.size for item in lost)
        for item in lost:
            item.done.set_exception(CatalogueUnavailableError(f"the session catalogue can't be written: {self._failing}"))


def _is_of_the_disk(error: BaseException) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.Error) and code is not None and (code & 0xFF) in _OF_THE_DISK
