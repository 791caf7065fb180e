"""What becomes of secrets at a commit: an owner that only compares gets a hash, others the sealed text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from msgspec.structs import replace
from pydantic import ValidationError

from doorward.store.port import Edit, Secret, Store
from doorward.store.vault import Vault
from doorward.transaction.candidate import Candidate
from doorward.transaction.edits import DocumentEdit
from doorward.tree.jsontext import decode_own
from doorward.tree.nodes import Valued, WriteOnce
from doorward.tree.places import ROOT, Place
from doorward.tree.problems import Problem, pointer
from doorward.tree.references import Form, references
from doorward.tree.registry import Tree
from doorward.tree.snapshot import Snapshot

_NAMED = 5
"""Accounts that a warning names; more are counted."""
_GONE = "It had a secret that is not on this node: a restore brings the secrets in force, not earlier ones. Give it a new one."


class PasswordKeeper(Protocol):
    """What the access floor knows of passwords."""

    def problems(self, snapshot: Snapshot, owner: Place, text: str, earlier: Iterable[str] = ()) -> Iterable[Problem]:
        """Yield why the text may not become the password of the owner. ``earlier``: hashes that it had, newest first."""

    def hashed(self, text: str) -> str:
        """Return the argon2id hash of a password."""


def owner_of(snapshot: Snapshot, place: Place) -> tuple[Place, Form | None] | None:
    """Return who owns a write-once object, and the form in which the owner keeps it."""
    for owner in snapshot.who_refers_to(place.href):
        document = snapshot.document(owner)
        if document is not None:
            form = next(reference.form for reference in document.references if reference.href == place.href)
            return owner, form
    return None


def is_lost(tree: Tree, store: Store, edit: Edit) -> bool:
    """Whether an edit brings an object whose secret is not in the store: a restore brings the history, but no earlier secrets."""
    place = edit.place
    if edit.new is None or not place.path.startswith(f"{ROOT}/") or not isinstance(tree[place.path].node, WriteOnce):
        return False
    return decode_own(edit.new).get("has_private_key") is not False and store.secret(place.key) is None


class SecretKeeping:
    """Prepares the secrets of a commit."""

    def __init__(self, tree: Tree, store: Store, vault: Vault, keeper: PasswordKeeper) -> None:
        self._tree, self._store, self._vault, self._keeper = tree, store, vault, keeper
        self._in_hand: dict[str, str] = {}

    def problems(self, snapshot: Snapshot, edits: Sequence[DocumentEdit], candidate: Candidate) -> list[Problem]:
        """Return what forbids the new owners' secrets."""
        found: list[Problem] = []
        texts = candidate.secrets
        for place in self._concerned(edits):
            owned, text = owner_of(snapshot, place), self._text(place.key, texts)
            if owned is not None and owned[1] == "hash" and text is not None:
                at, is_only = self._where(snapshot, owned[0], place)
                earlier = self._earlier(owned[0]) if is_only else ()
                about = self._keeper.problems(snapshot, owned[0], text, earlier)
                found.extend(replace(problem, pointer=at) for problem in about)
            elif owned is not None and (kept := self._store.secret(place.key)) and {kept.form, owned[1]} == {"hash", "sealed"}:
                found.append(Problem("unsuitable", "Its owner so far has it in another form; make a new one.", "", owned[0].href))
        for edit in edits:
            brought = edit.place.key in candidate.secrets or edit.place.key in candidate.kept
            if edit.old is not None or brought or not is_lost(self._tree, self._store, edit):
                continue
            if (owned := owner_of(snapshot, edit.place)) is not None:
                found.append(Problem("secret_gone", _GONE, "", owned[0].href))
        return found

    def returning(self, edits: Iterable[DocumentEdit], candidate: Candidate) -> Iterator[Problem]:
        """Warn of accounts that get back a password that they had before, as by going back to an earlier revision.

        An archive brings its passwords with it, and whoever restores it is told of them there.
        """
        brought = candidate.secrets.keys() | candidate.kept.keys()
        names: dict[str, list[str]] = {}
        for edit in edits:
            if edit.after is None or not edit.after.references:
                continue
            compared = {r.key for r in edit.after.references if r.form == "hash"}
            if not compared - brought:
                continue
            before = {r.key for r in edit.before.references} if edit.before is not None else set()
            earlier = [self._store.secret(key) for key in compared - brought - before]
            if any(secret is not None and secret.form == "hash" for secret in earlier):
                names.setdefault(edit.place.path, []).append(edit.after.value["name"])
        for path, those in names.items():
            those.sort()
            more = f" and {len(those) - _NAMED} more" if len(those) > _NAMED else ""
            message = f"An earlier password counts afterwards, not the one of now: {', '.join(those[:_NAMED])}{more}."
            yield Problem("other_password", message, "", path)

    def prepare(self, snapshot: Snapshot, edits: Iterable[DocumentEdit], texts: dict[str, str]) -> list[Secret]:
        """Return the secrets to store: new ones, and those that found their owner. Hashing takes its time."""
        return [
            self._sealed(place.key, owner_of(snapshot, place), text)
            for place in self._concerned(edits)
            if (text := self._text(place.key, texts)) is not None
        ]

    @contextmanager
    def uncommitted(self, texts: dict[str, str]) -> Iterator[None]:
        """Give out the texts of a commit that is not published yet: the host needs them to take it."""
        self._in_hand = texts
        try:
            yield
        finally:
            self._in_hand = {}

    def sealed(self, kept: dict[str, tuple[str, str]]) -> list[Secret]:
        """Return the secrets to store that come in their final form: key to (form, text)."""
        return [Secret(key, form, self._vault.seal(f"{key}:{form}", text)) for key, (form, text) in kept.items()]

    def text(self, key: str) -> str | None:
        """Return the text, or the hash, of a stored secret."""
        if (text := self._in_hand.get(key)) is not None:
            return text
        secret = self._store.secret(key)
        return self._vault.open(secret.name, secret.sealed) if secret else None

    def seal(self, name: str, text: str) -> bytes:
        """Encrypt a text that is no secret of the configuration."""
        return self._vault.seal(name, text)

    def unseal(self, name: str, sealed: bytes) -> str:
        """Return a text that was sealed under the name. Raises VaultError."""
        return self._vault.open(name, sealed)

    def _where(self, snapshot: Snapshot, owner: Place, secret: Place) -> tuple[str, bool]:
        """Return where an owner refers to a password, a pointer, and whether it has no other one."""
        node = self._tree[owner.path].node
        if not isinstance(node, Valued):
            raise TypeError(f"{owner.href} can't refer to a password.")
        found = {r.href: at for at, r in references(snapshot[owner].read(node)) if r.form == "hash"}
        return pointer(found[secret.href]), len(found) == 1

    def _earlier(self, owner: Place) -> Iterator[str]:
        """Yield the hashes that an owner had in any revision, newest first."""
        seen: set[str] = set()
        for body in self._store.past(owner):
            try:
                found = self._tree.load(owner, decode_own(body)).references
            except ValidationError:  # written by another release
                continue
            for reference in found:
                if reference.form == "hash" and reference.key not in seen:
                    seen.add(reference.key)
                    yield self.text(reference.key) or ""

    def _sealed(self, key: str, owned: tuple[Place, Form | None] | None, text: str) -> Secret:
        form = (owned[1] if owned else None) or "plain"
        kept = self._keeper.hashed(text) if form == "hash" else text
        return Secret(key, form, self._vault.seal(f"{key}:{form}", kept))

    def _concerned(self, edits: Iterable[DocumentEdit]) -> list[Place]:
        """Return the write-once objects that the edits made or gave an owner."""
        found: dict[Place, None] = {}
        for edit in edits:
            if edit.after is None:
                continue
            if isinstance(self._tree[edit.place.path].node, WriteOnce):
                found[edit.place] = None
            for reference in edit.after.references:
                if isinstance(self._tree[reference.to].node, WriteOnce):
                    found[Place(reference.to, reference.key)] = None
        return list(found)

    def _text(self, key: str, texts: dict[str, str]) -> str | None:
        """Return the text of a secret that has not yet taken its last form."""
        if key in texts:
            return texts[key]
        secret = self._store.secret(key)
        return self._vault.open(secret.name, secret.sealed) if secret is not None and secret.form == "plain" else None
