"""The SQLite adapter of the store."""

from __future__ import annotations

import base64
import hmac
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import structlog
from msgspec.structs import replace

from doorward.store.anchor import HistoryKey
from doorward.store.commits import (
    CONFIRMATION,
    commit_record_of,
    forget_keys,
    mark_reverted,
    put_commit_record,
    put_confirmation,
)
from doorward.store.commits import ROW as COMMIT
from doorward.store.database import reason
from doorward.store.port import (
    SEALED,
    CommitRecord,
    Confirmation,
    DamagedRecordError,
    Edit,
    Intent,
    Past,
    Revision,
    Scalar,
    Secret,
    StaleHeadError,
    StoreDamagedError,
    StoredRecord,
)
from doorward.store.records import ROW, filtered, put_record, record_of
from doorward.store.revisions import put_revision, take_over
from doorward.store.stored_history import StoredHistory
from doorward.store.tally import Counted, Tally, check
from doorward.store.vault import Vault

log = structlog.get_logger()

_MAX_COMMIT_RECORDS = 100_000
_NO_JOURNAL, _NO_CONFIRMATION = "DELETE FROM journal WHERE only = 1", "DELETE FROM confirmation WHERE only = 1"
"""With a condition: SQLite writes the page of a table that is emptied as a whole, also where it was empty before."""
_CHECKED_AT_ONCE = 1_000
_PURPOSE = b"doorward tally"
COUNTED = (
    Counted("commits", ("rowid", "id", "checksum"), "commit records"),
    Counted("confirmation", tuple(name.strip() for name in CONFIRMATION.split(",")), "commits that await confirmation"),
    Counted("journal", ("intent",), "entries of the journal"),
    Counted("records", ("number", "id", "checksum"), "records of the kind", sort="kind"),
    Counted("secrets", ("key", "form", "sealed"), "secrets"),
)
"""What is durable without being part of the chain of the history."""


