"""The cluster revisions of a Central Management: counted, chained, and known again after a crash."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from doorward.cluster.revisions import MAX_HEADERS, Content, Header, Kept, Reader, header, secret_digest
from doorward.membership import promote
from doorward.store.port import Record, Store
from doorward.transaction.candidate import Running
from doorward.transaction.secrets import SecretKeeping
from doorward.tree.registry import Tree

_KIND = "cluster_revision"


@dataclass(frozen=True)
class Newest:
    """The newest cluster revision: its header, what it holds, who wrote it and why."""

    header: Header
    content: Content
    author: str
    message: str | None


class Ledger:
    """Counts the revisions. Every method may block; one thread writes."""

    def __init__(self, tree: Tree, store: Store, secrets: SecretKeeping) -> None:
        self._store, self._secrets = store, secrets
        self._reader = Reader(tree, self._digest)
        self._digests: dict[str, str] = {}
        self._writing = threading.Lock()
        self.newest: Newest | None = None

    def note(self, running: Running) -> bool:
        """Take what a Central Management's running configuration says; return whether that is a new cluster revision.

        A crash between a commit and its note is made good by the next one: the note compares what it finds, whoever left it.
        """
        with self._writing:
            content = self._reader.content(running.snapshot)
            self._digests = dict(content.secrets)
            promotion = running.snapshot.read(promote.NODE)
            assert promotion is not None  # noqa: S101 - only Central Management has a ledger
            epoch = promotion.epoch
            digest, last = content.digest(), self._last()
            if last is not None and last[0].epoch == epoch and last[1] == digest:
                if self.newest is not None and self.newest.header == last[0]:
                    return False
                made = last[0]
            else:
                made = self._append(epoch, digest, last[0] if last else None)
            revision = self._store.revision(running.number)
            author = revision.author if revision else ""
            self.newest = Newest(made, content, author, revision.message if revision else None)
            return True

    def _append(self, epoch: int, digest: str, last: Header | None) -> Header:
        number = last.number + 1 if last else 1
        made = header(epoch, number, last.hash if last else "", digest)
        body = {"content": digest, "epoch": epoch, "hash": made.hash, "number": number, "parent": made.parent}
        self._store.put_record(Record(_KIND, f"{epoch}:{number}", body))
        for old in self._store.records(_KIND, offset=MAX_HEADERS):
            self._store.remove_record(_KIND, old.id)
        return made

    def _last(self) -> tuple[Header, str] | None:
        found = self._store.records(_KIND, limit=1)
        return (_header(found[0]), found[0].body["content"]) if found else None

    def headers_after(self, epoch: int, number: int) -> list[Header]:
        """Return the headers behind a revision, oldest first, at most 1,000; none but the newest where it is not known."""
        found: list[Header] = []
        for record in self._store.records(_KIND, limit=MAX_HEADERS):
            one = _header(record)
            if one.at <= (epoch, number):
                break
            found.append(one)
        return found[::-1]

    def secrets(self, content: Content) -> dict[str, Kept]:
        """Return the secrets of a content that are still there."""
        found = {key: self._kept(key) for key in content.secrets}
        return {key: kept for key, kept in found.items() if kept is not None}

    def _kept(self, key: str) -> Kept | None:
        secret = self._store.secret(key)
        text = self._secrets.text(key) if secret else None
        return (secret.form, text) if secret and text is not None else None

    def _digest(self, key: str) -> str | None:
        """Return the digest of a secret. What a key stands for never changes once it is owned."""
        if key not in self._digests:
            kept = self._kept(key)
            if kept is None:
                return None
            self._digests[key] = secret_digest(kept)
        return self._digests[key]


def _header(record: Record) -> Header:
    body = record.body
    return Header(body["epoch"], body["number"], body["hash"], body["parent"])
