"""How many rows of a sort there are, and the sum of their keyed hashes: what tallies are made of. Pure.

The sum is one of keyed hashes, modulo 2^256: a change of a row costs its own two hashes, however many rows there are (Bellare and
Micciancio, "A New Paradigm for Collision-Free Hashing", 1997; hashes that nobody else can compute rule out their combination).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

SUM_BYTES: Final = 32
"""Size of a sum, and of the mark of a tally."""
_MODULUS = 1 << (8 * SUM_BYTES)

PackedTotals = list[tuple[str, str, int, bytes]]
"""Totals as they are kept: table, sort, rows, sum."""


class Total(NamedTuple):
    """How many rows, and the sum of their hashes."""

    rows: int = 0
    sum: int = 0

    def plus(self, other: Total) -> Total:
        """Return both together."""
        return Total(self.rows + other.rows, (self.sum + other.sum) % _MODULUS)

    @property
    def negative(self) -> Total:
        """What takes it away again."""
        return Total(-self.rows, -self.sum)


Totals = dict[tuple[str, str], Total]
"""By table and sort."""


def of_row(key: bytes, table: str, sort: bytes, cells: Sequence[bytes | None]) -> tuple[tuple[str, str], Total]:
    """Return where a row is counted, and what it counts."""
    digest = hashlib.blake2b(key=key, digest_size=SUM_BYTES, person=b"doorward row")
    for cell in (table.encode(), sort, *cells):
        digest.update(b"-" if cell is None else b"%d " % len(cell) + cell)
    return (table, sort.decode("utf-8", "replace")), Total(1, int.from_bytes(digest.digest()))


def add(totals: Totals, at: tuple[str, str], change: Total) -> None:
    """Count a change in."""
    totals[at] = totals.get(at, Total()).plus(change)


def packed(totals: Mapping[tuple[str, str], Total]) -> PackedTotals:
    """Return totals as they are kept, in order; those of nothing are left out."""
    return [(*at, total.rows, total.sum.to_bytes(SUM_BYTES)) for at, total in sorted(totals.items()) if total != Total()]


def unpacked(rows: PackedTotals) -> Totals:
    """Return the totals that were kept."""
    return {(table, sort): Total(count, int.from_bytes(total)) for table, sort, count, total in rows}


def compared(noun: str, expected: Total, found: Total) -> Iterator[str]:
    """Yield what is wrong where rows are not those that were counted, in a sentence."""
    if found.rows != expected.rows:
        what = "taken out" if found.rows < expected.rows else "put in"
        yield f"Some {noun} were {what} by somebody else: there are {found.rows}, not {expected.rows}."
    elif found.sum != expected.sum:
        yield f"The {noun} are not those that were written, or not in their order."


def name_of(key: bytes) -> str:
    """Return what tells the key of a tally from others, and nothing else of it."""
    return hashlib.blake2b(key=key, digest_size=8, person=b"doorward key").hexdigest()


def mark(data: bytes, key: bytes) -> str:
    """Return the mark that only the holder of the key can make of a tally."""
    return f"{name_of(key)}:" + hashlib.blake2b(data, key=key, digest_size=SUM_BYTES, person=b"doorward tally").hexdigest()
