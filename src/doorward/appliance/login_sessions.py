"""The login sessions of a node, which live in the event loop: told of commits, ended when their time is over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from doorward.access.logins import Logins
from doorward.access.tokens import Token, Tokens
from doorward.areas.area import Area
from doorward.areas.worker import Worker
from doorward.store.port import Edit
from doorward.transaction.candidate import Running

_EVERY_SECONDS = 60.0


class LoginSessions(Area):
    """Does in the event loop what is about login sessions. ``loop`` is set before it starts."""

    is_early = True
    loop: asyncio.AbstractEventLoop

    def __init__(self, logins: Logins, tokens: Tokens) -> None:
        self._logins = logins
        tokens.ended = self._tokens_ended
        self._worker = Worker("login-sessions", self._expire, delay=_EVERY_SECONDS)

    def start(self) -> None:
        """Begin."""
        self._worker.start()

    def stop(self) -> None:
        """End."""
        self._worker.stop()

    def published(self, before: Running, after: Running, edits: tuple[Edit, ...]) -> None:
        """Tell the login sessions of a commit that concerns them."""
        if Logins.concerned(edits):
            self._in_loop(self._logins.published, before, after, edits)

    def _tokens_ended(self, tokens: Iterable[Token]) -> None:
        self._in_loop(self._logins.tokens_ended, tokens)

    def _expire(self) -> float:
        self._in_loop(self._logins.expire)
        return _EVERY_SECONDS

    def _in_loop(self, work: Callable[..., object], *arguments: Any) -> None:
        """Have work done in the event loop; where that has ended no session is left."""
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(work, *arguments)
