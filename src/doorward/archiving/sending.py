"""One trail on its way: read here, noted, sent, read back, noted again. Killed at any step, it goes on from there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from datetime import UTC, datetime
from typing import IO, Final

from msgspec import structs

from doorward.archiving.bucket import Bucket
from doorward.archiving.naming import object_name
from doorward.archiving.policies import UsedPolicy
from doorward.backup.failure import BackupError
from doorward.backup.records import Clock, utc_now
from doorward.events.node import zone
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.rows import Facts, SessionRow, TrailArchive
from doorward.sessions.trails import TrailMissingError, Trails
from doorward.tree.snapshot import Snapshot

_PIECE: Final = 1 << 20


class TrailUnfitError(Exception):
    """A trail here is not what was recorded. ``code`` is one word, the message for people."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class TrailSender:
    """Sends trails of this node. Everything blocks."""

    def __init__(self, catalogue: SessionCatalogue, trails: Trails, stop: threading.Event, clock: Clock = utc_now) -> None:
        self._catalogue, self._trails, self._stop, self._clock = catalogue, trails, stop, clock

    def send(self, row: SessionRow, used: UsedPolicy, bucket: Bucket, snapshot: Snapshot) -> TrailArchive:
        """Send the trail of a session that has ended, and return where it is. Raises TrailUnfitError, BackupError."""
        try:
            file = self._trails.open_here(row)
        except (TrailMissingError, OSError) as error:
            raise TrailUnfitError("trail_missing", f"The trail of the session {row.key} is missing.") from error
        with file:
            size = os.fstat(file.fileno()).st_size
            if size < row.trail_bytes:
                message = f"The trail of the session {row.key} was cut off: {size} of {row.trail_bytes} bytes are left."
                raise TrailUnfitError("trail_damaged", message)
            place = self._noted(row, used, bucket, snapshot, size, self.digest(file))
            tag = bucket.send(place, file)
        proven = structs.replace(place, at=int(self._clock().timestamp() * 1000), tag=tag)
        self.note(row.key, Facts(archive=proven, is_archived=True))
        return proven

    def _noted(
        self, row: SessionRow, used: UsedPolicy, bucket: Bucket, snapshot: Snapshot, size: int, digest: str
    ) -> TrailArchive:  # fmt: skip
        """Return where a trail goes, durably noted before anything is sent: a try after a crash finds what is there already."""
        before = row.archive
        name = object_name(used.policy.template, row, self._clock(), zone(snapshot))
        kept = before.path if before is not None and before.target == used.label else bucket.root + name
        place = TrailArchive(
            policy_key=used.key, policy=used.policy.name, target=used.label, path=kept, size=size, sha256=digest
        )  # fmt: skip
        if place != before:
            self.note(row.key, Facts(archive=place))
        return place

    def note(self, key: str, facts: Facts) -> None:
        """Add to the row of a session, on the disk. Raises CatalogueUnavailableError."""

        async def noted() -> None:
            await self._catalogue.update(key, facts)
            await self._catalogue.synced()

        asyncio.run(noted())

    def digest(self, file: IO[bytes]) -> str:
        """Return the SHA-256 of an open trail. Raises BackupError ``cancelled`` when the node stops."""
        found = hashlib.sha256()
        file.seek(0)
        while piece := file.read(_PIECE):
            if self._stop.is_set():
                raise BackupError("cancelled", "The server was shut down.")
            found.update(piece)
        return found.hexdigest()


def moment(at: int) -> datetime:
    """Return a time in ms since 1970."""
    return datetime.fromtimestamp(at / 1000, UTC)
