"""The one writer of the catalogue: a thread that takes what waits, writes it in one go, and syncs once for all of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import structlog

from doorward.sessions.catalogue.engine import DatabaseError, WriteTransactions
from doorward.sessions.catalogue.port import CatalogueUnavailableError
from doorward.sessions.catalogue.statements import Statements

log = structlog.get_logger()

LAZY_SECONDS: Final = 0.25
"""How long what nobody waits for may wait for more of its kind."""
MAX_WAITING: Final = 16 << 20
"""Bytes that may wait; whoever brings more waits until there is room."""
MAX_BATCH: Final = 2000
"""Works that are written together, at most."""
RETRY_SECONDS: Final = 1.0
"""After so long it is tried again to write what could not be written."""

_T = TypeVar("_T")
Work = Callable[[Statements], _T]


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
    """Runs works in a thread of its own, in order, in transactions of a connection that is used nowhere else.

    A work that raises changes nothing and fails alone. Where the database can't be written, urgent works fail at once with
    CatalogueUnavailableError; the others wait, and are tried again. ``taken_back`` is called, in the thread, whenever something
    that works did was undone. ``pulse``: after so many seconds without works it is seen whether the database is there, at once at
    first; None: it always is.
    """

    def __init__(self, transactions: WriteTransactions, taken_back: Callable[[], None], pulse: float | None = None) -> None:
        self._transactions, self._taken_back, self._pulse = transactions, taken_back, pulse
        self._next_pulse = None if pulse is None else 0.0
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
        self._transactions.close()

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
            if batch is None:
                return
            if not self._write(batch):
                self._requeue(batch)

    def _next(self) -> list[_Item] | None:
        """Wait for works; return them, none where it is time to look after the database. None: it is time to end."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._stopping, self._next_pulse):
                self._next_pulse = self._pulse
                return []
            if not self._waiting:
                return None
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
        outcomes: list[tuple[_Item, Any, BaseException | None]] = []
        try:
            statements = self._transactions.begin(is_durable=any(item.durable for item in batch))
            outcomes.extend(self._one(statements, item) for item in batch)
            self._transactions.commit()
        except DatabaseError as error:
            self._note_failure(str(error))
            return False
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

    def _one(self, statements: Statements, item: _Item) -> tuple[_Item, Any, BaseException | None]:
        """Do one work; what it changed is taken back where it fails by itself. Raises DatabaseError where writing fails."""
        try:
            with self._transactions.part():
                return item, item.work(statements), None
        except DatabaseError:
            raise
        except Exception as error:
            log.exception("a work of the session catalogue failed")
            self._taken_back()
            return item, None, error

    def _note_failure(self, reason: str) -> None:
        self._transactions.undo()
        self._taken_back()
        if self._failing is None:
            log.error("the session catalogue can't be written", reason=reason)
        self._failing = reason
        if self._pulse is not None:
            self._next_pulse = RETRY_SECONDS

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
