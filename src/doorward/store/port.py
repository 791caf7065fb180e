"""What the rest of Doorward asks of a store. Keep it small: an adapter needs a compare-and-swap on the head and an append."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct, field

from doorward.store.anchor import Anchor
from doorward.tree.jsontext import decode_own, encode
from doorward.tree.places import Place

State = Literal[
    "queued", "validating", "applying", "verifying", "done", "awaiting_confirmation", "revert_failed", "reverted", "failed",
    "unknown", "proposed",
]  # fmt: skip
"""The states of a commit record (protocol, section 13).

``revert_failed``: nobody confirmed it in time, and the host refuses to go back. ``proposed``: it waits for somebody's approval.
"""


SEALED_FILE = "restored_file"
SEALED_PROPOSAL = "proposal_secrets"
SEALED = (SEALED_FILE, SEALED_PROPOSAL)
"""The kinds of records whose member ``sealed`` is a text sealed under their id, in base64. A new data key seals it anew."""


Scalar = str | int | float | bool | None
"""What a member of a record can be looked for by."""


class StaleHeadError(Exception):
    """Somebody else published a revision meanwhile; nothing was written."""


class StoreDamagedError(Exception):
    """The file is no store of ours, or was made by another release. The text says what is wrong."""


class DamagedRecordError(StoreDamagedError):
    """A record is not what was written. ``name`` says which: "The record mail 12"."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is damaged.")
        self.name = name


class Edit(Struct, frozen=True):
    """One document that a revision changes. ``old`` and ``new`` are stored bodies, None where there is none."""

    place: Place
    old: bytes | None
    new: bytes | None
    position: int = 0

    def as_json(self) -> list[Any]:
        """Return the edit as a JSON value for hashing and for the journal."""
        old, new = self.old, self.new
        return [*self.place, self.position, old if old is None else old.decode(), new if new is None else new.decode()]

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> Edit:
        """Return the edit of a JSON value made by ``as_json``."""
        path, key, position, old, new = row
        return cls(Place(path, key), _bytes(old), _bytes(new), position)


def _bytes(body: str | None) -> bytes | None:
    return None if body is None else body.encode()


class Revision(Struct, frozen=True):
    """A committed configuration. ``time`` is UTC (``2026-11-21T10:00:00Z``); ``parent`` 0 and "" stand for none.

    ``approvers`` are the names of those who accepted it, separated by blanks; ``emergency`` 1: it needed their approval, and went
    without.
    """

    number: int
    author: str
    address: str
    time: str
    message: str | None
    changes: int
    parent_hash: str = ""
    hash: str = ""
    approvers: str = ""
    emergency: int = 0

    def hashed(self, edits: Sequence[Edit]) -> str:
        """Return the SHA-256, in hex, of everything in the revision and of its parent's hash."""
        content = {
            "address": self.address,
            "author": self.author,
            "changes": [edit.as_json() for edit in edits],
            "count": self.changes,
            "message": self.message,
            "number": self.number,
            "parent": self.parent_hash,
            "time": self.time,
            **self.approval,
        }
        return hashlib.sha256(encode(content)).hexdigest()

    @property
    def approval(self) -> dict[str, Any]:
        """How it came past the approval of changes, as members of a JSON object; none of what took no approval."""
        found: dict[str, Any] = {"approvers": self.approvers.split(" ")} if self.approvers else {}
        return found | ({"emergency": self.emergency == 1 or self.emergency} if self.emergency else {})


class Past(Struct, frozen=True):
    """A whole history from elsewhere that takes the place of a store's own.

    ``head`` is its newest revision, ``documents`` what it leads to: position and stored body by place. ``revisions`` yields all
    of it with its edits, oldest first, each time anew.
    """

    head: Revision
    documents: Mapping[Place, tuple[int, bytes]]
    revisions: Callable[[], Iterator[tuple[Revision, list[Edit]]]]


