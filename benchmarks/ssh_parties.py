"""Others of an SSH connection, in a process of their own, which prints its port.

``python -m benchmarks.ssh_parties KIND PORT [KEY HOSTKEY | USER COUNT]``. ``gateway`` is the SSH engine with an observer that
only counts; ``tcp`` hands on bytes as a plain Python relay does; ``echo`` is a target that lets everybody in and echoes;
``typists`` are so many users who type five lines a second each: it prints the port once all have seen one come back.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from functools import partial
from pathlib import Path
from typing import cast

import asyncssh
import uvloop

from doorward.proxy import messages
from doorward.sessions.rules import Relayed
from tests.proof.typists import Room
from tests.support.gateway import FakeControl, FakeObserver, Gateway, make_rules
from tests.support.server import PASSWORD
from tests.system.sshd_support import ACCOUNT


class _Half(asyncio.Protocol):
    """One side of a plain relay."""

    def __init__(self, other: _Half | None = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        for data in self.early:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)
        elif self.other is not None:
            self.other.early.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()


async def _relay(port: int) -> None:
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[object]] = set()

    def accept() -> _Half:
        here = _Half()
        there = here.other = _Half(here)
        task: asyncio.Task[object] = loop.create_task(loop.create_connection(lambda: there, "127.0.0.1", port))
        pending.add(task)
        task.add_done_callback(pending.discard)
        return here

    server = await loop.create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class _Open(asyncssh.SSHServer):
    """Lets everybody in who has a password."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        del username, password
        return True


async def _echo_back(process: asyncssh.SSHServerProcess[bytes]) -> None:
    while piece := await process.stdin.read(4096):
        process.stdout.write(piece)
    process.exit(0)


async def _target(port: int) -> None:
    server = await asyncssh.create_server(
        _Open, "127.0.0.1", port, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")], encoding=None,
        process_factory=_echo_back, backlog=1024, line_editor=False,
    )  # fmt: skip
    print(server.get_port(), flush=True)
    await server.wait_closed()


def _control(port: int, key: asyncssh.SSHKey, host_key: str) -> FakeControl:
    public = key.export_public_key().decode().strip()
    return FakeControl(
        target=messages.TargetAnswer(
            session="", ask=0, name="target", addresses=("127.0.0.1",), port=port, user=ACCOUNT, keys=(host_key,),
            offers=(Relayed.PRIVATE_KEY,),
        ),
        rules=make_rules(gateway_login=True),
        user_keys=(public,),
        credential=messages.CredentialAnswer(session="", ask=0, public_keys=(public,)),
        signer=lambda _text, algorithm, data: key.sign(data, algorithm.encode()),
    )  # fmt: skip


def _type(port: int, user: str, count: int) -> None:
    with Room(port, user, PASSWORD, pause=0.2) as room:
        room.fill(count)
        print(port, flush=True)
        signal.pause()


def main() -> None:
    """Serve until killed."""
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "typists":
        _type(port, sys.argv[3], int(sys.argv[4]))
    if kind == "tcp":
        uvloop.run(_relay(port))
        return
    if kind == "echo":
        uvloop.run(_target(port))
        return
    key = asyncssh.read_private_key(sys.argv[3])
    host_key = Path(sys.argv[4]).read_text().strip()
    gateway = Gateway(partial(_control, port, key, host_key), make_observer=lambda: FakeObserver(keep=False))
    print(gateway.port, flush=True)
    gateway.run()


if __name__ == "__main__":
    main()
