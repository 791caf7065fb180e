"""What is on the target, read live: archives of any node, judged by the manifest beside them (sections 5 and 10.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from doorward.backup.checking import Claims, read_manifest
from doorward.backup.drills import fetched_manifest
from doorward.backup.failure import BackupFailure
from doorward.backup.names import MANIFEST, Parsed, parse
from doorward.backup.node import NodeView
from doorward.backup.records import stamp
from doorward.backup.targets.port import Entry, Target

_LONGEST_MANIFEST = 1 << 20
_REMEMBERED = 5_000
_INVALID = Claims("invalid", {}, None, ours=False)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An archive on the target, what the manifest beside it says, and whether it is provably ours."""

    parsed: Parsed
    size: int
    claims: Claims
    ours: bool

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


class Files:
    """The archives on targets. Remembers manifests by name, size and time, since reading one takes a connection."""

    def __init__(self, node: NodeView) -> None:
        self._node = node
        self._seen: dict[tuple[str, Entry], bytes] = {}

    def list(self, target: Target, label: str, workdir: Path, limit: int = -1, offset: int = 0) -> list[StoredFile]:
        """Return archives, newest first. ``label`` tells one target from another."""
        found = {entry.name: entry for entry in target.names()}
        parsed = [known for known in map(parse, found) if known is not None]
        parsed.sort(key=lambda known: (known.created, known.name), reverse=True)
        page = parsed[offset:] if limit < 0 else parsed[offset : offset + limit]
        return [self._stored(target, label, workdir, known, found) for known in page]

    def one(self, target: Target, label: str, workdir: Path, name: str) -> StoredFile | None:
        """Return one archive; None where it is not there."""
        found = {entry.name: entry for entry in target.names()}
        known = parse(name)
        return self._stored(target, label, workdir, known, found) if known is not None and name in found else None

    def is_ours(self, target: Target, label: str, workdir: Path, name: str, manifest: Entry) -> bool:
        """Whether an archive is provably ours."""
        known = parse(name)
        return known is not None and self._ours(known, self._claims(target, label, workdir, name, manifest))

    def _stored(self, target: Target, label: str, workdir: Path, parsed: Parsed, found: Mapping[str, Entry]) -> StoredFile:
        manifest = found.get(parsed.name + MANIFEST)
        claims = read_manifest(None, self._node.signing)
        if manifest is not None:
            claims = self._claims(target, label, workdir, parsed.name, manifest)
        return StoredFile(parsed, found[parsed.name].size, claims, self._ours(parsed, claims))

    def _ours(self, parsed: Parsed, claims: Claims) -> bool:
        return claims.ours and parsed.node == self._node.id[:8]

    def _claims(self, target: Target, label: str, workdir: Path, name: str, manifest: Entry) -> Claims:
        """Return what the manifest beside an archive says; one of another archive says nothing about this one."""
        data = self._seen.get((label, manifest))
        if data is None:
            if manifest.size > _LONGEST_MANIFEST:
                return _INVALID
            try:
                data = fetched_manifest(target, name, workdir)
            except BackupFailure as failure:
                if failure.code != "no_such_path":
                    raise
                return read_manifest(None, self._node.signing)  # gone since it was listed
            if manifest.modified is not None:
                while len(self._seen) >= _REMEMBERED:
                    del self._seen[next(iter(self._seen))]
                self._seen[label, manifest] = data
        claims = read_manifest(data, self._node.signing)
        return _INVALID if claims.manifest and claims.manifest["archive"]["name"] != name else claims
