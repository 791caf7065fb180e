"""Memory that is not needed any more goes back to the machine."""

from __future__ import annotations

import subprocess
import sys

MEBIBYTE = 1 << 20

# Each in a fresh interpreter: the heap of one that ran other tests has holes, which new objects take without growth.
LEFT_BEHIND = """
from doorward.appliance.memory import Memory
from doorward.areas.resident import resident_bytes

memory = Memory()
print(resident_bytes())
pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
last = bytearray(b"x" * 100_000)  # above them in the heap, which can't shrink while it is there
print(resident_bytes())
print(*[int(memory._turn()) for _ in range(4)])
del pieces[:]
memory._turn()
print(resident_bytes())
print(memory._turn(), len(last))
"""

NEEDED = """
from doorward.appliance.memory import Memory

memory = Memory()
pieces = [bytearray(b"x" * 100_000) for _ in range(1_000)]
waits = [int(memory._turn()) for _ in range(31)]
print(waits[0], *waits[-3:], len(pieces))
"""

STARTED = """
import gc
import weakref
from doorward.appliance.memory import Memory

class Left: pass

gc.disable()
memory, left = Memory(), Left()
left.itself = left
there = weakref.ref(left)
del left
gc.freeze()
gc.enable()
gc.collect()
print(there() is None)
print(memory._take_turn(), there() is None, gc.get_freeze_count() > 0)
"""

CROWDED = """
from doorward.appliance.memory import Memory
from doorward.areas.resident import resident_bytes

class Held: pass

memory = Memory()
print(resident_bytes())
held = [Held() for _ in range(1_000)]
for one in held:
    one.itself, one.body = one, bytearray(b"x" * 100_000)
memory._take_turn()
del held, one
memory._take_turn()
print(resident_bytes())
"""


def test_what_work_left_behind_is_given_back_also_where_it_was_at_work_at_the_first_look() -> None:
    before, held, waits, after, last = printed(LEFT_BEHIND)
    assert int(held) > int(before) + 80 * MEBIBYTE
    assert waits == "10 20 40 40"
    assert int(after) < int(before) + 20 * MEBIBYTE
    assert last == "5.0 100000"


def test_what_is_needed_for_long_is_looked_for_no_more() -> None:
    assert printed(NEEDED) == ["10 40 5 5 1000"]


def test_what_a_start_left_behind_is_given_back_soon_after_it() -> None:
    assert printed(STARTED) == ["False", "5.0 True True"]


def test_what_a_crowd_held_while_a_start_settled_is_given_back_after_it() -> None:
    before, after = printed(CROWDED)
    assert int(after) < int(before) + 20 * MEBIBYTE


def printed(script: str) -> list[str]:
    """The lines that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
