"""The cluster revisions of a Central Management: counted, chained, and known again after a crash."""

from __future__ import annotations

import threading

import msgspec
from msgspec import Struct

from doorward.cluster.revisions import MAX_HEADERS, Header, Kept, Reader, RevisionContent, header, secret_digest
from doorward.membership import promote
from doorward.store.port import Store
from doorward.store.records import Records
from doorward.transaction.candidate import Running
from doorward.transaction.secrets import SecretKeeping
from doorward.tree.jsontext import prepared
from doorward.tree.registry import Tree

KIND = "cluster_revision"
"""Of their records."""


@prepared
class _Noted(msgspec.Struct, frozen=True):
    """A cluster revision as it is kept; ``content`` is the digest of what it holds."""

    id: str
    content: str
    epoch: int
    number: int
    hash: str
    parent: str

    @property
    def header(self) -> Header:
        """Its header."""
        return Header(self.epoch, self.number, self.hash, self.parent)


class Newest(Struct, frozen=True):
    """The newest cluster revision: its header, what it holds, who wrote it and why."""

    header: Header
    content: RevisionContent
    author: str
    message: str | None


class Ledger:
    """Counts the revisions. Every method may block; one thread writes."""

    def __init__(self, tree: Tree, store: Store, secrets: SecretKeeping) -> None:
        self._store, self._secrets = store, secrets
        self._noted = Records(store, KIND, _Noted)
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
            if promotion is None:
                raise ValueError("Only Central Management has a ledger.")
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
        self._noted.put(_Noted(f"{epoch}:{number}", digest, epoch, number, made.hash, made.parent))
        self._noted.trim(MAX_HEADERS)
        return made

    def _last(self) -> tuple[Header, str] | None:
        found = self._noted.find(limit=1)
        return (found[0].header, found[0].content) if found else None

    def headers_after(self, epoch: int, number: int) -> list[Header]:
        """Return the headers behind a revision, oldest first, at most 1,000; none but the newest where it is not known."""
        found: list[Header] = []
        for one in (noted.header for noted in self._noted.each()):
            if one.at <= (epoch, number):
                break
            found.append(one)
        return found[::-1]

    def secrets(self, content: RevisionContent) -> dict[str, Kept]:
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
