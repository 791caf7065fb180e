"""The pipe carries what is in `messages` and nothing else, knows who is there, and never grows."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorward.proxy import messages, pipe
from doorward.proxy.local_sockets import StrangerError, check_peer, dial, listen
from doorward.proxy.pipe import ControlEnd, WorkerEnd, connect
from tests.unit.proxy.fakes import arrives, begin, key

NOTED = messages.Noted(session=key(1), serial=1)


def run(test: Callable[[ControlEnd, WorkerEnd], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        control, worker = ControlEnd(ours), WorkerEnd(theirs)
        try:
            await asyncio.wait_for(test(control, worker), 60)
        finally:
            control.close()
            worker.close()

    asyncio.run(main())


async def first(end: WorkerEnd) -> tuple[messages.ToWorker, int | None]:
    return await anext(aiter(end.deliveries()))


def test_messages_arrive_whole_and_in_order() -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        sent = [
            messages.Text(session=key(1), channel=1, lines=((n, "screen", "x" * 3000 * (n % 50)),), serial=n) for n in range(100)
        ]
        taken: list[messages.ToControl] = []

        async def take() -> None:
            async for message in control:
                taken.append(message)  # noqa: PERF401 - others watch it grow

        task = asyncio.ensure_future(take())
        for message in sent:
            await worker.drained()
            assert worker.send(message)
        await arrives(lambda: len(taken) == len(sent))
        assert taken == sent
        worker.close()
        await task
        assert control.reason == "the other side closed it"
        assert not control.send(NOTED)

    run(test)


def test_a_socket_comes_with_its_message() -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        for number in range(3):
            ours, theirs = socket.socketpair()
            with theirs:
                control.send(NOTED)
                control.send(begin(number), theirs.fileno())
            control.send(NOTED)
            assert await first(worker) == (NOTED, None)
            message, descriptor = await first(worker)
            assert isinstance(message, messages.Begin)
            assert descriptor is not None
            assert not os.get_inheritable(descriptor)
            with ours, socket.socket(fileno=descriptor) as client:
                client.sendall(b"hello")
                assert ours.recv(5) == b"hello"
            assert await first(worker) == (NOTED, None)

    run(test)


def descriptors_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def framed(message: object) -> bytes:
    body = msgspec.msgpack.encode(message)
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    ("data", "descriptors"),
    [
        (struct.pack(">I", messages.MAX_MESSAGE + 1), 0),
        (framed({"is": "nothing"}), 0),
        (framed({"is": "noted", "session": key(1), "serial": 1, "more": 2}), 0),
        (framed({"is": "noted", "session": key(1), "serial": "1"}), 0),
        (framed(messages.Hello(worker="w", pid=1)), 0),  # a worker's words in the mouth of control
        (struct.pack(">I", 10) + b"\xc1" * 10, 0),
        (framed(begin(1)), 0),
        (framed(NOTED), 1),
        (framed(begin(1)), 2),
        (framed(begin(1)), 64),
        (struct.pack(">I", 4000) + b"\x91" * 4000, 0),
    ],
    ids=["long", "type", "member", "value", "side", "garbage", "no socket", "stray socket", "two sockets", "many", "deep"],
)
def test_what_does_not_fit_ends_the_pipe(data: bytes, descriptors: int) -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        before = descriptors_open()
        null = os.open(os.devnull, os.O_RDONLY)
        socket.send_fds(control._socket, [data], [null] * descriptors)
        os.close(null)
        await arrives(lambda: worker.closed)
        async for _, descriptor in worker.deliveries():
            if descriptor is not None:
                os.close(descriptor)
        assert "rules" in worker.reason
        await arrives(lambda: control.closed)
        assert descriptors_open() == before - 2  # both ends; every descriptor that came is closed

    run(test)


@given(st.binary(max_size=400), st.booleans())
def test_garbage_never_escapes(data: bytes, framed_well: bool) -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        control._socket.send((struct.pack(">I", len(data)) if framed_well else b"") + data)
        control.close()
        async for _ in worker.deliveries():
            pass
        assert worker.closed

    run(test)


def test_who_does_not_read_is_disconnected() -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        big = messages.Text(session=key(1), channel=1, lines=((0, "screen", "x" * 200_000),))
        sent = 0
        while worker.send(big):
            sent += 1
            assert worker.waiting <= pipe.MAX_WAITING
        assert sent >= pipe.MAX_WAITING // 200_100
        assert worker.reason == "the other side does not read"

    run(test)


def test_no_more_is_read_than_is_taken() -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        big = messages.Text(session=key(1), channel=1, lines=((0, "screen", "x" * 200_000),))
        for _ in range(30):
            worker.send(big)
        await asyncio.sleep(0.2)
        assert control._taken_bytes < pipe.MAX_TAKEN + 2 * messages.MAX_MESSAGE
        assert worker.waiting > 1 << 20
        taken = 0
        async for _ in control:
            taken += 1
            if taken == 30:
                break
        assert not worker.closed

    run(test)


def test_a_message_that_is_too_long_is_refused_here() -> None:
    async def test(control: ControlEnd, worker: WorkerEnd) -> None:
        with pytest.raises(ValueError, match="too long"):
            worker.send(messages.Text(session=key(1), channel=1, lines=((0, "screen", "x" * messages.MAX_MESSAGE),)))
        assert worker.send(messages.Counts(sessions={}, memory=0, lag=0))

    run(test)


def test_a_long_path_and_the_one_who_listens(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    path = deep / "worker.sock"
    with listen(path) as listener:
        assert path.stat().st_mode & 0o777 == 0o600

        async def meet() -> None:
            control = await connect(path)
            connection, _ = listener.accept()
            worker = WorkerEnd(connection)
            assert control.pid == worker.pid == os.getpid()
            control.send(NOTED)
            assert await first(worker) == (NOTED, None)
            control.close()
            worker.close()
            with pytest.raises(StrangerError, match="no business"):
                await connect(path, users=[os.geteuid() + 1])

        asyncio.run(meet())
        with dial(path) as connection, pytest.raises(StrangerError):
            check_peer(connection, [os.geteuid() + 1])
    listen(path).close()  # the dead one is replaced


def test_secrets_are_not_shown() -> None:
    shown = repr(messages.TryPassword(session=key(1), ask=1, user="u", password="hunter2")) + repr(
        messages.GatewayHostKey(private=b"p")
    )
    assert shown == f"TryPassword({key(1)})HostKey()"
