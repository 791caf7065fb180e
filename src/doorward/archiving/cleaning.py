"""Copies on the node that have been here for long enough: deleted at the start times of their policy, if the archive has them.

What is here is looked at, not all that was ever recorded: the work follows from how many trails there are on the disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from msgspec import structs

from doorward.archiving.bucket import Bucket
from doorward.archiving.policies import UsedPolicy, policy_of
from doorward.archiving.sending import TrailSender, TrailUnfitError
from doorward.backup.failure import BackupError
from doorward.configuration.policies.archive_cleanup_policies import ArchivePolicy
from doorward.recording.journal import SUFFIX
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.rows import Facts, SessionRow, TrailArchive
from doorward.sessions.trails import TrailMissingError, Trails
from doorward.tree.snapshot import Snapshot

_TRAIL: Final = re.compile(rf"([A-Za-z][A-Za-z0-9]{{21}}){re.escape(SUFFIX)}\Z")

Opener = Callable[[ArchivePolicy], Bucket]
"""Connects to the bucket of a policy."""


@dataclass
class Cleaned:
    """What a look through the trails here led to. ``stayed``: what had to stay, and why."""

    deleted: list[str] = field(default_factory=list)
    stayed: list[tuple[str, BackupError | TrailUnfitError]] = field(default_factory=list)


class LocalCopies:
    """The trails on a node. Everything blocks."""

    def __init__(self, catalogue: SessionCatalogue, trails: Trails, sender: TrailSender, node: str) -> None:
        self._catalogue, self._trails, self._sender, self._node = catalogue, trails, sender, node

    def clean(self, used: UsedPolicy, snapshot: Snapshot, now: datetime, opened: Opener) -> Cleaned:
        """Delete what a policy wants here no longer. Raises CatalogueUnavailableError, OSError."""
        cleaned, before = Cleaned(), int((now - timedelta(days=used.policy.retention_days)).timestamp() * 1000)
        with ExitStack() as stack:
            buckets: dict[str, Bucket] = {}

            def bucket(archive: TrailArchive) -> Bucket:
                policy = policy_of(snapshot, archive)
                if policy is None:
                    raise BackupError("policy_changed", f"No policy names {archive.target} any more.")
                if archive.target not in buckets:
                    buckets[archive.target] = stack.enter_context(opened(policy))
                return buckets[archive.target]

            for row in self._rows():
                if row.policy_key not in used.connections or row.node != self._node:
                    continue
                try:
                    if self._is_due(row, used, before) and self._left(row, used, now, bucket):
                        self._trails.delete(row.trail)
                        cleaned.deleted.append(row.trail)
                except TrailUnfitError as error:
                    cleaned.stayed.append((row.key, error))
                except BackupError as error:
                    cleaned.stayed.append((row.key, error))
                    if error.code not in _OF_ONE:
                        break  # the others would meet the same
        return cleaned

    def _rows(self) -> Iterator[SessionRow]:
        """Yield the sessions whose trails are here."""
        for key in sorted(trail_keys(self._trails.directory)):
            row = self._catalogue.session(key)
            if row is not None and row.trail == key + SUFFIX:
                yield row

    @staticmethod
    def _is_due(row: SessionRow, used: UsedPolicy, before: int) -> bool:
        if row.ended is None or row.ended >= before:
            return False
        return row.is_archived or not used.is_sending or not row.has_local_trail

    def _left(self, row: SessionRow, used: UsedPolicy, now: datetime, bucket: Callable[[TrailArchive], Bucket]) -> bool:
        """Note that the copy here goes, once it is certain that it may; whether it may."""
        if not row.has_local_trail:
            return True
        archive = row.archive
        if archive is None or not row.is_archived:
            if used.is_sending:
                return False
            archive = TrailArchive(
                policy_key=used.key, policy=used.policy.name, target="", path="", size=row.trail_bytes, sha256="",
                at=int(now.timestamp() * 1000),
            )  # fmt: skip
        else:
            self._prove(row, archive, bucket(archive))
        self._sender.note(row.key, Facts(archive=structs.replace(archive, is_here=False)))
        return True

    def _prove(self, row: SessionRow, archive: TrailArchive, bucket: Bucket) -> None:
        """See that both copies are still what they were when the trail was sent. Raises TrailUnfitError, BackupError."""
        try:
            with self._trails.open_here(row) as file:
                fits = os.fstat(file.fileno()).st_size == archive.size and self._sender.digest(file) == archive.sha256
        except TrailMissingError:
            return
        if not fits:
            raise TrailUnfitError("trail_changed", f"The trail of {row.key} was changed here after it was archived; it stays.")
        found = bucket.status(archive)
        if found is None or found.size != archive.size or (archive.tag and found.tag != archive.tag):
            what = "is not there any more" if found is None else "was changed there"
            raise TrailUnfitError("archive_changed", f"{archive.path} in {archive.target} {what}; the copy here stays.")


_OF_ONE: Final = frozenset({"policy_changed", "permission_denied"})
"""Codes of failures that say nothing about other trails."""


def trail_keys(directory: Path) -> Iterator[str]:
    """Yield the keys of the sessions whose trails are in a directory."""
    with os.scandir(directory) as found:
        for entry in found:
            if (match := _TRAIL.match(entry.name)) is not None:
                yield match[1]
