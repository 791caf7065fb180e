"""The history in the SQLite store: what was committed, how the configuration was then, and whether it still is all there.

An index by place keeps the past in proportion to what is asked for: what stood somewhere once is one look into it, however many
revisions came before and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import structlog

from doorward.store.anchor import Anchor, HistoryKey, is_signed
from doorward.store.database import Database
from doorward.store.history import check_history, compare
from doorward.store.port import Edit, Revision
from doorward.store.revisions import Proof
from doorward.store.vault import Vault
from doorward.tree.places import Place

log = structlog.get_logger()

_REVISION = "number, author, address, time, message, changes, parent_hash, hash, approvers, emergency"
_KEY = "history_key"
"""The name in ``meta`` of the public key that the revisions are signed with."""
_NEWEST = 1 << 62
_REMEMBERED = 64
"""Signatures that are kept: of more commits than come between one and what follows from it."""


class StoredHistory(Database):
    """A SQLite file with a history. ``vault`` marks it, ``key`` signs it; ``room`` is for ``Database``.

    Opened without a key, as by who only looks at records, it takes revisions without signature: the next start signs them.
    """

    def __init__(self, path: Path, vault: Vault, *, room: bool = True, key: HistoryKey | None = None) -> None:
        self._vault, self._key = vault, key
        self._sign = lru_cache(_REMEMBERED)(partial(_signed, key))
        super().__init__(path, room=room)
        if key is not None and room:
            self._sign_what_is_not(key)

    def _proof(self, revision: Revision) -> Proof:
        """Return what shows later that a revision was written by this node."""
        return Proof(self._vault.mark(revision.hash), self._signature(revision))

    def _signature(self, revision: Revision) -> str:
        """Return the signature of a revision, which is written with the commit and told of a moment later."""
        return self._sign(revision.number, revision.hash, revision.time)

    def _sign_what_is_not(self, key: HistoryKey) -> None:
        """Sign the revisions that this key did not sign: those of earlier releases, and all of them with a new key."""
        known = self._read("SELECT value FROM meta WHERE name = ?", _KEY)
        is_new = not known or known[0][0] != key.public
        which = "true" if is_new else "signature = ''"
        rows = self._read(f"SELECT {_REVISION} FROM revisions WHERE {which}")  # noqa: S608 - constant columns
        if not is_new and not rows:
            return
        if known and is_new:
            log.warning("the history is signed anew: its key is another one")
        signed = [(self._signature(revision), revision.number) for revision in (Revision(*row) for row in rows)]
        self._write(lambda connection: (
            connection.executemany("UPDATE revisions SET signature = ? WHERE number = ?", signed),
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, key.public)),
        ))  # fmt: skip

    # Revisions

    def head(self) -> Revision | None:
        """Return the running revision, None in an empty store."""
        found = self.revisions(limit=1)
        return found[0] if found else None

    def anchor(self, revision: Revision | None = None) -> Anchor | None:
        """Return the signed head, or one revision signed; None where there is none, or this store signs none."""
        head = revision or self.head()
        if head is None or self._key is None:
            return None
        return Anchor(head.number, head.hash, head.time, self._key.public, self._signature(head))

    def revisions(
        self, before: int | None = None, limit: int = 100, paths: Sequence[str] = (), key: str | None = None
    ) -> list[Revision]:
        """Return revisions, newest first; see the port."""
        below = before if before is not None else _NEWEST
        if not paths:
            sql = f"SELECT {_REVISION} FROM revisions WHERE number < ? ORDER BY number DESC LIMIT ?"  # noqa: S608 - constant columns
            return [Revision(*row) for row in self._read(sql, below, limit)]
        where, values = _at(paths, key)
        sql = f"""
            SELECT {_REVISION} FROM revisions WHERE number IN (
              SELECT DISTINCT revision FROM changes WHERE {where} AND revision < ? ORDER BY revision DESC LIMIT ?
            ) ORDER BY number DESC
            """  # noqa: S608 - constant columns
        return [Revision(*row) for row in self._read(sql, *values, below, limit)]

    def revision(self, number: int) -> Revision | None:
        """Return one revision."""
        found = self._read(f"SELECT {_REVISION} FROM revisions WHERE number = ?", number)  # noqa: S608 - constant columns
        return Revision(*found[0]) if found else None

    def revision_at(self, time: str) -> int | None:
        """Return the number of the newest revision that was made by a time, a UTC text; None where there is none."""
        found = self._read("SELECT number FROM revisions WHERE time <= ? ORDER BY number DESC LIMIT 1", time)
        return int(found[0][0]) if found else None

    # What they changed

    def edits(self, number: int) -> list[Edit]:
        """Return what a revision changed, in order."""
        rows = self._read("SELECT path, key, position, old, new FROM changes WHERE revision = ? ORDER BY ordinal", number)
        return [Edit.from_json(row) for row in rows]

    def difference(self, older: int, newer: int) -> list[Edit]:
        """Return what leads from one revision to a later one; see the port."""
        # SQLite takes the other columns from the row that has the least, or the greatest, number.
        columns, where = "SELECT path, key, position,", "FROM changes WHERE revision > ? AND revision <= ? GROUP BY +path, +key"
        olds = self._read(f"{columns} old, min(revision) {where}", older, newer)
        news = self._read(f"{columns} new, max(revision) {where}", older, newer)
        edits = []
        for (path, key, first, old, _), (_, _, last, new, _) in zip(olds, news, strict=True):
            if old != new:
                edits.append(Edit.from_json((path, key, first if new is None else last, old, new)))
        return edits

    def documents_at(self, number: int, paths: Sequence[str] = ()) -> Iterator[tuple[Place, int, bytes]]:
        """Yield place, position and stored body of what stood in a revision; see the port."""
        where, values = _at(paths, None)
        sql = f"""
            SELECT c.path, c.key, c.position, c.new FROM (
              SELECT path, key, max(revision) AS last FROM changes WHERE {where} AND revision <= ? GROUP BY path, key
            ) AS l JOIN changes AS c ON c.path = l.path AND c.key = l.key AND c.revision = l.last WHERE c.new IS NOT NULL
            """  # noqa: S608 - constant columns
        for path, key, position, body in self._read(sql, *values, number):
            yield Place(path, key), position, body.encode()

    def changes_of(self, place: Place, upto: int, limit: int) -> list[tuple[Revision, Edit]]:
        """Return the newest changes of a place; see the port."""
        columns = ", ".join(f"r.{name.strip()}" for name in _REVISION.split(","))
        sql = f"""
            SELECT {columns}, c.path, c.key, c.position, c.old, c.new
            FROM changes AS c JOIN revisions AS r ON r.number = c.revision
            WHERE c.path = ? AND c.key = ? AND c.revision <= ? ORDER BY c.revision DESC LIMIT ?
            """  # noqa: S608 - constant columns
        return [(Revision(*row[:-5]), Edit.from_json(row[-5:])) for row in self._read(sql, *place, upto, limit)]

    def past(self, place: Place) -> list[bytes]:
        """Return the stored bodies that a place had in any revision, newest first."""
        sql = "SELECT new FROM changes WHERE path = ? AND key = ? AND new IS NOT NULL ORDER BY revision DESC"
        return [row[0].encode() for row in self._read(sql, *place)]

    def committer(self, place: Place) -> str | None:
        """Return the key of the account that committed the present body of a place; see the port."""
        sql = "SELECT revision, new FROM changes WHERE path = ? AND key = ? ORDER BY revision DESC LIMIT 1"
        found = self._read(sql, *place)
        if not found or found[0][1] is None:
            return None
        sql = "SELECT account FROM commits JOIN revisions ON revision = number AND user = author WHERE revision = ? LIMIT 1"
        record = self._read(sql, found[0][0])
        return (record[0][0] or None) if record else None

    # Proofs

    def documents(self) -> Iterator[tuple[Place, int, bytes]]:
        """Yield place, position and stored body of every document of the running revision."""
        for path, key, position, body in self._read("SELECT path, key, position, body FROM documents"):
            yield Place(path, key), position, body.encode()

    def check_running(self) -> list[str]:
        """Return which running documents are not the last of their place in the history."""
        # SQLite takes the other columns from the row that has the greatest number.
        rows = self._read("SELECT path, key, position, new, max(revision) FROM changes GROUP BY path, key")
        expected = {Place(path, key): (position, new.encode()) for path, key, position, new, _ in rows if new is not None}
        return list(compare(expected, {place: (position, body) for place, position, body in self.documents()}))

    def check(self) -> list[str]:
        """Return what is wrong with the file and the history: any edit, removal or reordering. Empty: nothing."""
        torn = [row[0] for row in self._read("PRAGMA integrity_check(10)") if row[0] != "ok"]
        if torn:
            return [f"{self._path} is damaged: {' '.join(text.split())}." for text in torn]
        marks = dict(self._read("SELECT number, mark FROM revisions"))
        numbers = [row[0] for row in self._read("SELECT number FROM revisions ORDER BY number")]
        strays = self._read("SELECT DISTINCT revision FROM changes WHERE revision NOT IN (SELECT number FROM revisions)")
        findings = [f"Changes of revision {row[0]} exist without the revision." for row in strays]
        sql = "SELECT revision FROM changes GROUP BY revision HAVING min(ordinal) <> 0 OR max(ordinal) <> count(*) - 1"
        findings += [f"The changes of revision {row[0]} are not numbered one after another." for row in self._read(sql)]
        history = ((self.revision(number), self.edits(number), marks[number]) for number in numbers)
        return findings + check_history(history, self.documents(), self._vault) + self._check_signatures()

    def _check_signatures(self) -> list[str]:
        """Return which revisions are not signed with the key of the history, where they are signed at all."""
        known = self._read("SELECT value FROM meta WHERE name = ?", _KEY)
        if not known or self._key is None:
            return []
        if known[0][0] != self._key.public:
            return ["The history is signed with another key than the one in history-key.pem."]
        rows = self._read("SELECT number, hash, time, signature FROM revisions ORDER BY number")
        public = self._key.public
        return [f"The signature of revision {row[0]} does not fit." for row in rows if not is_signed(public, *row)]

    def check_anchor(self, anchor: Anchor) -> list[str]:
        """Return why the history is not one that goes on from an anchor, a sentence each; the chain itself is for ``check``."""
        name = f"revision {anchor.number}"
        if not anchor.is_genuine:
            return [f"The anchor of {name} was altered: its signature does not fit."]
        head, there = self.head(), self.revision(anchor.number)
        if there is None:
            newest = head.number if head else 0
            return [f"The history was cut off: the anchor names {name}, and the newest one is revision {newest}."]
        if (there.hash, there.time) != (anchor.hash, anchor.time):
            return [f"The history was rewritten: {name} is not the one that the anchor names."]
        return []


def _signed(key: HistoryKey | None, number: int, digest: str, time: str) -> str:
    """Return the signature of a revision, "" without a key."""
    return key.sign(number, digest, time) if key is not None else ""


def _at(paths: Sequence[str], key: str | None) -> tuple[str, list[str]]:
    """Return the condition for changes at some paths, all of them where there are none, and its parameters."""
    if not paths:
        return "true", []
    where = f"path IN ({', '.join('?' * len(paths))})"
    return (where, [*paths]) if key is None else (f"{where} AND key = ?", [*paths, key])
