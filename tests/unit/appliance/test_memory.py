"""Memory that is not needed any more goes back to the machine."""

from __future__ import annotations

from doorward.appliance.memory import Memory
from doorward.areas.resident import resident_bytes

MEBIBYTE = 1 << 20


def test_what_work_left_behind_is_given_back_once_it_is_much() -> None:
    memory = Memory()
    memory._turn()
    before = resident_bytes()
    pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
    last = bytearray(b"x" * 100_000)  # above them in the heap, which can't shrink while it is there
    assert resident_bytes() > before + 80 * MEBIBYTE
    del pieces[:]
    memory._turn()
    assert resident_bytes() < before + 20 * MEBIBYTE
    assert len(last) == 100_000
