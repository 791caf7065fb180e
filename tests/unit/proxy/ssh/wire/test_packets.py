"""Packets of one direction: what is put in comes out, under every cipher, through any changes of keys; damage never does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from asyncssh.encryption import get_encryption, get_encryption_params
from hypothesis import given, settings
from hypothesis import strategies as st

from doorward.proxy.ssh.wire.ciphers import CIPHERS, CODES, make_opener, make_sealer
from doorward.proxy.ssh.wire.errors import IntegrityError, LegError, ProtocolViolationError
from doorward.proxy.ssh.wire.packets import MAX_EARLY_PACKET, MAX_PACKET, PacketReceiver, Sender
from doorward.proxy.ssh.wire.protection import PAYLOAD

SUITES = [
    (cipher, code)
    for cipher, suite in CIPHERS.items()
    for code in (CODES if suite.coded else ("",))
    if "cbc" not in cipher or "etm" not in code
]
EVERY = pytest.mark.parametrize(("cipher", "code"), SUITES)


def material(seed: bytes) -> Callable[[bytes, int], bytes]:
    """Key material by letter."""
    return lambda letter, length: ((letter + seed) * 64)[:length]


class Line:
    """A sender and a receiver with the bytes between them."""

    def __init__(self, cipher: str = "", code: str = "") -> None:
        self.sender, self.receiver = Sender(), PacketReceiver()
        self.receiver.limit = MAX_PACKET
        self.out = memoryview(bytearray(MAX_PACKET + 1024))
        self.plain = memoryview(bytearray(MAX_PACKET + 512))
        self.wire = bytearray(16)
        if cipher:
            self.change(cipher, code, b"first", restart=True)

    def change(self, cipher: str, code: str, seed: bytes, *, restart: bool) -> None:
        self.sender.use(make_sealer(cipher, code, material(seed), b"ACE"), restart=restart)
        self.receiver.use(make_opener(cipher, code, material(seed), b"ACE"), restart=restart)

    def put(self, payload: bytes) -> None:
        self.plain[PAYLOAD : PAYLOAD + len(payload)] = payload
        end = self.sender.put(self.plain, len(payload), self.out, 16)
        assert end - 16 <= self.sender.room(len(payload))
        self.wire += self.out[16:end]

    def take(self) -> bytes | None:
        view = memoryview(self.wire)
        stop = self.receiver.take(view, 16, len(self.wire), self.plain)
        view.release()
        if not stop:
            return None
        del self.wire[16:stop]
        return bytes(self.plain[PAYLOAD : PAYLOAD + self.receiver.size])


@EVERY
def test_payloads_of_every_length_come_out_as_they_went_in(cipher: str, code: str) -> None:
    line = Line(cipher, code)
    for size in (*range(1, 70), 255, 32768, 100_000):
        payload = os.urandom(size)
        line.put(payload)
        assert line.take() == payload


@EVERY
def test_asyncssh_reads_what_we_write(cipher: str, code: str) -> None:
    line = Line(cipher, code)
    keys, params = material(b"first"), get_encryption_params(cipher.encode(), code.encode() or cipher.encode())
    key, iv, block, code_key, tag, etm = params
    theirs = get_encryption(cipher.encode(), keys(b"C", key), keys(b"A", iv), code.encode(), keys(b"E", code_key), etm)
    head = 4 if etm or not code else max(block, 8)
    for sequence, payload in enumerate((b"one", b"two" * 1000, b"3")):
        line.put(payload)
        packet = bytes(line.wire[16:])
        del line.wire[16:]
        first, length = theirs.decrypt_header(sequence, packet[:head], 4)
        assert int.from_bytes(length, "big") == len(packet) - 4 - tag
        plain = theirs.decrypt_packet(sequence, first, packet[head : len(packet) - tag], 4, packet[len(packet) - tag :])
        assert plain is not None
        assert plain[1 : -plain[0]] == payload


@EVERY
@settings(max_examples=12, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), size=st.integers(1, 300))
def test_a_changed_bit_is_noticed(cipher: str, code: str, place: float, bit: int, size: int) -> None:
    line = Line(cipher, code)
    line.put(bytes(size))
    line.wire[16 + int(place * (len(line.wire) - 16))] ^= 1 << bit
    # What follows, so that a length that grew is not just waited for.
    line.wire += bytes(MAX_PACKET)
    with pytest.raises(LegError):
        line.take()


@EVERY
def test_a_packet_comes_only_once_and_only_in_its_place(cipher: str, code: str) -> None:
    line = Line(cipher, code)
    line.put(b"first")
    first = bytes(line.wire[16:])
    line.put(b"second")
    second = bytes(line.wire[16 + len(first) :])
    line.wire[16:] = second + bytes(MAX_PACKET)
    with pytest.raises((IntegrityError, ProtocolViolationError)):
        line.take()
    line = Line(cipher, code)
    line.put(b"first")
    again = bytes(line.wire[16:])
    assert line.take() == b"first"
    line.wire[16:] = again + bytes(MAX_PACKET)
    with pytest.raises((IntegrityError, ProtocolViolationError)):
        line.take()


@EVERY
@pytest.mark.parametrize("place", [16, 16 + 4, -1], ids=["length", "content", "code"])
def test_nothing_is_said_of_what_was_decrypted(cipher: str, code: str, place: int) -> None:
    """Whoever changes a packet learns nothing of what it decrypts to: no length, and by chained blocks not even when it fails."""
    line = Line(cipher, code)
    line.put(bytes(100))
    line.wire[place] ^= 0x55
    if "cbc" in cipher:
        size = len(line.wire)
        line.wire += bytes(MAX_PACKET - size + 15)
        assert line.take() is None
        line.wire += bytes(1)
    else:
        line.wire += bytes(MAX_PACKET)
    with pytest.raises(LegError) as refused:
        line.take()
    assert str(refused.value) in {"A packet was damaged or forged on its way", "The length of a packet is wrong"}
    assert "cbc" not in cipher or isinstance(refused.value, IntegrityError)


_PAYLOADS = st.binary(min_size=1, max_size=600)
_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), _PAYLOADS),
        st.tuples(st.just("cut"), st.integers(1, 64)),
        st.tuples(st.just("keys"), st.tuples(st.sampled_from(SUITES), st.binary(min_size=1, max_size=8), st.booleans())),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(steps=_STEPS)
def test_nothing_is_lost_through_any_changes_of_keys(steps: list[tuple[str, Any]]) -> None:
    """Packets arrive in pieces of any length, and keys change at any moment."""
    line, sent, got, arrived = Line(), [], [], bytearray(16)

    def take_all() -> None:
        view = memoryview(arrived)
        start = 16
        while stop := line.receiver.take(view, start, len(arrived), line.plain):
            got.append(bytes(line.plain[PAYLOAD : PAYLOAD + line.receiver.size]))
            start = stop
        view.release()
        del arrived[16:start]

    for kind, value in steps:
        if kind == "send":
            line.put(value)
            sent.append(value)
        elif kind == "cut":
            while len(line.wire) > 16:
                arrived += line.wire[16 : 16 + value]
                del line.wire[16 : 16 + value]
                take_all()
        else:
            (cipher, code), seed, restart = value
            arrived += line.wire[16:]
            del line.wire[16:]
            take_all()
            line.change(cipher, code, seed, restart=restart)
    arrived += line.wire[16:]
    take_all()
    assert got == sent


def test_padding_shows_nothing_of_what_the_buffer_held() -> None:
    line = Line("aes128-gcm@openssh.com")
    line.plain[:600] = b"S" * 600
    line.put(b"x")
    assert line.take() == b"x"
    size = 1 + 1
    assert b"SS" not in bytes(line.plain[PAYLOAD + 1 : PAYLOAD + 15 - size])


@pytest.mark.parametrize("length", [0, 4, 11, MAX_EARLY_PACKET + 5, 0xFFFFFFFF])
def test_lengths_that_can_not_be_are_refused(length: int) -> None:
    receiver = PacketReceiver()
    buffer = memoryview(bytearray(16) + length.to_bytes(4, "big") + bytes(400))
    with pytest.raises(ProtocolViolationError):
        receiver.take(buffer, 16, len(buffer), memoryview(bytearray(MAX_PACKET)))


def test_sequence_numbers_begin_again_only_where_that_was_agreed_on() -> None:
    line = Line()
    line.put(b"a")
    line.put(b"b")
    line.change("aes128-gcm@openssh.com", "", b"x", restart=False)
    assert (line.sender.sequence, line.receiver.sequence) == (2, 0)
    line.change("aes128-gcm@openssh.com", "", b"x", restart=True)
    assert (line.sender.sequence, line.receiver.sequence) == (0, 0)
