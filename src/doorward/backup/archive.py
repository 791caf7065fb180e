"""Makes archives: what is in them, their manifests, and the files that leave the node (sections 2, 3 and 4)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, Self

from msgspec import Struct

from doorward import __version__
from doorward.backup import checking, container, encryption
from doorward.backup.content import Part, contents
from doorward.backup.failure import BackupError, Check, never
from doorward.backup.names import MANIFEST, archive_name
from doorward.backup.node import NodeView
from doorward.events.node import full_name
from doorward.transaction.candidate import Running
from doorward.tree.jsontext import encode
from doorward.tree.times import stamp

FORMAT = "doorward-backup/1"

Kind = Literal["system", "export"]


class Prepared(Struct, frozen=True):
    """An archive ready to leave: the files in the spool, and what they are. ``sha256`` and ``size`` are those of the archive."""

    name: str
    archive: Path
    manifest: Path
    size: int
    sha256: str
    encrypted: bool
    revision: dict[str, Any]
    paths: tuple[str, ...]
    """What is in the archive."""


@dataclass(slots=True)
class Built:
    """An archive in clear, in memory. ``inner`` are the bytes of its ``MANIFEST.json``."""

    file: IO[bytes] = field(repr=False)
    inner: bytes
    created: str
    running: Running
    paths: tuple[str, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def revision(self) -> dict[str, Any]:
        """Hash and number of the revision in it."""
        return {"hash": self.running.hash, "number": self.running.number}


def build(node: NodeView, kind: Kind, now: datetime, check: Check = never) -> Built:
    """Build an archive of the running revision and prove that it can be restored. Raises BackupError, as ``check`` may."""
    running = node.pipeline.running
    created = stamp(now)
    seconds, parts = contents(node, running, kind, check)
    _check_size(parts)
    inner = encode({
        "created": created,
        "files": [{"path": part.path, "sha256": part.sha256, "size": part.size} for part in parts],
        "format": FORMAT,
        "kind": kind,
        "node": _node(node, running),
        "product": {"name": "doorward", "version": __version__},
        "revision": {"hash": running.hash, "number": running.number},
    })  # fmt: skip
    first = [Part.of("MANIFEST.json", inner), Part.of("MANIFEST.sig", encode(node.signing.sign(inner)))]
    file = container.in_memory()
    try:
        container.write(((part.path, part.size, part.chunks()) for part in (*first, *parts)), file, seconds)
        check()
        checking.self_check(node, file, running)
        check()
    except BaseException:
        node.past.forget()
        file.close()
        raise
    return Built(file, inner, created, running, tuple(part.path for part in [*first, *parts]))


def _check_size(parts: Iterable[Part]) -> None:
    """Raise BackupError ``too_large`` for what could not be opened again: there are limits to what an archive may cost."""
    held = [part for part in parts if not part.path.startswith(container.STREAMED)]
    if sum(part.size for part in held) > container.MAX_HELD:
        raise BackupError("too_large", f"The archive would hold more than {container.MAX_HELD >> 20} MiB besides the history.")
    for part in held:
        if any(map(container.has_too_many_values, part.chunks())):
            raise BackupError("too_large", f"{part.path} would have more than {container.MAX_VALUES} values.")


def prepare(node: NodeView, spool: Path, now: datetime | None = None, check: Check = never) -> Prepared:
    """Make a system backup: archive and manifest in the spool, encrypted where that is configured. Raises BackupError.

    ``check`` is called time and again and may raise, to break it off.
    """
    now = now or datetime.now(UTC)
    certificate = encryption.configured(node.pipeline.running.snapshot)
    with build(node, "system", now, check) as built:
        name = archive_name(now, node.id, encrypted=certificate is not None)
        path = spool / name
        with _new(path) as file:
            if certificate is None:
                _copy(built.file, file)
            else:
                encryption.to_certificate(built.file, certificate, file)
        recipients = [] if certificate is None else encryption.check(path, certificate)
        content, whole = digest(built.file), _file_digest(path)
        manifest = {
            "archive": {"encrypted": bool(recipients), "name": name, "recipients": recipients, **whole},
            "content": {"manifest_sha256": hashlib.sha256(built.inner).hexdigest(), **content},
            "created": built.created,
            "format": FORMAT,
            "node": _node(node, built.running),
            "revision": built.revision,
        }
        if (anchor := node.pipeline.store.anchor()) is not None:
            manifest["history"] = anchor.as_json()
        beside = spool / (name + MANIFEST)
        with _new(beside) as file:
            file.write(encode({"manifest": manifest, "signature": node.signing.sign(encode(manifest))}))
        return Prepared(name, path, beside, whole["size"], whole["sha256"], bool(recipients), built.revision, built.paths)


def export(node: NodeView, path: Path, selection: Literal["none", "password", "gpg"], password: str = "") -> dict[str, Any]:
    """Make an export at ``path``. Returns its ``sha256`` and ``size``. Raises BackupError; then there is no file."""
    certificate = encryption.configured(node.pipeline.running.snapshot) if selection == "gpg" else None
    with build(node, "export", datetime.now(UTC)) as built:
        with _new(path) as file:
            match selection:
                case "none":
                    _copy(built.file, file)
                case "password":
                    encryption.to_password(built.file, password, file)
                case "gpg":
                    if certificate is None:
                        raise BackupError("encryption_check", "No public key is configured any more.")
                    encryption.to_certificate(built.file, certificate, file)
        if certificate is not None:
            encryption.check(path, certificate)
        return _file_digest(path)


def _node(node: NodeView, running: Running) -> dict[str, str]:
    return {"fqdn": full_name(running.snapshot), "id": node.id}


@contextmanager
def _new(path: Path) -> Iterator[IO[bytes]]:
    """A new file, readable by its owner only; gone again if the block fails."""
    with open(path, "xb", opener=partial(os.open, mode=0o600)) as file:
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while data := file.read(1 << 20):
        yield data


def _copy(source: IO[bytes], into: IO[bytes]) -> None:
    for data in _chunks(source):
        into.write(data)


def digest(file: IO[bytes]) -> dict[str, Any]:
    """Return SHA-256, in hex, and size of a file."""
    found, size = hashlib.sha256(), 0
    for data in _chunks(file):
        found.update(data)
        size += len(data)
    return {"sha256": found.hexdigest(), "size": size}


def _file_digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return digest(file)
