"""What there is of a node that must never be lost, read from its directory by what the product opens its files with."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from doorward.backup.restore.settling import settle as settle_restore
from doorward.backup.signing import NAME as SIGNING_KEY
from doorward.cluster.keys import NAME as CHANNEL_KEY
from doorward.host.machine import Machine
from doorward.store.anchor import NAME as HISTORY_KEY
from doorward.store.anchor import HistoryKey
from doorward.store.port import SEALED_FILE, SEALED_PROPOSAL
from doorward.store.rotation import settle as settle_rotation
from doorward.store.sqlite import SqliteStore
from doorward.store.vault import Vault
from doorward.transaction.secrets import SecretKeeping
from doorward.transaction.startup import read_running
from tests.unit.transaction.rig import TREE, CheapPasswords

FINISHED = {"done", "failed", "reverted", "unknown", "proposed", "awaiting_confirmation"}
IDENTITY = ("node", "backup_signing_key")
"""Kinds of records that change in one step with a revision, where they change at all."""
STANDING = ("cluster_peer", "cluster_revision", "cluster_sync", SEALED_FILE, SEALED_PROPOSAL)
"""Kinds of records that are written by themselves: what is told of the cluster, and sealed texts."""

PSK = "cluster_psk"
"""The kind of the notes how long a secret is good for, which are written more than once."""


@dataclass(frozen=True)
class Observed:
    """``together`` changes in one step, keys (digests of files, by name) among it.

    ``commits`` are those that have ended, by id with state and revision; ``proposals`` have by id state, how many decided, and
    revision; ``records`` and ``files``, which a restore kept, digests.
    """

    together: dict[str, Any] = field(default_factory=dict)
    commits: dict[str, Any] = field(default_factory=dict)
    proposals: dict[str, Any] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, value: dict[str, Any]) -> Self:
        return cls(**value)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def observe(directory: Path, *, after_a_cut: bool = False) -> Observed:
    """Read a node; ``after_a_cut`` does first what a start does. Everything that it has must be whole."""
    if after_a_cut:
        settle_rotation(directory)
    vault = Vault.at(directory / "data.key", create=False)
    store = SqliteStore(directory / "doorward.db", vault, room=after_a_cut, key=HistoryKey.read(directory))
    try:
        if after_a_cut:
            settle_restore(directory, store, SecretKeeping(TREE, store, vault, CheapPasswords()))
        assert store.check() == []
        assert store.check_records() == []
        for secret in store.secrets():
            vault.open(secret.name, secret.sealed)
        running, _ = read_running(TREE, Machine(), store)
        assert store.marked()
        return _observed(directory, store, f"{running.number} {running.hash}")
    finally:
        store.close()


def _observed(directory: Path, store: SqliteStore, revision: str) -> Observed:
    awaited = store.confirmation()
    awaits = f"{awaited.commit_id} since boot {awaited.boot}" if awaited else ""
    together = {"revision": revision, "awaits": awaits, **_records(store, IDENTITY)}
    for name in (HISTORY_KEY, SIGNING_KEY, CHANNEL_KEY):
        if (directory / name).exists():
            together[name] = digest((directory / name).read_bytes())
    return Observed(
        together=together,
        commits={one.id: [one.state, one.revision] for one in store.commit_records() if one.state in FINISHED},
        proposals={
            one.id: [one.body["state"], len(one.body["decisions"]), one.body["revision"]] for one in store.records("proposal")
        },
        records=_records(store, STANDING) | {f"{PSK} {one.id}": "until its time is over" for one in store.records(PSK)},
        files={path.name: digest(path.read_bytes()) for path in directory.glob("backup/history-*.jsonl")},
    )


def _records(store: SqliteStore, kinds: tuple[str, ...]) -> dict[str, str]:
    return {f"{kind} {one.id}": digest(repr(one.body).encode()) for kind in kinds for one in store.records(kind)}


@dataclass
class Told:
    """What was last known of a node, and what it may have become since: ``coming`` is None while nothing is asked of it."""

    known: Observed
    coming: Observed | None = None

    def check(self, found: Observed) -> None:
        """Fail unless that is what a node may be."""
        known, coming = self.known, self.coming or self.known
        assert found.together in (known.together, coming.together), "revision and identity"
        is_new = found.together == coming.together != known.together
        begun = {name for name in coming.commits if coming.commits[name] != known.commits.get(name)}
        _each(found.commits, known.commits, coming.commits, "commits", is_new=is_new, begun=begun)
        _each(found.records, known.records, coming.records, "records")
        assert found.files == coming.files or (found.files == known.files and not is_new), "files"
        for name, proposal in found.proposals.items():
            if proposal[0] == "accepted":  # it is being carried out: the next start says that this came to nothing
                assert not is_new
                assert proposal[1:] == [coming.proposals[name][1], None]
            else:
                assert proposal in ([coming.proposals[name]] if is_new else [known.proposals.get(name), coming.proposals[name]])
        assert known.proposals.keys() <= found.proposals.keys(), "proposals"

    def check_alike(self, found: Observed, said: str, *, is_atomic: bool) -> None:
        """Fail unless another node, to which the same was done, is what was ``said``; ``is_atomic``: an error means the old."""
        kinds = {word: _alike(one) for word, one in (("old", self.known), ("new", self.coming or self.known))}
        refused = ["old"] if is_atomic else ["old", "new"]
        allowed = {"done": ["new"], "refused": refused, "undecided": ["old", "new"]}[said.removeprefix("untouched ")]
        assert _alike(found) in [kinds[word] for word in allowed], f"{said}, but {found}"


def _alike(node: Observed) -> tuple[Any, ...]:
    """Return what is the same of nodes that went the same way: no times, and no hashes of them."""
    done = sorted(name for name, proposal in node.proposals.items() if proposal[0] == "done")
    names = [name for name in node.together if name != "revision" and "key SHA256" not in name]
    return node.together["revision"].split()[0], *(node.together[name] for name in sorted(names)), done


def _each(
    found: dict[str, Any],
    known: dict[str, Any],
    coming: dict[str, Any],
    what: str,
    *,
    is_new: bool = False,
    begun: Collection[str] = (),
) -> None:
    """Fail unless each of these is as it was or as it will be; those that have ``begun`` may not have ended yet."""
    for name in found.keys() | known.keys() | coming.keys():
        allowed = [coming.get(name)] if is_new else [known.get(name), coming.get(name), *([None] if name in begun else [])]
        assert found.get(name) in allowed, f"{what}: {name}"