class CommitRecord(Struct, frozen=True):
    """The record of one commit. Times are UTC texts.

    ``account`` is the key of the account whose commit it is, "" for one that the appliance made; ``user`` its name at that time.
    ``request`` is a hash of the body that came with an Idempotency-Key, ``results`` what became of each change of that body.
    """

    id: str
    user: str
    started: str
    state: State = "queued"
    finished: str | None = None
    revision: int | None = None
    error: dict[str, Any] | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    idempotency_key: str | None = None
    request: str | None = None
    account: str = ""
    results: list[dict[str, Any]] | None = None


class Confirmation(Struct, frozen=True):
    """A commit that goes back by itself unless its user confirms it.

    ``seconds`` are left from ``moment`` on, a monotonic time of the machine's boot ``boot``. ``deadline`` (Unix time) is for who
    was not there: for another boot. ``failure``: why it could not be taken back, None until that was tried.
    """

    commit_id: str
    user: str
    revision: int
    deadline: float
    seconds: float
    boot: str = ""
    moment: float = 0.0
    failure: str | None = None


class Secret(Struct, frozen=True):
    """A secret as it is kept: ``form`` is ``plain``, ``sealed`` or ``hash``; ``sealed`` the encrypted text."""

    key: str
    form: str
    sealed: bytes

    @property
    def name(self) -> str:
        """The name that the text is sealed under."""
        return f"{self.key}:{self.form}"


class StoredRecord(Struct, frozen=True):
    """Something durable that is no configuration, such as a backup run: a JSON value under a kind and an id.

    ``Records`` makes values of a class of it.
    """

    kind: str
    id: str
    body: Any


class Intent(Struct, frozen=True):
    """What the journal holds while a commit touches the host: its record and the documents it is about to change."""

    commit_id: str
    edits: tuple[Edit, ...]

    def encoded(self) -> bytes:
        """Return the intent as bytes."""
        return encode({"edits": [edit.as_json() for edit in self.edits], "ticket": self.commit_id})

    @classmethod
    def decoded(cls, data: bytes) -> Intent:
        """Return the intent of bytes made by ``encoded``. Raises StoreDamagedError."""
        try:
            value = decode_own(data)
            return cls(value["ticket"], tuple(Edit.from_json(row) for row in value["edits"]))
        except (msgspec.DecodeError, LookupError, TypeError, ValueError) as error:
            raise StoreDamagedError("The journal of the commit that was going on was altered.") from error


