"""The connections of all HTTP services, with a short way for answers that are at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from doorward.host.resources import Listener
from doorward.listening.http.limited import LimitedConnection
from doorward.listening.http.options import MAX_REPEATED_HEAD, MAX_REPEATS, HttpOptions


class _Answered:
    """Stands for the exchange of a request that was answered at once."""

    response_started = response_complete = True
    message_event = asyncio.Event()


_ANSWERED: Any = _Answered()


def _never(*_: object) -> None:
    """Stand for the short way of an application that has none."""


class HttpConnection(LimitedConnection):
    """One connection. Plain reads that the application has an answer for at hand are answered without a task.

    A client that asks the same again sends the same bytes: a head that was answered at once before is known again as a whole,
    without parsing, when it comes alone and between requests.
    """

    _begun = 0
    """Requests that began in what came last."""
    _plain: Any = None
    """What the application made of the last head, where it could be answered at once."""

    def __init__(self, config: uvicorn.Config, state: ServerState, listener: Listener, options: HttpOptions) -> None:
        super().__init__(config, state, listener, options)
        fast = options.fast
        self._recognise: Callable[..., Any] = fast.plain if fast else _never
        self._fast_response: Callable[[Any], bytes | None] = fast.fast_response if fast else _never
        self._repeats: dict[bytes, Any] = {}

    def data_received(self, data: bytes) -> None:
        """Take bytes; the same as before may have their answer at hand."""
        if self._answered_again(data):
            return
        self._begun, self._plain = 0, None
        alone = not (self._in_head and self._size) and not self._in_body
        super().data_received(data)
        if alone and self._plain and self._begun == 1 and not self._in_head and len(data) <= MAX_REPEATED_HEAD:
            self._remember(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._begun += 1

    def answered_at_once(self) -> bool:
        """Answer what needs no task. Everything else goes the way of the application."""
        parser, before = self.parser, cast("RequestResponseCycle | None", self.cycle)
        if (before is not None and not before.response_complete) or self.flow.write_paused or parser.get_method() != b"GET":
            return False
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return False
        plain = self._recognise(self.url, self.headers)
        if plain is None or (answer := self._fast_response(plain)) is None:
            return False
        self.cycle, self._plain = _ANSWERED, plain
        self.transport.write(answer)
        self.on_response_complete()
        return True

    def _remember(self, data: bytes) -> None:
        """Keep what came as a request that can be answered at once."""
        if len(self._repeats) >= MAX_REPEATS:
            self._repeats.clear()
        self._repeats[data] = self._plain

    def _answered_again(self, data: bytes) -> bool:
        """Answer bytes that are known to be one whole request for something that can be answered at once."""
        plain = self._repeats.get(data)
        if plain is None or self._in_head or self._in_body or self.cycle is not _ANSWERED:
            return False
        if self.flow.write_paused or self.transport.is_closing() or (answer := self._fast_response(plain)) is None:
            return False
        self.transport.write(answer)
        self.used = self.loop.time()
        return True
