"""What a worker calls: sessions for clients that came, and words for those that may not come in."""

from __future__ import annotations

import asyncio
import socket

from doorward.proxy.messages import Begin
from doorward.proxy.ssh.legs.key_exchange import VERSION
from doorward.proxy.ssh.ports import Control, Observer
from doorward.proxy.ssh.session import Outcome, SshSession
from doorward.proxy.ssh.wire.errors import LegError
from doorward.proxy.ssh.wire.fields import string, uint32
from doorward.proxy.ssh.wire.numbers import Disconnect, Message
from doorward.proxy.ssh.wire.wire import Wire

REFUSAL_SECONDS = 10
"""How long a client that may not come in has to say who it is."""


class SshProtocol:
    """SSH, as a worker speaks it."""

    def session(self, client: socket.socket, begin: Begin, control: Control, observer: Observer) -> SshSession:
        """A session that takes over the socket; `SshSession.run` serves it."""
        return SshSession(client, begin, control, observer)

    async def refuse(self, client: socket.socket, reason: str) -> None:
        """Tell a client why it may not come in, and close its socket."""
        await _Refusal(client, reason).over


class _Refusal:
    """A connection on which nothing is said but goodbye."""

    def __init__(self, client: socket.socket, reason: str) -> None:
        loop = asyncio.get_running_loop()
        self._reason = reason
        self.over: asyncio.Future[None] = loop.create_future()
        self._wire = Wire(client, self, lines_first=False)
        self._wire.send_line(VERSION)
        self._wire.start()
        timer = loop.call_later(REFUSAL_SECONDS, self._wire.abort)
        self.over.add_done_callback(lambda _: timer.cancel())

    def identified(self, line: bytes) -> None:
        """Say goodbye; before it knows whom it talks to, a client takes that for rubbish."""
        del line
        code = uint32(Disconnect.TOO_MANY_CONNECTIONS)
        self._wire.send(bytes([Message.DISCONNECT]) + code + string(self._reason) + string(""))
        self._wire.close()
        self._settle()

    def message(self, number: int, plain: memoryview, size: int) -> None:
        """Take nothing."""

    def congested(self, full: bool) -> None:  # noqa: FBT001 - a state
        """Take nothing."""

    def failed(self, error: LegError) -> None:
        """Take the end."""
        del error
        self._wire.close()
        self._settle()

    def _settle(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def serve_session(client: socket.socket, begin: Begin, control: Control, observer: Observer) -> Outcome:
    """Serve a client to the end."""
    return await SshSession(client, begin, control, observer).run()
