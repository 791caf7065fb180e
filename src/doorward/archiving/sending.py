"""One trail on its way: read here, noted, sent, read back, its row put beside it, noted again. Killed anywhere, it goes on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Final

from msgspec import structs

from doorward.archiving.bucket import Bucket
from doorward.archiving.naming import object_name
from doorward.archiving.policies import UsedPolicy
from doorward.archiving.session_record import MAX_ITEMS, SessionRecord, name_of, sealed
from doorward.backup.failure import BackupError
from doorward.backup.records import Clock, utc_now
from doorward.events.node import zone
from doorward.sessions.catalogue.criteria import ALL
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.catalogue.results import ItemRange
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
    """Sends trails of this node, and beside each of them what ``sign`` proves to be from here. Everything blocks."""

    def __init__(
        self,
        catalogue: SessionCatalogue,
        trails: Trails,
        stop: threading.Event,
        clock: Clock = utc_now,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._catalogue, self._trails, self._stop, self._clock, self._sign = catalogue, trails, stop, clock, sign

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
        self._keep_record(structs.replace(row, archive=place), bucket)
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

    def _keep_record(self, row: SessionRow, bucket: Bucket) -> None:
        """Put beside a trail what is known of its session, for whoever has to do without this node."""
        if self._sign is None:
            return
        part = ItemRange(MAX_ITEMS)
        with self._catalogue.looking() as look:
            found = look.one(row.key, ALL)
            if found is None:  # retention does not wait
                return
            channels, _ = look.channels(found.id, part)
            record = SessionRecord(row=structs.replace(row, extra={}), channels=channels)
            if not row.recipients:
                events, _ = look.events(found.id, part)
                alerts, _ = look.alerts(found.id, part)
                record = structs.replace(
                    record, events=[event for _, event in events], alerts=[alert for _, alert in alerts]
                )  # fmt: skip
        content = sealed(record, self._sign)
        bucket.keep(bucket.root + name_of(row.key, row.node, content), content)

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
