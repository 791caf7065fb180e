"""The tally of a node in a database that several write to: each counts what it wrote itself, so that none waits for another.

As in a file (`store.tally`), but the database is in other hands than the key. Nothing there is trusted to say what changed: the
statements tell what they wrote, and what is deleted counts as part of the session that was to go. Rows that a node wrote about
sessions of others are counted by their sessions, for these go when their own node says so.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from doorward.sessions.catalogue.address import CatalogueAddress
from doorward.sessions.catalogue.postgresql.connection import PostgresConnection, storable
from doorward.sessions.catalogue.postgresql.counts import COUNTED, RowCounts, changed, counted
from doorward.sessions.catalogue.postgresql.tally_memory import TallyKey, TallyMemory
from doorward.store.totals import PackedTotals, Total, Totals, add, compared, mark, name_of, packed, unpacked

log = structlog.get_logger()

ALTERED: Final = "The tally of the rows was altered."


class _Stored(Struct, frozen=True):
    """The row of a node."""

    generation: int
    totals: bytes
    others: bytes
    mark: str

    def is_genuine(self, node: str, key: bytes) -> bool:
        return hmac.compare_digest(self.mark.encode(), _marked(node, self.generation, self.totals, self.others, key).encode())

    def is_of(self, key: bytes) -> bool:
        """Whether it says that it was kept under a key."""
        return self.mark.partition(":")[0] == name_of(key)

    def counts(self) -> RowCounts:
        own, numbers = msgspec.msgpack.decode(self.totals, type=tuple[PackedTotals, dict[str, int]])
        return RowCounts(unpacked(own), unpacked(msgspec.msgpack.decode(self.others, type=PackedTotals)), numbers)


class NodeTally:
    """Keeps the tally of what one node writes, over all its connections. In one thread.

    `attach` comes first on each connection, then `settle` ahead of each end of a transaction, `committed` or `undone` after it. A
    tally that somebody altered is left as it is, so that it is found, however much is written.
    """

    def __init__(self, address: CatalogueAddress, node: str, kept: TallyKey) -> None:
        self._node, self._key = node, kept.key
        self._memory = memory_of(address, node, kept)
        self._counts: RowCounts | None = None
        self._generation = 0
        self._changes = RowCounts.of_nothing()
        self._next: RowCounts | None = None

    def attach(self, connection: PostgresConnection) -> None:
        """Go on from what is there, or count what is there for the first time. Raises psycopg.Error."""
        self.undone()
        stored, reached = _stored(connection, self._node), self._memory.generation
        if reached is None and (stored is None or not stored.is_of(self._key)):
            self._begin(connection)
        elif stored is None or not stored.is_genuine(self._node, self._key) or stored.generation < (reached or 0):
            self._counts = None
            log.error("the tally of the sessions was altered")
        else:
            # Transactions that nobody waited for may be lost with the database's machine, their rows as well.
            self._counts, self._generation = stored.counts(), stored.generation
            if reached is None:
                self._memory.reached(stored.generation)

    # What the statements tell

    def note(self, sign: int, table: str, *cells: Any) -> None:
        """Count a row of an own session in (1) or out (-1). ``cells`` as `COUNTED` has them."""
        add(self._changes.own, *changed(self._key, sign, table, cells))

    def note_elsewhere(self, sign: int, table: str, *cells: Any) -> None:
        """Count a row that this node wrote about a session of another one."""
        add(self._changes.others, *changed(self._key, sign, table, cells, str(cells[0])))

    def note_number(self, policy: str, last: int) -> None:
        """Note the last number that this node was given of a policy."""
        self._changes.numbers[storable(policy)] = max(last, self._changes.numbers.get(storable(policy), 0))

    def noted(self) -> RowCounts:
        """Return what the transaction changed so far, to come back to."""
        return self._changes.copy()

    def back_to(self, noted: RowCounts) -> None:
        """Forget what was noted since: a part of the transaction was undone."""
        self._changes = noted

    # The ends of transactions

    def settle(self, connection: PostgresConnection) -> None:
        """Write the tally as the transaction leaves it. Raises psycopg.Error."""
        if self._counts is None or self._changes == RowCounts.of_nothing():
            return
        found = self._counts.plus(self._changes)
        if self._changes.others:
            found = found._replace(others=_without_gone(connection, found.others))
        if _put(connection, self._node, self._generation + 1, found, self._key):
            self._next = found
            return
        self._counts = None
        log.error("the tally of the sessions was taken out")

    def committed(self, *, is_durable: bool) -> None:
        """Go on from what was settled."""
        if self._next is not None:
            self._counts, self._generation = self._next, self._generation + 1
        if is_durable and self._counts is not None and self._memory.generation != self._generation:
            self._memory.reached(self._generation)
        self.undone()

    def undone(self) -> None:
        """Forget what was noted since the last transaction."""
        self._changes, self._next = RowCounts.of_nothing(), None

    def _begin(self, connection: PostgresConnection) -> None:
        connection.execute("BEGIN")
        connection.execute("SET LOCAL statement_timeout = 0")  # once, however many there are
        found = counted(connection, self._node, self._key)
        connection.execute("INSERT INTO tally VALUES (?, 0, '', '', '') ON CONFLICT DO NOTHING", (self._node,))
        _put(connection, self._node, 1, found, self._key)
        connection.execute("COMMIT")
        self._counts, self._generation = found, 1
        self._memory.reached(1)
        if rows := sum(total.rows for total in found.own.values()):
            log.warning("rows of sessions that were never counted are counted from now on", rows=rows)


def check(connection: PostgresConnection, node: str, key: bytes, reached: int | None) -> Iterator[str]:
    """Yield which rows of a node are not those of its tally, a sentence each.

    ``reached``: what the node remembered before this look.
    """
    stored = _stored(connection, node)
    if stored is None or not stored.is_genuine(node, key):
        if reached is None and (stored is None or not stored.is_of(key)):
            yield "The rows were not counted yet; the next start does it."
        else:
            yield ALTERED if stored is not None else "The tally of the rows was taken out."
        return
    if stored.generation < (reached or 0):
        yield f"The tally of the rows is an older one: number {stored.generation}, where this node wrote {reached}."
    expected, found = stored.counts(), counted(connection, node, key)
    for table, (_, noun) in COUNTED.items():
        yield from compared(noun, expected.own.get((table, ""), Total()), found.own.get((table, ""), Total()))
    others = _without_gone(connection, expected.others)
    for at in sorted(others.keys() | found.others.keys()):
        noun = f"downloads of the session with the id {at[1]}, of another node,"
        yield from compared(noun, others.get(at, Total()), found.others.get(at, Total()))
    for policy, last in expected.numbers.items():
        if last > found.numbers.get(policy, 0):
            yield f"The numbers of sessions of the policy {policy} were set back: {found.numbers.get(policy, 0)}, not {last}."
    sql = (
        "SELECT count(*) FROM downloads JOIN sessions ON sessions.id = session"
        " WHERE sessions.node = ? AND downloads.node NOT IN (SELECT node FROM tally)"
    )
    (strangers,) = connection.execute(sql, (node,)).fetchone()
    if strangers:
        yield f"Some downloads of sessions were put in by somebody else: {strangers} of them are of no node."


def memory_of(address: CatalogueAddress, node: str, kept: TallyKey) -> TallyMemory:
    """Return what a node remembers of its tally in a database."""
    given = dict(address.parameters)
    told = msgspec.msgpack.encode([sorted(given.get("host", "").split(",")), given.get("dbname", ""), node])
    return TallyMemory(kept.memory, hashlib.blake2b(told, key=kept.key, digest_size=16, person=b"doorward memory").hexdigest())


def _without_gone(connection: PostgresConnection, others: Totals) -> Totals:
    """Leave out sessions that are gone: that they may be is for the tally of their own node."""
    ids = [int(session) for _, session in others]
    if not ids:
        return others
    found = {str(number) for (number,) in connection.execute("SELECT id FROM sessions WHERE id = ANY (?::bigint[])", (ids,))}
    return {at: total for at, total in others.items() if at[1] in found}


def _stored(connection: PostgresConnection, node: str) -> _Stored | None:
    sql = "SELECT generation, totals, others, mark FROM tally WHERE node = ?"
    found = connection.execute(sql, (node,)).fetchone()
    return None if found is None else _Stored(*found)


def _put(connection: PostgresConnection, node: str, generation: int, counts: RowCounts, key: bytes) -> bool:
    """Write the tally in the place of what is there; whether there is any."""
    totals = msgspec.msgpack.encode((packed(counts.own), counts.numbers))
    others = msgspec.msgpack.encode(packed(counts.others))
    values = (generation, totals, others, _marked(node, generation, totals, others, key), node)
    sql = "UPDATE tally SET generation = ?, totals = ?, others = ?, mark = ? WHERE node = ?"
    return connection.execute(sql, values).rowcount > 0


def _marked(node: str, generation: int, totals: bytes, others: bytes, key: bytes) -> str:
    return mark(msgspec.msgpack.encode((node, generation, totals, others)), key)
