"""Numbers of the sessions of a policy: each is given away once, also over crashes, and few of them need a sync."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import Final

from doorward.sessions.catalogue.statements import Statements
from doorward.sessions.catalogue.writer import Writer

NUMBERS_AHEAD: Final = 64
"""Numbers of a policy that are set aside at a time: a sync for so many sessions, and as many may be left out by a crash."""


class SessionNumbers:
    """Gives numbers away, of those that the writer has set aside on the disk."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._given: dict[str, tuple[int, int]] = {}
        """Of each policy the last number given away, and the last that is set aside."""
        self._setting: dict[str, Future[tuple[int, int]]] = {}
        """Of each policy what sets more of them aside."""
        self._lock = threading.Lock()

    async def take(self, policy_key: str) -> int:
        """Return the next number of a policy. Raises CatalogueUnavailableError."""
        while True:
            with self._lock:
                last, ahead = self._given.get(policy_key, (0, 0))
                if last < ahead:
                    self._given[policy_key] = last + 1, ahead
                    return last + 1
                setting = self._setting.get(policy_key)
                if setting is not None and setting.done():  # what counts is told when it is on the disk
                    del self._setting[policy_key]
                    if setting.exception() is None:
                        self._given[policy_key] = setting.result()
                        continue
                    setting = None
                if setting is None:
                    setting = self._setting[policy_key] = self._writer.durable(partial(_set_aside, policy_key), urgent=True)
            await asyncio.wrap_future(setting)  # whoever comes meanwhile waits for the same


def _set_aside(policy_key: str, statements: Statements) -> tuple[int, int]:
    after = statements.numbers_ahead(policy_key, NUMBERS_AHEAD)
    return after - NUMBERS_AHEAD, after
