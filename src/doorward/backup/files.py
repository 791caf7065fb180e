"""What is on the target, read live: archives of any node, judged by the manifest beside them (sections 5 and 10.3)."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from doorward.backup.checking import Claims, read_manifest
from doorward.backup.names import MANIFEST, Parsed, parse
from doorward.backup.node import NodeView
from doorward.backup.targets.limits import MAX_ARCHIVE, MAX_MANIFEST
from doorward.backup.targets.port import Target, TargetFile
from doorward.tree.times import stamp

_AT_ONCE = 250
"""Manifests that are read over one connection, and held in memory."""
_REMEMBERED, _REMEMBERED_BYTES = 5_000, 8 << 20
"""How many manifests are remembered, and of how many bytes together: ours have a thousand, whoever else put something there."""
_INVALID = Claims("invalid", {}, None, ours=False)


class StoredFile(Struct, frozen=True):
    """An archive on the target, what the manifest beside it says, and whether it is provably ours."""

    parsed: Parsed
    size: int
    claims: Claims
    ours: bool

    @property
    def most(self) -> int:
        """How many bytes it may have: as many as were written, where this node knows."""
        return min(int(self.claims.manifest["archive"]["size"]), MAX_ARCHIVE) if self.claims.ours else MAX_ARCHIVE

    def as_json(self) -> dict[str, Any]:
        """Return the file as it is shown; what only a manifest can tell is null without one."""
        manifest = self.claims.manifest
        return {
            "created": manifest.get("created", stamp(self.parsed.created)),
            "encrypted": self.parsed.encrypted,
            "node_id": manifest["node"]["id"] if manifest else None,
            "ours": self.ours,
            "revision": manifest.get("revision"),
            "sha256": manifest["archive"]["sha256"] if manifest else None,
            "signature": self.claims.signature,
            "size": self.size,
        }


class StoredArchives:
    """The archives on targets. Remembers manifests by name, size and time, since reading one takes a connection."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._seen: dict[tuple[str, TargetFile], bytes] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def list(self, target: Target, label: str, workdir: Path, limit: int, offset: int = 0) -> list[StoredFile]:
        """Return archives, newest first. ``label`` tells one target from another."""
        return list(itertools.islice(self.each(target, label, workdir, offset), limit))

    def each(self, target: Target, label: str, workdir: Path, offset: int = 0) -> Iterator[StoredFile]:
        """Yield archives, newest first; what is beside them is read as far as it is asked for."""
        found = {entry.name: entry for entry in target.names()}
        parsed = [known for known in map(parse, found) if known is not None]
        parsed.sort(key=lambda known: (known.created, known.name), reverse=True)
        for begin in range(offset, len(parsed), _AT_ONCE):
            page = parsed[begin : begin + _AT_ONCE]
            manifests = [found[name] for known in page if (name := known.name + MANIFEST) in found]
            said = self._said(target, label, workdir, manifests)
            yield from (self._stored(said, known, found) for known in page)

    def one(self, target: Target, label: str, workdir: Path, name: str) -> StoredFile | None:
        """Return one archive; None where it is not there."""
        found = {entry.name: entry for entry in target.names()}
        known = parse(name)
        if known is None or name not in found:
            return None
        manifest = found.get(name + MANIFEST)
        said = self._said(target, label, workdir, [manifest] if manifest else [])
        return self._stored(said, known, found)

    def ours(self, target: Target, label: str, workdir: Path, manifests: Sequence[TargetFile]) -> set[str]:
        """Return the names of the archives that are provably ours, of those with these manifests beside them."""
        found = set[str]()
        for begin in range(0, len(manifests), _AT_ONCE):
            page = manifests[begin : begin + _AT_ONCE]
            said = self._said(target, label, workdir, page)
            known = [parse(manifest.name.removesuffix(MANIFEST)) for manifest in page]
            found |= {one.name for one in known if one is not None and self._ours(one, self._claims(said, one.name))}
        return found

    def _stored(self, said: Mapping[str, bytes], parsed: Parsed, found: Mapping[str, TargetFile]) -> StoredFile:
        name = parsed.name + MANIFEST
        large = name in found and found[name].size > MAX_MANIFEST
        claims = _INVALID if large else self._claims(said, parsed.name)
        return StoredFile(parsed, found[parsed.name].size, claims, self._ours(parsed, claims))

    def _ours(self, parsed: Parsed, claims: Claims) -> bool:
        return claims.ours and parsed.node == self._node.id[:8]

    def _claims(self, said: Mapping[str, bytes], name: str) -> Claims:
        """Return what the manifest beside an archive says; one of another archive says nothing about this one."""
        claims = read_manifest(said.get(name + MANIFEST), self._node.signing)
        return _INVALID if claims.manifest and claims.manifest["archive"]["name"] != name else claims

    def _said(self, target: Target, label: str, workdir: Path, manifests: Sequence[TargetFile]) -> dict[str, bytes]:
        """Return the content of manifests by name, over one connection; those that went since they were listed are left out."""
        small = [manifest for manifest in manifests if manifest.size <= MAX_MANIFEST]
        known = {manifest.name: self._seen.get((label, manifest)) for manifest in small}
        unread = [manifest for manifest in small if known[manifest.name] is None]
        if unread:
            with tempfile.TemporaryDirectory(prefix="manifests-", dir=workdir) as directory:
                target.fetch_all([manifest.name for manifest in unread], Path(directory))
                for manifest in unread:
                    path = Path(directory, manifest.name)
                    if path.is_file():
                        known[manifest.name] = self._remembered(label, manifest, path.read_bytes())
        return {name: data for name, data in known.items() if data is not None}

    def _remembered(self, label: str, manifest: TargetFile, data: bytes) -> bytes:
        if manifest.modified is not None:
            with self._lock:
                self._bytes += len(data) - len(self._seen.pop((label, manifest), b""))
                self._seen[label, manifest] = data
                while len(self._seen) > _REMEMBERED or self._bytes > _REMEMBERED_BYTES:
                    self._bytes -= len(self._seen.pop(next(iter(self._seen))))
        return data
