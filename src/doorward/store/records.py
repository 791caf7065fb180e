"""Records: what is durable without being configuration, such as backup runs, mails that wait, and nodes that are trusted.

Each has a checksum. One that does not fit it, or that this release can't read, is left out as if it were not there; the log,
health and ``doorward verify`` tell of it, and the node goes on without it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import structlog

from doorward.store.port import DamagedRecordError, Scalar, StoredRecord
from doorward.tree.jsontext import decode_own, encode

log = structlog.get_logger()

ROW = "CAST(kind AS BLOB), CAST(id AS BLOB), CAST(body AS BLOB), CAST(checksum AS BLOB)"
"""What is read of a record. As bytes: text that is none any more would fail the whole query."""

_PAGE = 50


def checksum(*parts: bytes) -> str:
    """Return the checksum of a record, 16 hex digits. It finds damage, not malice: who can write the file can compute it."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(b"%d " % len(part) + part)
    return digest.hexdigest()


def put_record(connection: sqlite3.Connection, record: StoredRecord) -> None:
    """Add a record, or replace its body; within somebody's transaction."""
    body = encode(record.body)
    values = (record.kind, record.id, body.decode(), checksum(record.kind.encode(), record.id.encode(), body))
    updated = "body = excluded.body, checksum = excluded.checksum"
    sql = f"INSERT INTO records (kind, id, body, checksum) VALUES (?, ?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET {updated}"  # noqa: S608 - constant columns
    connection.execute(sql, values)


def record_of(row: Sequence[Any]) -> StoredRecord:
    """Return the record of a row made of ``ROW``. Raises DamagedRecordError."""
    kind, name, body, stored = row
    try:
        if checksum(kind, name, body).encode() == stored:
            return StoredRecord(kind.decode(), name.decode(), decode_own(body))
    except ValueError:  # damaged before records had checksums
        pass
    raise DamagedRecordError(" ".join(["The record", kind.decode("utf-8", "replace"), name.decode("utf-8", "replace")]))


def filtered(kind: str, where: Mapping[str, Scalar]) -> tuple[str, list[Scalar]]:
    """Return the condition for the records of a kind whose bodies have members of certain values, and its parameters."""
    condition, values = "kind = ?", list[Scalar]([kind])
    for name, value in where.items():
        condition += " AND CASE WHEN json_valid(body) THEN json_extract(body, ?) END IS ?"  # a damaged body is no JSON
        values += [f'$."{name}"', value]
    return condition, values


class HasId(Protocol):
    """What can be kept as a record: a dataclass or a Struct of msgspec with an id of its own."""

    @property
    def id(self) -> str:
        """The id of the record."""


class RecordKeeper(Protocol):
    """What records are kept in; ``Store`` says more."""

    def records(self, kind: str, limit: int = -1, offset: int = 0, where: Mapping[str, Scalar] = ...) -> list[StoredRecord]:
        """Return records of a kind, those made last first."""

    def record(self, kind: str, record_id: str) -> StoredRecord | None:
        """Return one record. Raises DamagedRecordError."""

    def put_record(self, *records: StoredRecord) -> None:
        """Add or replace records in one step."""

    def remove_record(self, kind: str, *record_ids: str) -> None:
        """Forget records in one step."""

    def trim_records(self, kind: str, keep: int) -> None:
        """Forget all records of a kind but those made last."""


T = TypeVar("T", bound=HasId)


class Records(Generic[T]):
    """The records of one kind as values of a class, those made last first. Safe in any thread; everything blocks.

    ``where`` is what members of the values have to be. What was put is on the disk when the call returns.
    """

    def __init__(self, store: RecordKeeper, kind: str, made: type[T]) -> None:
        self._store, self.kind, self._made = store, kind, made
        self._told = set[str]()

    def put(self, *values: T) -> None:
        """Add values in one step; one with a known id replaces that one and keeps its place in the order."""
        self._store.put_record(*(self.record(value) for value in values))

    def get(self, name: str) -> T | None:
        """Return one value; None: there is none, or it is damaged."""
        try:
            found = self._store.record(self.kind, name)
        except DamagedRecordError:
            return None
        return self._read(found) if found is not None else None

    def find(self, limit: int = -1, offset: int = 0, **where: Scalar) -> list[T]:
        """Return a page of the values; a negative limit means all."""
        found = (self._read(record) for record in self._store.records(self.kind, limit, offset, where))
        return [value for value in found if value is not None]

    def each(self, **where: Scalar) -> Iterator[T]:
        """Yield the values as they are asked for."""
        offset = 0
        while page := self._store.records(self.kind, _PAGE, offset, where):
            yield from (value for record in page if (value := self._read(record)) is not None)
            offset += _PAGE

    def remove(self, *names: str) -> None:
        """Forget values in one step, those that there are."""
        self._store.remove_record(self.kind, *names)

    def trim(self, keep: int) -> None:
        """Forget all but the values that were made last, damaged ones as well."""
        self._store.trim_records(self.kind, keep)

    def record(self, value: T) -> StoredRecord:
        """Return the record of a value, for who writes it in one step with a revision."""
        body = msgspec.to_builtins(value)
        return StoredRecord(self.kind, body.pop("id", value.id), body)

    def value(self, record: StoredRecord) -> T:
        """Return the value of a record. Raises ValueError where it is none."""
        if not isinstance(record.body, dict):
            raise TypeError("The body of a record is an object.")
        return msgspec.convert({**record.body, "id": record.id}, self._made)

    def _read(self, record: StoredRecord) -> T | None:
        try:
            return self.value(record)
        except (TypeError, ValueError) as error:
            if record.id not in self._told:
                self._told.add(record.id)
                log.error("a record can't be read", record=f"{record.kind} {record.id}", reason=str(error))
            return None
