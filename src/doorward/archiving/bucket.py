"""A connection to the bucket of an archive policy: what trails are sent through, looked at and fetched through."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path
from typing import IO, Final, Self

from doorward.backup.node import NodeView
from doorward.backup.targets.attempt import TargetAttempt
from doorward.backup.targets.port import STALL_SECONDS, describe
from doorward.backup.targets.s3_objects import ObjectStatus, S3Objects, started
from doorward.configuration.policies.archive_cleanup_policies import ArchivePolicy
from doorward.sessions.catalogue.rows import TrailArchive

MIN_SECONDS: Final = 600.0
"""How long work on a bucket may take at least."""
BYTES_A_SECOND: Final = 1 << 20
"""What a connection carries at least, to be waited for."""


class Bucket:
    """A logged-in connection. A context manager; everything blocks and raises BackupError."""

    def __init__(self, objects: S3Objects, root: str) -> None:
        self._objects, self.root = objects, root

    def send(self, archive: TrailArchive, content: IO[bytes]) -> str:
        """Write a trail where nothing is, unless it is there already, and read all of it back; return its tag.

        ``name_exists``: something else is there; ``verify_failed``: it is not what was sent.
        """
        doing = f"Archiving {archive.path}"
        self._objects.store(doing, archive.path, content, archive.size, archive.sha256)
        if not self._objects.holds(doing, archive.path, archive.size, archive.sha256):
            raise self._objects.failed("verify_failed", doing, "what was sent is not there")
        found = self.status(archive)
        if found is None:
            raise self._objects.failed("verify_failed", doing, "what was sent is not there")
        return found.tag

    def keep(self, path: str, content: bytes) -> None:
        """Write a small object where nothing is, unless it is there already."""
        with os.fdopen(os.memfd_create("session"), "w+b") as file:
            file.write(content)
            file.flush()
            self._objects.store(f"Archiving {path}", path, file, len(content), hashlib.sha256(content).hexdigest())

    def page(self, below: str, after: str) -> list[tuple[str, int]]:
        """Return some names below a prefix, without it, in order, and sizes: those after a name. None: there are no more."""
        return self._objects.page(f"Listing {below}", below, after)

    def read(self, path: str, into: Path, most: int) -> None:
        """Copy an object of so many bytes at most to a new local file. ``verify_failed`` where it is larger."""
        self._objects.read(f"Reading {path}", path, into, most)

    def status(self, archive: TrailArchive) -> ObjectStatus | None:
        """Return what the server shows of a trail, None where there is none."""
        return self._objects.status(f"Looking for {archive.path}", archive.path)

    def fetch(self, archive: TrailArchive, into: Path) -> None:
        """Copy a trail to a new local file. ``verify_failed`` where it is larger than it was."""
        self._objects.read(f"Fetching {archive.path}", archive.path, into, archive.size)

    def close(self) -> None:
        """Let go of the server."""
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def open_bucket(node: NodeView, policy: ArchivePolicy, size: int, stop: threading.Event, stall: float = STALL_SECONDS) -> Bucket:
    """Connect and log in, for work on so many bytes. Blocks; raises BackupError. ``stop`` ends everything with ``cancelled``."""
    target = policy.target.model_dump(mode="json")
    deadline = time.monotonic() + MIN_SECONDS + 3 * size / BYTES_A_SECOND
    attempt = TargetAttempt(
        node.id, policy.include_node_id_in_path, stop, node.spool, deadline, stall, describe(target), certificate=node.certificate
    )
    below = (node.id,) if policy.include_node_id_in_path else ()
    objects = S3Objects(started(target, node.pipeline.secrets.text, attempt, size), target, attempt, below)
    try:
        objects.log_in()
    except BaseException:
        objects.close()
        raise
    return Bucket(objects, objects.root)
