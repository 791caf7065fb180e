"""Room for bodies: of all clients, and of one."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from doorward.listening.http import buffers
from doorward.listening.http.buffers import MAX_BYTES, MAX_BYTES_OF_SOURCE, BodyBuffers, BuffersFullError
from doorward.listening.http.exchange import Exchange


def test_the_limits_of_the_contract() -> None:
    assert (MAX_BYTES, MAX_BYTES_OF_SOURCE) == (128 << 20, 16 << 20)


def test_one_source_gets_its_share_and_no_more() -> None:
    room = BodyBuffers()
    assert room.take("a", 16 << 20)
    assert not room.take("a", 1)
    assert room.take("b", 1)
    room.give_back("a", 1)
    assert room.take("a", 1)
    assert not room.take("a", 1)


def test_all_together_get_no_more_than_there_is() -> None:
    room = BodyBuffers()
    assert all(room.take(str(number), 16 << 20) for number in range(8))
    assert not room.take("another", 1)
    room.give_back("3", 16 << 20)
    assert room.take("another", 16 << 20)
    assert not room.take("3", 1)


def test_what_was_refused_does_not_count_and_nothing_is_left_of_who_gave_back() -> None:
    room = BodyBuffers()
    for _ in range(3):
        assert not room.take("a", 17 << 20)
    assert room.take("a", 5)
    room.give_back("a", 2)
    room.give_back("a", 3)
    assert room.total == 0
    assert room._of == {}


def exchange(source: str = "a", transport: Any = None) -> Exchange:
    """A request of a client."""
    made = Exchange(
        scope={"method": "POST", "http_version": "1.1"},  # type: ignore[typeddict-item]
        transport=transport or cast("Any", Transport()),
        flow=Flow(),  # type: ignore[arg-type]
        logger=None,  # type: ignore[arg-type]
        access_logger=None,  # type: ignore[arg-type]
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )
    made.source = source
    return made


class Transport:
    def is_closing(self) -> bool:
        return False


class Flow:
    write_paused = False

    def resume_reading(self) -> None:
        """Nothing is paused."""


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> BodyBuffers:
    """Room for ten bytes of each source."""
    made = BodyBuffers()
    monkeypatch.setattr(buffers, "MAX_BYTES_OF_SOURCE", 10)
    monkeypatch.setattr("doorward.listening.http.exchange.BUFFERS", made)
    return made


def test_a_body_counts_until_its_request_is_answered(room: BodyBuffers) -> None:
    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        assert (await receive())["body"] == b"12345"
        assert room.total == 5
        one.disconnected = True

    one = exchange()
    one.keep(b"12345")
    asyncio.run(one.run_asgi(app))
    assert room.total == 0


def test_what_is_worked_off_piece_by_piece_counts_no_longer(room: BodyBuffers) -> None:
    one = exchange()
    for _ in range(5):
        one.keep(b"12345")
        one.release(5)
    assert room.total == 0
    one.keep(b"12345")
    one.release(1 << 20)
    assert room.total == 0, "no more is given back than was taken"


def test_a_body_without_room_is_refused_and_not_kept(room: BodyBuffers) -> None:
    async def work() -> None:
        first, second, other = exchange(), exchange(), exchange("b")
        first.keep(b"123456789")
        second.keep(b"12")
        other.keep(b"12")
        second.keep(b"1")
        assert (room.total, bytes(second.body)) == (11, b"")
        with pytest.raises(BuffersFullError):
            await second.receive()
        assert (await first.receive())["body"] == b"123456789"

    asyncio.run(work())
