"""Memory that is not needed any more goes back to the machine."""

from __future__ import annotations

from doorward.appliance.memory import Memory
from doorward.areas.resident import resident_bytes

MEBIBYTE = 1 << 20


def test_what_work_left_behind_is_given_back_also_where_it_was_at_work_at_the_first_look() -> None:
    memory = Memory()
    before = resident_bytes()
    pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
    last = bytearray(b"x" * 100_000)  # above them in the heap, which can't shrink while it is there
    assert resident_bytes() > before + 80 * MEBIBYTE
    waits = [memory._turn() for _ in range(4)]
    assert waits == [10, 20, 40, 40]
    del pieces[:]
    memory._turn()
    assert resident_bytes() < before + 20 * MEBIBYTE
    assert memory._turn() == 5
    assert len(last) == 100_000


def test_what_is_needed_for_long_is_looked_for_no_more() -> None:
    memory = Memory()
    pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
    assert [memory._turn() for _ in range(30)][-1] == 5
    assert memory._turn() == 5
    assert len(pieces) == 1_000