class SqliteStore(StoredHistory):
    """A store in one SQLite file; made if it does not exist. The rest is said by ``StoredHistory``."""

    def __init__(self, path: Path, vault: Vault, *, room: bool = True, key: HistoryKey | None = None) -> None:
        self._told = set[str]()
        self.record_writes = 0
        super().__init__(path, vault, room=room, key=key)
        if room:
            try:
                self._tally = Tally(self._writer, COUNTED, vault.derived(_PURPOSE))
            except sqlite3.DatabaseError as error:
                self.close()
                raise StoreDamagedError(f"{path} can't be opened: {reason(error)}.") from error

    # Running revision and journal

    def begin(self, intent: Intent, commit_record: CommitRecord) -> None:
        """Write the journal and the commit record, before anything on the host is touched."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO journal VALUES (1, ?)", (intent.encoded(),))
            put_commit_record(connection, commit_record)

        self._write(work)

    def intent(self) -> Intent | None:
        """Return the unfinished journal entry, if there is one."""
        found = self._read("SELECT intent FROM journal")
        return Intent.decoded(found[0][0]) if found else None

    def publish(  # noqa: PLR0913 - what has to happen in one step
        self,
        revision: Revision,
        edits: Sequence[Edit],
        commit_record: CommitRecord | None = None,
        secrets: Sequence[Secret] = (),
        confirmation: Confirmation | None = None,
        records: Sequence[StoredRecord] = (),
        *,
        past: Past | None = None,
    ) -> Revision:
        """Make a revision the running one; see the port."""

        def work(connection: sqlite3.Connection) -> Revision:
            if past is not None:
                take_over(connection, past, edits, self._proof)
            head = connection.execute("SELECT number, hash FROM revisions ORDER BY number DESC LIMIT 1").fetchone() or (
                0,
                "",
            )
            if revision.number != head[0] + 1:
                raise StaleHeadError(f"Revision {head[0]} is running; {revision.number} can't follow it.")
            chained = replace(revision, parent_hash=head[1])
            chained = replace(chained, hash=chained.hashed(edits))
            put_revision(connection, chained, self._proof(chained), edits)
            connection.executemany(
                "INSERT OR REPLACE INTO secrets VALUES (?, ?, ?)", [(s.key, s.form, s.sealed) for s in secrets]
            )
            if commit_record:
                connection.execute(_NO_JOURNAL)
                # The only commit that is let through while another one awaits its confirmation takes that one back.
                mark_reverted(connection)
                connection.execute(_NO_CONFIRMATION)
                put_commit_record(connection, commit_record)
            if confirmation:
                put_confirmation(connection, confirmation)
            for record in records:
                put_record(connection, record)
            return chained

        published = self._write(work)
        self.record_writes += bool(records)
        return published

    def close_journal(self, commit_record: CommitRecord | None = None) -> None:
        """Forget the journal entry and update the commit record, in one step."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_NO_JOURNAL)
            if commit_record:
                put_commit_record(connection, commit_record)

        self._write(work)

    # Commit records

    def commit_record(self, id_or_key: str, account: str | None = None) -> CommitRecord | None:
        """Return a commit record by id, or by the Idempotency-Key of an account, given by key; the one made last, if several."""
        where = "id = ? OR (idempotency_key = ? AND account = ?) ORDER BY rowid DESC LIMIT 1"
        found = self._commit_records(where, id_or_key, id_or_key, account)
        return found[0] if found else None

    def commit_records(self, limit: int = 100) -> list[CommitRecord]:
        """Return commit records, those made last first, whatever the clock said."""
        return self._commit_records("true ORDER BY rowid DESC LIMIT ?", limit)

    def _commit_records(self, where: str, *values: Scalar) -> list[CommitRecord]:
        """Return the commit records that meet a condition; damaged ones are left out."""
        found = []
        for row in self._read(f"SELECT {COMMIT} FROM commits WHERE {where}", *values):  # noqa: S608 - constant columns
            try:
                found.append(commit_record_of(row))
            except DamagedRecordError as error:
                self._tell(error)
        return found

    def save_commit_record(self, commit_record: CommitRecord, records: Sequence[StoredRecord] = ()) -> None:
        """Write a commit record that changes no configuration, and other records with it, in one step."""

        def work(connection: sqlite3.Connection) -> None:
            put_commit_record(connection, commit_record)
            for record in records:
                put_record(connection, record)

        self._write(work)
        self.record_writes += bool(records)

    def forget_commit_records(self, before: str) -> None:
        """Forget the Idempotency-Keys of records that started before a time, and all but the newest 100,000 records."""

        def work(connection: sqlite3.Connection) -> None:
            forget_keys(connection, before)
            connection.execute("DELETE FROM commits WHERE rowid <= (SELECT max(rowid) FROM commits) - ?", (_MAX_COMMIT_RECORDS,))

        self._write(work)

    def confirmation(self) -> Confirmation | None:
        """Return the commit that awaits confirmation, if there is one."""
        found = self._read(f"SELECT {CONFIRMATION} FROM confirmation")  # noqa: S608 - constant columns
        return Confirmation(*found[0]) if found else None

    def confirmed(self, commit_record: CommitRecord) -> None:
        """Confirm the commit that awaits it."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(_NO_CONFIRMATION)
            put_commit_record(connection, commit_record)

        self._write(work)

    def await_confirmation(self, confirmation: Confirmation, commit_record: CommitRecord | None = None) -> None:
        """Replace what is known of the commit that awaits confirmation, and its record, in one step."""
        self._write(lambda connection: put_confirmation(connection, confirmation, commit_record))

    # Secrets

    def secret(self, key: str) -> Secret | None:
        """Return a secret as it is kept."""
        found = self._read("SELECT key, form, sealed FROM secrets WHERE key = ?", key)
        return Secret(*found[0]) if found else None

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret as it is kept."""
        for row in self._read("SELECT key, form, sealed FROM secrets"):
            yield Secret(*row)

    def forget_secret(self, key: str) -> None:
        """Destroy a secret; its row is overwritten, not only unlinked."""
        self._write(lambda connection: connection.execute("DELETE FROM secrets WHERE key = ?", (key,)))

    # The data key

    def marked(self) -> bool:
        """Whether the newest revision bears the mark of this store's vault, that is, whether the data key is the right one."""
        found = self._read("SELECT hash, mark FROM revisions ORDER BY number DESC LIMIT 1")
        return bool(found) and hmac.compare_digest(self._vault.mark(found[0][0]), found[0][1])

    def reseal(self, vault: Vault) -> tuple[int, int]:
        """Seal every secret and mark every revision with another vault, in one step. Returns how many secrets and revisions.

        Raises VaultError where a secret can't be opened; then nothing was changed.
        """

        def work(connection: sqlite3.Connection) -> tuple[int, int]:
            kept = [Secret(*row) for row in connection.execute("SELECT key, form, sealed FROM secrets")]
            sealed = [(vault.seal(s.name, self._vault.open(s.name, s.sealed)), s.key) for s in kept]
            connection.executemany("UPDATE secrets SET sealed = ? WHERE key = ?", sealed)
            for record in [record for kind in SEALED for record in self.records(kind)]:
                text = self._vault.open(record.id, base64.b64decode(record.body["sealed"]))
                again = base64.b64encode(vault.seal(record.id, text)).decode()
                put_record(connection, StoredRecord(record.kind, record.id, {"sealed": again}))
            marks = [(vault.mark(digest), number) for number, digest in connection.execute("SELECT number, hash FROM revisions")]
            connection.executemany("UPDATE revisions SET mark = ? WHERE number = ?", marks)
            if self._tally is not None:
                self._tally.anew(vault.derived(_PURPOSE))
            return len(sealed), len(marks)

        done = self._write(work)
        self._vault = vault
        return done

    # Records

    def records(
        self, kind: str, limit: int = -1, offset: int = 0, where: Mapping[str, Scalar] = MappingProxyType({})
    ) -> list[StoredRecord]:
        """Return the records of a kind, those made last first; see the port."""
        condition, values = filtered(kind, where)
        sql = f"SELECT {ROW} FROM records WHERE {condition} ORDER BY number DESC LIMIT ? OFFSET ?"  # noqa: S608 - constant columns
        found = []
        for row in self._read(sql, *values, limit, offset):
            try:
                found.append(record_of(row))
            except DamagedRecordError as error:
                self._tell(error)
        return found

    def record(self, kind: str, record_id: str) -> StoredRecord | None:
        """Return one record. Raises DamagedRecordError."""
        found = self._read(f"SELECT {ROW} FROM records WHERE kind = ? AND id = ?", kind, record_id)  # noqa: S608 - constant columns
        try:
            return record_of(found[0]) if found else None
        except DamagedRecordError as error:
            self._tell(error)
            raise

    def _tell(self, error: DamagedRecordError) -> None:
        """Say once that a record is damaged."""
        if error.name not in self._told:
            self._told.add(error.name)
            log.error("a record is damaged", record=error.name)

    def put_record(self, *records: StoredRecord) -> None:
        """Add records in one step; one of the same kind and id is replaced and keeps its place in the order."""

        def work(connection: sqlite3.Connection) -> None:
            for record in records:
                put_record(connection, record)

        self._write(work)
        self.record_writes += 1

    def remove_record(self, kind: str, *record_ids: str) -> None:
        """Forget records in one step."""
        rows = [(kind, name) for name in record_ids]
        self._write(lambda connection: connection.executemany("DELETE FROM records WHERE kind = ? AND id = ?", rows))
        self.record_writes += 1

    def trim_records(self, kind: str, keep: int) -> None:
        """Forget all records of a kind but so many that were made last."""
        last = self._read("SELECT number FROM records WHERE kind = ? ORDER BY number DESC LIMIT 1 OFFSET ?", kind, keep)
        if last:
            sql = "DELETE FROM records WHERE kind = ? AND number <= ?"
            self._write(lambda connection: connection.execute(sql, (kind, last[0][0])))

    def check_records(self) -> list[str]:
        """Return which records and commit records are damaged, a sentence each."""
        found = []
        for table, row_of, made in (("records", ROW, record_of), ("commits", COMMIT, commit_record_of)):
            sql = f"SELECT rowid, {row_of} FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?"  # noqa: S608 - constant columns
            number = -1
            while rows := self._read(sql, number, _CHECKED_AT_ONCE):
                number = rows[-1][0]
                for row in rows:
                    try:
                        made(row[1:])
                    except DamagedRecordError as error:
                        found.append(f"{error.name} is damaged and left out.")
        return found

    def check_tally(self) -> list[str]:
        """Return where rows were taken out, put in, exchanged or moved; see the port."""
        return self._read_with(lambda connection: list(check(connection, COUNTED, self._vault.derived(_PURPOSE))))