class Store(Protocol):
    """A store. Writing methods return when the data is on the disk; all methods may block and are safe in any thread."""

    record_writes: int
    """How often records were written since it was opened, for whoever wants to know whether there are new ones."""

    failed: list[Callable[[str], None]]
    """Called, in the thread that asked, with the reason of every read or write that the disk or the file refused."""

    def head(self) -> Revision | None:
        """Return the running revision, None in an empty store."""

    def documents(self) -> Iterator[tuple[Place, int, bytes]]:
        """Yield place, position and stored body of every document of the running revision."""

    def begin(self, intent: Intent, commit_record: CommitRecord) -> None:
        """Write the journal and the commit record, before anything on the host is touched."""

    def intent(self) -> Intent | None:
        """Return the unfinished journal entry, if there is one."""

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
        """Make a revision the running one, in one step with its edits, secrets and records.

        With ``past`` it follows that history, which takes the place of the store's own in the same step: the edits begin at what
        it leads to, and secrets that appear in neither go.

        With a record it is a commit: the record is written, the journal closed, and a commit that awaits its confirmation
        is taken back by it.
        Fills in both hashes and returns the revision as stored. Raises StaleHeadError when its number is not the next one.
        """

    def close_journal(self, commit_record: CommitRecord | None = None) -> None:
        """Forget the journal entry and update the commit record, in one step."""

    def anchor(self, revision: Revision | None = None) -> Anchor | None:
        """Return the signed head; None where there is no revision, or none that this store signs."""

    def revisions(
        self, before: int | None = None, limit: int = 100, paths: Sequence[str] = (), key: str | None = None
    ) -> list[Revision]:
        """Return revisions, newest first, below number ``before``.

        With ``paths`` only those that changed something at one of these paths, or with ``key`` the document with that key there.
        """

    def revision_at(self, time: str) -> int | None:
        """Return the number of the newest revision that was made by a time, a UTC text; None where there is none."""

    def revision(self, number: int) -> Revision | None:
        """Return one revision."""

    def edits(self, number: int) -> list[Edit]:
        """Return what a revision changed, in order."""

    def past(self, place: Place) -> list[bytes]:
        """Return the stored bodies that a place had in any revision, newest first."""

    def committer(self, place: Place) -> str | None:
        """Return the key of the account that committed the present body of a place.

        None where nothing stands there, where the appliance did it itself, or where the commit is too long ago to have a record.
        """

    def difference(self, older: int, newer: int) -> list[Edit]:
        """Return what leads from one revision to a later one, an edit for each place that differs, sorted by place."""

    def documents_at(self, number: int, paths: Sequence[str] = ()) -> Iterator[tuple[Place, int, bytes]]:
        """Yield place, position and stored body of what stood in a revision, at some paths or everywhere."""

    def changes_of(self, place: Place, upto: int, limit: int) -> list[tuple[Revision, Edit]]:
        """Return the last changes of a place up to a revision, newest first, ``limit`` of them at most."""

    def commit_record(self, id_or_key: str, account: str | None = None) -> CommitRecord | None:
        """Return a commit record by id, or by the Idempotency-Key of an account, given by key; the one made last, if several."""

    def commit_records(self, limit: int = 100) -> list[CommitRecord]:
        """Return commit records, those made last first, whatever the clock said."""

    def save_commit_record(self, commit_record: CommitRecord, records: Sequence[StoredRecord] = ()) -> None:
        """Write a commit record that changes no configuration, and other records with it, in one step."""

    def forget_commit_records(self, before: str) -> None:
        """Forget the Idempotency-Keys of records that started before a time."""

    def confirmation(self) -> Confirmation | None:
        """Return the commit that awaits confirmation, if there is one."""

    def confirmed(self, commit_record: CommitRecord) -> None:
        """Confirm the commit that awaits it."""

    def await_confirmation(self, confirmation: Confirmation, commit_record: CommitRecord | None = None) -> None:
        """Replace what is known of the commit that awaits confirmation, and its record, in one step."""

    def secret(self, key: str) -> Secret | None:
        """Return a secret as it is kept."""

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret as it is kept."""

    def forget_secret(self, key: str) -> None:
        """Destroy a secret that must not be had again, not even by going back to an earlier revision."""

    def records(
        self, kind: str, limit: int = -1, offset: int = 0, where: Mapping[str, Scalar] = MappingProxyType({})
    ) -> list[StoredRecord]:
        """Return the records of a kind, those made last first; a negative limit means all. Damaged ones are left out.

        ``where`` says what members of their bodies have to be.
        """

    def record(self, kind: str, record_id: str) -> StoredRecord | None:
        """Return one record. Raises DamagedRecordError."""

    def put_record(self, *records: StoredRecord) -> None:
        """Add records in one step; one of the same kind and id is replaced and keeps its place in the order."""

    def remove_record(self, kind: str, *record_ids: str) -> None:
        """Forget records in one step."""

    def trim_records(self, kind: str, keep: int) -> None:
        """Forget all records of a kind but so many that were made last."""

    def check_records(self) -> list[str]:
        """Return which records and commit records are damaged, a sentence each."""

    def check_tally(self) -> list[str]:
        """Return of which records, commit records and secrets some were taken out, put in, exchanged or moved."""

    def check(self) -> list[str]:
        """Return what is wrong with the file and the history: any edit, removal or reordering. Empty: nothing."""

    def check_running(self) -> list[str]:
        """Return which running documents are not the last of their place in the history: a part of ``check`` that is cheap."""

    def close(self) -> None:
        """Close the store. Nothing may be asked of it afterwards."""
